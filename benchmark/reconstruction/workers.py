"""Measuring processes, as many as there are cores, while the codec works.

Processes of their own, not forks or threads: PESQ's C code can end the process that it runs in, and
it is alone in there with one clip.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

_ROOT = Path(__file__).parents[3]  # where the folder `earmark` lies


class WorkerDiedError(RuntimeError):
    """A measuring process ended in the middle of a job."""


class Workers:
    """A pool of measuring processes; a context manager.

    count: how many. At most twice as many jobs wait at any time: `submit` blocks until there is
    room, so that a fast codec does not fill the disk.
    """

    def __init__(self, count: int) -> None:
        self._room = threading.Semaphore(2 * count)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="measure")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._ended = False

    def __enter__(self) -> Workers:
        return self

    def submit(self, job: dict[str, Any]) -> Future[dict[str, Any]]:
        """Have a pair measured; see `worker.answer` for job and answer.

        The answer's `error` says, in one line, why a pair could not be measured at all.
        """
        self._room.acquire()
        future = self._pool.submit(self._measure, job)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _measure(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._ask(job)
        except WorkerDiedError:
            return self._one_by_one(job)

    def _one_by_one(self, job: dict[str, Any]) -> dict[str, Any]:
        """Each metric alone: the one that ends its process has no value, the others do."""
        try:
            found = self._ask(job | {"metrics": []})
        except WorkerDiedError as death:
            return {"error": str(death)}
        for name in job["metrics"]:
            try:
                alone = self._ask(job | {"metrics": [name], "plot": None})
            except WorkerDiedError as death:
                alone = {"values": {name: None}, "reasons": {name: str(death)}}
            if "error" in alone:
                return alone
            found["values"] |= alone["values"]
            found["reasons"] |= alone["reasons"]
        return found

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            status = process.wait()
            self._local.process = None
            with self._lock:
                self._processes.discard(process)
            ended = f"signal {-status}" if status < 0 else f"status {status}"
            raise WorkerDiedError(f"the process that measured it ended with {ended}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _process(self) -> subprocess.Popen[str]:
        """This thread's own process, started when first needed."""
        known: subprocess.Popen[str] | None = getattr(self._local, "process", None)
        if known is None:
            if self._ended:
                raise WorkerDiedError("measuring was ended")
            path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            known = self._local.process = subprocess.Popen(
                [sys.executable, "-m", "earmark.benchmark.reconstruction.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                text=True,
                encoding="utf-8",
                # Ctrl-C is for the one who started them, who then closes their input
                start_new_session=True,
            )
            with self._lock:
                self._processes.add(known)
        return known

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # nobody waits for what is under way
            self._ended = True
            with self._lock:
                for process in self._processes:
                    process.kill()
        self._pool.shutdown(cancel_futures=error is not None)
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if stream is not None:
                        stream.close()
            process.wait()
