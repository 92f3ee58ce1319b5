"""How many threads a kernel gets, and the team that runs it on them."""

import os
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import joblib
import numpy as np

from fastbp.engines.cpu.barrier import BROKEN, ENTERED, SYNC_SIZE
from fastbp.engines.cpu.cores import current_core, leave_cores
from fastbp.engines.cpu.workers import Worker, allocate_lock, recruit

# Work below this is done sooner by one thread than handed to another: about 10 µs of arithmetic.
FLOPS_A_THREAD = 2_000_000
WEIGHTS_A_THREAD = 200_000  # moved by the solver: they come from a cache that cores share, or from memory

# ``kernel(thread, n_threads)``, for n_threads = 0 without doing anything; see `Threads.run`.
Kernel = Callable[[int, int], Any]

_lock = allocate_lock()
_busy = 0  # threads at work in this process, beyond the first of each team
_loaded: set[Hashable] = set()  # kernels that this process has compiled or loaded


def _forget_after_fork() -> None:
    global _lock, _busy
    _lock, _busy = allocate_lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def available_threads(n_jobs: int | None) -> int:
    """Threads that a fit may use.

    ``None``: the cores that affinity, container quota and joblib leave to this process, at most
    OMP_NUM_THREADS. Negative numbers count from the cores, as in joblib: −1 is all of them. An environment
    variable that holds no number counts for nothing.
    """
    if n_jobs is not None and n_jobs > 0:
        return int(n_jobs)
    cores = _cores(os.environ.get("LOKY_MAX_CPU_COUNT"), _affinity())
    if n_jobs is not None:
        return max(1, cores + 1 + int(n_jobs))
    try:
        wish = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])  # a list: one for each level
    except ValueError:
        return cores
    return min(cores, wish) if wish > 0 else cores


def _affinity() -> frozenset[int] | None:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@lru_cache(maxsize=8)
def _cores(loky_limit: str | None, affinity: frozenset[int] | None) -> int:
    """joblib's count, which reads the container's quota from files: asked once for each setting."""
    try:
        return joblib.cpu_count()
    except ValueError:  # its own variable, LOKY_MAX_CPU_COUNT, is no number
        return len(affinity) if affinity else os.cpu_count() or 1


