"""How many threads a fit gets, and the team that runs a kernel on them."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any

import joblib

# Work below this is done sooner by one thread than handed to another: about 10 µs of arithmetic.
FLOPS_A_THREAD = 2_000_000
WEIGHTS_A_THREAD = 200_000  # moved by the solver: they come from a cache that cores share, or from memory

_lock = threading.Lock()
_busy = 0  # threads of teams at work in this process, beyond the first of each


def _forget_after_fork() -> None:
    global _lock, _busy
    _lock, _busy = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def available_threads(n_jobs: int | None) -> int:
    """Threads that a fit may use.

    ``None``: the cores that affinity, container quota and joblib leave to this process, at most
    OMP_NUM_THREADS. Negative numbers count from the cores, as in joblib: −1 is all of them.
    """
    if n_jobs is not None:
        return max(1, joblib.effective_n_jobs(n_jobs)) if n_jobs < 0 else n_jobs
    limit = _cores(os.environ.get("LOKY_MAX_CPU_COUNT"), _affinity())
    wish = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list: one for each level
    if wish.isdigit() and int(wish) > 0:
        limit = min(limit, int(wish))
    return limit


def _affinity() -> frozenset[int] | None:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@lru_cache(maxsize=8)
def _cores(loky_limit: str | None, affinity: frozenset[int] | None) -> int:
    """joblib's count, which reads the container's quota from files: asked once for each setting."""
    return joblib.cpu_count()


class Team:
    """Up to `n_threads` threads for one fit; the process has one budget for all its teams.

    Parameters
    ----------
    n_jobs : int or None
    useful : int
        More threads than this would not help.
    """

    def __init__(self, n_jobs: int | None, useful: int) -> None:
        global _busy
        # Asking the system takes longer than a small prediction.
        limit = available_threads(n_jobs) if useful > 1 else 1
        with _lock:
            free = limit if n_jobs is not None else limit - _busy
            self.n_threads = max(1, min(useful, free))
            self._extra = self.n_threads - 1
            _busy += self._extra
        self._pool = ThreadPoolExecutor(self.n_threads, "fastbp") if self._extra else None

    def run(self, kernel: Callable[[int], Any]) -> Any:
        """``kernel(thread)`` on all threads; the result of thread 0.

        An interrupt that arrives meanwhile is raised when the kernel has come to its end on all threads.
        """
        if self._pool is None:
            return kernel(0)
        # One thread of the team starts the others, so that an interrupt of this thread cannot leave the team
        # incomplete, waiting at its barrier.
        leader = self._pool.submit(self._lead, kernel)
        try:
            return leader.result()
        except BaseException:
            wait([leader])
            raise

    def _lead(self, kernel: Callable[[int], Any]) -> Any:
        assert self._pool is not None
        others = [self._pool.submit(kernel, thread) for thread in range(1, self.n_threads)]
        result = kernel(0)
        for other in others:
            other.result()
        return result

    def close(self) -> None:
        """End the threads; a second call does nothing."""
        global _busy
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
            with _lock:
                _busy -= self._extra


def useful_threads(flops: float, registers: int, n_parameters: int = 0) -> int:
    """Threads that can be kept busy by `flops` of work on that many registers of rows, or by weights.

    A step on few rows of a large network is mostly the solver's, and that is shared whatever the rows.
    """
    by_rows = min(registers, int(flops // FLOPS_A_THREAD))
    return max(1, by_rows, n_parameters // WEIGHTS_A_THREAD)
