"""Prefetch: results in order, memory bounded, errors in their place, threads that end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.audio.prefetch import prefetch

TIMEOUT_S = 10.0


def within_time(work: Callable[[], object]) -> object:
    """work()'s result, or a failure where it hangs."""
    box: list[object] = []

    def run() -> None:
        try:
            box.append(work())
        except BaseException as error:  # noqa: BLE001
            box.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive(), "hangs"
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.001)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 50), max_size=40),
    workers=st.integers(1, 6),
    budget=st.integers(1, 120),
    seed=st.integers(0, 1000),
)
def test_every_result_once_in_order_within_the_budget(sizes, workers, budget, seed):
    delays = random.Random(seed)
    pauses = [delays.choice([0, 0, 0.0005]) for _ in sizes]
    lock = threading.Lock()
    held, most = 0, 0

    def work(job: int) -> int:
        nonlocal held, most
        time.sleep(pauses[job])
        with lock:
            held += sizes[job]
            most = max(most, held)
        return job

    def consume() -> list[int]:
        nonlocal held
        got = []
        results = prefetch(
            range(len(sizes)), work, size=lambda job: sizes[job], budget=budget, workers=workers
        )
        for job in results:
            got.append(job)
            with lock:
                held -= sizes[job]
        return got

    before = threading.active_count()
    assert within_time(consume) == list(range(len(sizes)))
    assert threading.active_count() <= before
    # what waits, one result a worker, and the one that the consumer has in hand
    assert most <= budget + (workers + 1) * max(sizes, default=0)


@pytest.mark.parametrize("workers", [1, 4])
def test_work_pauses_while_the_budget_is_spent(workers):
    started: list[int] = []

    def work(job: int) -> int:
        started.append(job)
        return job

    results = prefetch(range(1000), work, size=lambda _: 10, budget=50, workers=workers)
    assert next(results) == 0
    wait_for(lambda: len(started) >= 6)
    time.sleep(0.05)
    assert len(started) <= 1 + 5 + workers
    assert next(results) == 1
    wait_for(lambda: len(started) >= 7)
    results.close()
    assert len(started) < 30


def test_it_works_ahead_of_the_consumer():
    started: list[int] = []

    def work(job: int) -> int:
        started.append(job)
        return job

    results = prefetch(range(8), work, size=lambda _: 1, budget=100, workers=2)
    assert next(results) == 0
    wait_for(lambda: len(started) == 8)
    assert list(results) == list(range(1, 8))


def test_workers_work_side_by_side():
    together = threading.Barrier(3)

    def work(job: int) -> int:
        together.wait(TIMEOUT_S)
        return job

    results = prefetch(range(6), work, size=lambda _: 1, budget=100, workers=3)
    assert within_time(lambda: list(results)) == list(range(6))


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 20),
    bad=st.sets(st.integers(0, 19), min_size=1),
    workers=st.integers(1, 4),
    budget=st.integers(1, 10),
)
def test_an_error_comes_where_its_result_would_have(count, bad, workers, budget):
    def work(job: int) -> int:
        if job in bad:
            raise KeyError(job)
        return job

    got: list[int] = []

    def consume() -> None:
        for job in prefetch(range(count), work, size=lambda _: 3, budget=budget, workers=workers):
            got.append(job)

    before = threading.active_count()
    first = min(bad)
    if first < count:
        with pytest.raises(KeyError) as caught:
            within_time(consume)
        assert caught.value.args == (first,)
    else:
        within_time(consume)
    assert got == list(range(min(first, count)))
    assert threading.active_count() <= before


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_jobs_comes_in_its_place(workers):
    def jobs() -> Iterator[int]:
        yield from range(5)
        raise OSError("no more")

    got: list[int] = []

    def consume() -> None:
        for job in prefetch(jobs(), lambda j: j, size=lambda _: 1, budget=2, workers=workers):
            got.append(job)

    with pytest.raises(OSError, match="no more"):
        within_time(consume)
    assert got == [0, 1, 2, 3, 4]


def test_an_error_of_size_comes_in_its_place():
    def consume() -> list[int]:
        return list(prefetch([1, 0], lambda j: j, size=lambda j: 1 // j, budget=9, workers=2))

    with pytest.raises(ZeroDivisionError):
        within_time(consume)


def test_jobs_are_taken_by_one_thread_at_a_time():
    busy = threading.Lock()

    def jobs() -> Iterator[int]:
        for job in range(200):
            assert busy.acquire(blocking=False), "two threads in the jobs at once"
            busy.release()
            yield job

    results = prefetch(jobs(), lambda j: j, size=lambda _: 0, budget=1, workers=6)
    assert within_time(lambda: list(results)) == list(range(200))


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_closing_early_ends_the_threads(taken):
    before = threading.active_count()
    done: list[int] = []

    def work(job: int) -> int:
        done.append(job)
        return job

    results = prefetch(range(10**9), work, size=lambda _: 1, budget=20, workers=4)
    assert [next(results) for _ in range(taken)] == list(range(taken))
    within_time(results.close)
    assert threading.active_count() == before
    assert len(done) <= taken + 20 + 4
    assert list(results) == []


def test_no_jobs():
    assert within_time(
        lambda: list(prefetch([], lambda j: j, size=lambda _: 1, budget=1, workers=3))
    ) == []  # fmt: skip