def useful_threads(flops: float, registers: int, n_parameters: int = 0) -> int:
    """Threads that can be kept busy by `flops` of work on that many registers of rows, or by weights.

    A step on few rows of a large network is mostly the solver's, and that is shared whatever the rows.
    """
    by_rows = min(registers, int(flops // FLOPS_A_THREAD))
    return max(1, by_rows, n_parameters // WEIGHTS_A_THREAD)


class Threads:
    """Threads that run a kernel together; the process has one budget for all its teams.

    A team holds no threads between two runs. Their number may differ from run to run, since results do not
    depend on it.

    Parameters
    ----------
    n_jobs : int or None
    useful : int
        More threads than this would not help.

    Attributes
    ----------
    n_threads : int
        At most; a kernel's memory is sized by it.
    n_used : int
        In the latest run.
    sync : int64 array
        For ``fastbp.engines.cpu.barrier``.
    """

    def __init__(self, n_jobs: int | None, useful: int) -> None:
        # Asking the system takes longer than a small prediction.
        self._limit = available_threads(n_jobs) if useful > 1 else 1
        self._shares_budget = n_jobs is None
        self.n_threads = min(useful, self._limit)
        self.n_used = 1
        self.sync = np.zeros(SYNC_SIZE, np.int64)

    @property
    def adapts(self) -> bool:
        """Whether a run may be on fewer threads than `n_threads` where that is faster."""
        return self._shares_budget and self.n_threads > 1

    def take_threads(self, wanted: int) -> int:
        """Take up to `wanted` threads from the budget for a run; returns how many beyond the first."""
        global _busy
        with _lock:
            free = self._limit - _busy if self._shares_budget else self._limit
            extra = max(1, min(wanted, free)) - 1
            _busy += extra
        return extra

    def give_threads_back(self, extra: int) -> None:
        """Give back the threads that `take_threads` has taken."""
        global _busy
        with _lock:
            _busy -= extra

    def run(self, kernel: Kernel, name: Hashable, wanted: int | None = None) -> Any:
        """``kernel(thread, n_threads)`` on 0 … n_threads − 1, as many as come; the result of thread 0.

        A kernel in which threads wait for one another begins with ``barrier.enter``. Where a thread fails to
        come there (for lack of memory, say), those that came compute alone.

        An interrupt that arrives meanwhile is raised when the kernel has come to its end on all threads.

        Parameters
        ----------
        kernel : callable
            Called with n_threads = 0 it is compiled or loaded and does nothing.
        name : hashable
            Identifies its compiled code.
        wanted : int or None
            Maximum number of threads; None: `n_threads`.
        """
        wanted = self.n_threads if wanted is None else min(wanted, self.n_threads)
        self.n_used = 1
        if wanted == 1:
            return kernel(0, 1)
        if name not in _loaded:
            # Here, where errors and interrupts of the compiler have somewhere to go.
            kernel(0, 0)
            _loaded.add(name)
        leader = recruit()
        if leader is None:
            return kernel(0, 1)
        # One of the workers starts the others, so that an interrupt of this thread cannot leave a team
        # incomplete. An interrupt comes to a main thread between any two instructions, to a worker never.
        run = _Run(self, kernel, wanted)
        leader.start(run)
        interrupt: BaseException | None = None
        while not run.has_ended:  # an interrupt may come between acquiring and leaving
            try:
                run.done.acquire()
            except BaseException as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
        if run.error is not None:
            raise run.error
        self.n_used = run.n_threads
        return run.result


class _Run:
    """One run of a kernel: the job of the team's leader."""

    def __init__(self, team: Threads, kernel: Kernel, wanted: int) -> None:
        self.team = team
        self.kernel = kernel
        self.wanted = wanted
        self.n_threads = 1  # that came
        self.result: Any = None
        self.error: BaseException | None = None
        self.has_ended = False
        self.done = allocate_lock()
        self.done.acquire()

    def __call__(self, leader: Worker) -> None:
        extra = 0
        try:
            extra = self.team.take_threads(self.wanted)
            self.result = self._on_threads(1 + extra)
        except BaseException as error:
            self.error = error
        finally:
            self.team.give_threads_back(extra)
            leader.rest()
            self.has_ended = True
            del self.kernel  # and with it arrays, which the caller may want to free
            self.done.release()

    def _on_threads(self, n_threads: int) -> Any:
        sync = self.team.sync
        while n_threads > 1:
            workers: list[Worker] = []
            while len(workers) < n_threads - 1 and (worker := recruit()) is not None:
                workers.append(worker)
            n_threads = 1 + len(workers)
            sync[:] = 0
            taken = [current_core()]
            shares = [_Share(self.kernel, thread, n_threads, sync, taken) for thread in range(n_threads)]
            for worker, share in zip(workers, shares[1:], strict=True):
                worker.start(share)
            shares[0].compute()
            for share in shares[1:]:
                share.done.acquire()
            errors = [share.error for share in shares if share.error is not None]
            if not errors:
                self.n_threads = n_threads
                return shares[0].result
            if sync[ENTERED] == n_threads:  # all were at work
                raise errors[0]
            n_threads -= len(errors)
        return self.kernel(0, 1)


class _Share:
    """The part of one thread of a team in a run."""

    def __init__(
        self, kernel: Kernel, thread: int, n_threads: int, sync: np.ndarray, taken: list[int | None]
    ) -> None:
        self.kernel, self.thread, self.n_threads, self.sync = kernel, thread, n_threads, sync
        self.taken = taken  # cores of the team
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = allocate_lock()
        self.done.acquire()

    def compute(self) -> None:
        try:
            self.result = self.kernel(self.thread, self.n_threads)
        except BaseException as error:
            self.error = error
            self.sync[BROKEN] = 1  # nobody shall wait for this thread

    def __call__(self, worker: Worker) -> None:
        try:
            leave_cores(self.taken)
            self.taken.append(current_core())
            self.compute()
        finally:
            worker.rest()
            del self.kernel
            self.done.release()
