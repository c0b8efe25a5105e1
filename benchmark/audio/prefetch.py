"""Work done ahead in threads, results in order, memory bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

Job = TypeVar("Job")
Done = TypeVar("Done")


def prefetch(
    jobs: Iterable[Job],
    work: Callable[[Job], Done],
    *,
    size: Callable[[Done], int],
    budget: int,
    workers: int,
) -> Generator[Done, None, None]:
    """Yield work(job) for every job, in the jobs' order, computed ahead by `workers` threads.

    A worker takes no new job while finished results that wait to be consumed weigh `budget` or
    more by `size`; so at most `budget` plus one result a worker is held. An exception of `work`
    is raised where its result would have come.
    """
    return _Prefetch(iter(jobs), work, size, budget, workers).results()


class _Prefetch(Generic[Job, Done]):
    def __init__(
        self,
        jobs: Iterator[Job],
        work: Callable[[Job], Done],
        size: Callable[[Done], int],
        budget: int,
        workers: int,
    ) -> None:
        self.jobs, self.work, self.size, self.budget = jobs, work, size, budget
        lock = threading.RLock()
        # one lock; each waits for what concerns it, or every clip would wake every thread
        self.changed = threading.Condition(lock)  # for the consumer
        self.room = threading.Condition(lock)  # for the workers
        self.awaited = 0  # index that the consumer waits for
        self.finished: dict[int, tuple[Done | None, int, BaseException | None]] = {}
        self.taken = 0
        self.waiting_size = 0
        self.no_more_jobs = False
        self.stopped = False
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]

    def results(self) -> Generator[Done, None, None]:
        for thread in self.threads:
            thread.start()
        try:
            index = 0
            while True:
                with self.changed:
                    self.awaited = index
                    while index not in self.finished and not self._ended_before(index):
                        self.changed.wait()
                    if index not in self.finished:
                        return
                    done, weight, error = self.finished.pop(index)
                    self.waiting_size -= weight
                    self._wake_one()
                if error is not None:
                    raise error
                yield done  # type: ignore[misc]
                index += 1
        finally:
            with self.changed:
                self.stopped = True
                self.room.notify_all()
            for thread in self.threads:
                thread.join()

    def _run(self) -> None:
        while True:
            with self.changed:
                # Jobs are taken in order, so whatever the consumer waits for is in somebody's
                # hands already and this wait cannot lock.
                self.room.wait_for(
                    lambda: self.stopped or self.no_more_jobs or self.waiting_size < self.budget
                )
                if self.stopped or self.no_more_jobs:
                    return
                index = self.taken
                try:
                    job = next(self.jobs)
                except StopIteration:
                    self._end()
                    return
                except BaseException as error:  # noqa: BLE001 - handed to the consumer
                    self.taken += 1
                    self.finished[index] = (None, 0, error)
                    self._end()
                    return
                self.taken += 1
                self._wake_one()  # there may be room for more
            done, weight, failed = None, 0, None
            try:
                done = self.work(job)
                weight = self.size(done)
            except BaseException as error:  # noqa: BLE001 - handed to the consumer
                failed = error
            with self.changed:
                self.finished[index] = (done, weight, failed)
                self.waiting_size += weight
                if index == self.awaited:
                    self.changed.notify()

    def _wake_one(self) -> None:
        if self.waiting_size < self.budget:
            self.room.notify()

    def _ended_before(self, index: int) -> bool:
        return self.no_more_jobs and index >= self.taken

    def _end(self) -> None:
        self.no_more_jobs = True
        self.changed.notify()
        self.room.notify_all()
