"""A peer in a process of its own, which answers one command at a time and sleeps between them.

So the peers' thread pools and memory can't disturb each other, while their rounds can still be interleaved.
Run as a script, this file is the worker's side: pickled (command, arguments) on stdin, pickled (error,
result) on stdout.
"""

import contextlib
import math
import os
import pickle
import subprocess
import sys
import time
import traceback
from pathlib import Path

PREDICTED_MANY = 100_000
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class WorkerError(Exception):
    """The worker's own traceback, or the news that it died."""


class Worker:
    """The parent's side: ``worker.call("sample")``. Leaves no process behind as a context manager."""

    def __init__(self, threads: int, environment: dict[str, str] | None = None):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the workers
            env=os.environ | thread_environment(threads) | (environment or {}),
        )
        self.call("limit_cpus", threads)

    def call(self, command: str, *arguments):
        try:
            pickle.dump((command, arguments), self.process.stdin)
            self.process.stdin.flush()
            error, result = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError):
            raise WorkerError(f"worker died with exit code {self.process.wait()} in {command!r}") from None
        if error:
            raise WorkerError(error)
        return result

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        if kind is not None:
            self.process.kill()
        self.close()


def thread_environment(threads: int) -> dict[str, str]:
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    if threads == 1:
        environment["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    return environment


def available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Commands:
    """The worker's side. Libraries are imported as late as possible: the start-up is measured, too."""

    def limit_cpus(self, threads: int) -> None:
        """Keep to as many cores as threads, since not every library has a setting for its pools."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

    def prepare(self, peer: str, workload, dtype: str, threads: int) -> None:
        import peers

        self.fit = None  # the last workload's memory goes before the next one's comes
        self.fit = peers.prepare(peer, workload, dtype, threads)

    def answer(self, epochs: int) -> dict:
        """Fit a few epochs in the rows' own order and return all that the parent compares."""
        how = {"epochs": epochs, "shuffle": False}
        self.fit.warm_up(**how)
        self.fit.fit(**how)
        coefs, intercepts = self.fit.weights()
        return {
            "coefs": coefs,
            "intercepts": intercepts,
            "predictions": self.fit.predict(self.fit.X[:256]),
            "objective": self.fit.loss if self.fit.loss_is_objective else None,
        }

    def warm_up(self, min_seconds: float, after_product: bool = False) -> None:
        """Compile, then find how many fits make a sample of at least `min_seconds`.

        With `after_product` each fit of a sample comes right after a matrix product of NumPy's, whose threads
        may then still wait for more work; the product is not timed.
        """
        self.before_fit = nothing
        if after_product:
            from gemm import Squares

            self.before_fit = Squares(self.fit.dtype, 1024).multiply
        self.fit.warm_up()
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            self._fit()
            seconds.append(time.perf_counter() - start)
        self.repeats = max(1, math.ceil(min_seconds / min(seconds)))

    def sample(self) -> float:
        """Return the seconds of a fit, the mean over the repeats."""
        return sum(self._fit() for _ in range(self.repeats)) / self.repeats

    def _fit(self) -> float:
        self.before_fit()
        return self.fit.fit()

    def loss(self) -> float:
        return self.fit.loss

    def predict(self, rows: int, min_seconds: float) -> float:
        """Return the seconds of a prediction of `rows` rows, after one that is not counted."""
        import numpy as np

        X = np.take(self.fit.X, np.arange(rows), axis=0, mode="wrap")
        self.fit.predict(X)
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < min_seconds:
            self.fit.predict(X)
            calls += 1
        return (time.perf_counter() - start) / calls

    def gemm(self, dtype: str, size: int = 2048) -> float:
        """Return the operations a second of NumPy's product of two square matrices."""
        from gemm import Squares

        if not hasattr(self, "squares"):
            self.squares = Squares(dtype, size)
        return self.squares.rate()

    def gemm_alone(self, dtype: str) -> float:
        """Return the rate of `gemm` for smaller matrices on one thread."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return self.gemm(dtype, 1024)

    def tile(self, dtype: str) -> tuple[float, float, float]:
        from tile_rate import tile_and_product

        return tile_and_product(dtype)

    def start_up(self, peer: str, workload: str, dtype: str, threads: int) -> tuple[float, float]:
        """Return the seconds of the import, as a user does it, and of the first fit after it.

        The workload comes by its name: a pickled one would import NumPy before the clock starts.
        """
        import importlib

        import peers

        name = peers.import_name(peer)
        start = time.perf_counter()
        importlib.import_module(name)
        imported = time.perf_counter() - start
        from workloads import WORKLOADS

        self.prepare(peer, WORKLOADS[workload], dtype, threads)
        start = time.perf_counter()
        self.fit.warm_up()
        return imported, time.perf_counter() - start

    def memory(self, peer: str, workload, dtype: str, threads: int) -> tuple[int, int]:
        """Return the peak of bytes resident before and in a fit; the data are there before."""
        from dataclasses import replace

        self.prepare(peer, workload, dtype, threads)
        before = peak_memory()
        self.fit.workload = replace(workload, epochs=1)
        self.fit.warm_up()
        self.fit.fit()
        return before, peak_memory()


def nothing() -> None:
    pass


def peak_memory() -> int:
    """Return the most bytes that this process has had resident.

    `ru_maxrss` would start from the parent's, so it only serves where there is no /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def serve() -> None:
    # whatever a library prints must not end up among the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    commands = Commands()
    while True:
        try:
            command, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply = (None, getattr(commands, command)(*arguments))
        except Exception:
            reply = (traceback.format_exc(), None)
        pickle.dump(reply, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
