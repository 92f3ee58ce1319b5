"""Training of many networks in one run.

On the CPU each thread trains one network at a time, the largest work first. Where fewer networks are left
than threads, several threads train a network together. Neither changes a bit of the results. Between rounds
of work the calling thread checks for Ctrl-C, reports progress and admits more networks. On a GPU see
``fastbp.training.device_fleet``.
"""

import contextvars
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sklearn

from fastbp.plan.training import LbfgsPlan
from fastbp.training.checkpoint_state import TrainingState
from fastbp.training.device_fleet import DeviceFleet
from fastbp.training.interrupt import Interruption
from fastbp.training.lbfgs import fit_lbfgs
from fastbp.training.minibatch import MinibatchFit, fit_minibatch
from fastbp.training.problem import Problem
from fastbp.training.progress import FleetProgress
from fastbp.training.result import Result

Outcome = Result | Exception

SECONDS_PER_ROUND = 0.1
MOST_WAITING = 256  # networks that are prepared ahead of their training
WAITING_BYTES = 64 << 20  # of their parameters


def fit_fleet(
    problems: Iterable[Problem], n_jobs: int | None, progress: FleetProgress
) -> Iterator[tuple[int, Outcome]]:
    """Train many networks; yield number and outcome of each, in the order in which they end.

    Parameters
    ----------
    problems : iterable of Problem
        Read as networks are admitted, some ahead of their training.
    n_jobs : int or None
        Threads in all.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; networks that are being trained are dropped.
    """
    with Interruption() as interruption:
        fleet = _Fleet(iter(problems), n_jobs, interruption)
        try:
            while fleet.admit():
                for member in fleet.run_round():
                    yield member.number, member.outcome()
                interruption.check()
                progress.report(fleet.n_ended, fleet.n_epochs)
        finally:
            fleet.close()
            progress.close()


@dataclass
class _Member:
    """A network of the fleet.

    Attributes
    ----------
    number : int
        Position among the problems.
    problem : Problem
    running : MinibatchFit or None
        None until a thread begins its training.
    result : Result or None
        Of a fit that was complete at once.
    error : Exception or None
        Raised by the fit before its end.
    """

    number: int
    problem: Problem
    running: MinibatchFit | None = None
    result: Result | None = None
    error: Exception | None = None

    @property
    def work(self) -> float:
        """Floating-point operations of the training that is left, at most."""
        problem = self.problem
        n_epochs = getattr(problem.training, "max_epochs", 1)
        if isinstance(problem.resumed, TrainingState):
            n_epochs -= problem.resumed.n_epochs
        return float(problem.network.flops_per_row * len(problem.rows) * n_epochs)

    @property
    def n_epochs(self) -> int:
        """Epochs that have been trained."""
        if self.running is not None:
            return self.running.trainer.n_epochs
        return 0 if self.result is None else self.result.n_epochs

    def close(self) -> None:
        """Give back the memory of the training."""
        if self.running is not None:
            self.running.__exit__(None, None, None)

    def outcome(self) -> Outcome:
        """Return the result or the error; issue the warnings of the fit."""
        if self.error is not None:
            return self.error
        if self.result is not None:
            return self.result
        assert self.running is not None
        try:
            return self.running.result()
        except Exception as error:
            return error


class _Fleet:
    """The networks that wait, are in training, and have ended."""

    def __init__(self, problems: Iterator[Problem], n_jobs: int | None, interruption: Interruption) -> None:
        self._problems, self._n_jobs, self._interruption = problems, n_jobs, interruption
        self._n_read = self._waiting_bytes = 0
        self._waiting: deque[_Member] = deque()  # the smallest first
        self._training: list[_Member] = []
        self._ended: deque[_Member] = deque()
        self._device = DeviceFleet()
        self._chunks: dict[tuple[int, int], int] = {}  # steps of a chunk, by shape of network
        self.n_ended = self._n_epochs_ended = 0

    @property
    def n_epochs(self) -> int:
        """Epochs that have been trained, of all networks together."""
        in_training = sum(member.n_epochs for member in self._training)
        return self._n_epochs_ended + in_training + self._device.n_epochs

    @property
    def _has_room(self) -> bool:
        """Whether more networks should be prepared."""
        is_short = len(self._waiting) < MOST_WAITING and self._waiting_bytes < WAITING_BYTES
        return is_short and self._device.has_room

    def admit(self) -> bool:
        """Read problems as long as there is room; return whether any network is left."""
        n_before = len(self._waiting)
        while self._has_room:
            problem = next(self._problems, None)
            if problem is None:
                break
            self._admit_one(problem)
            if self._ended:  # it is reported at once
                break
            self._interruption.check()
        if len(self._waiting) > n_before:
            self._waiting = deque(sorted(self._waiting, key=lambda member: member.work))
        return bool(self._waiting or self._training or self._ended or self._device.n_left)

    def _admit_one(self, problem: Problem) -> None:
        number, self._n_read = self._n_read, self._n_read + 1
        member = _Member(number, problem)
        if self._device.add(number, problem):
            return
        if problem.tasks is not None or not hasattr(problem.engine, "run_on_threads"):
            # Callbacks are called in the user's thread, and a GPU has no threads.
            try:
                member.result = fit_alone(problem)
            except Exception as error:
                member.error = error
            self._ended.append(member)
            return
        self._waiting.append(member)
        self._waiting_bytes += problem.parameters.nbytes

    def run_round(self) -> list[_Member]:
        """Train for about `SECONDS_PER_ROUND`; return the members that have ended."""
        n_left = len(self._training) + len(self._waiting)
        if n_left and not self._ended:
            member = self._training[0] if self._training else self._waiting[0]
            self._train(member.problem.engine, n_left)
        if self._device.n_left and not self._ended:
            self._ended.extend(_Member(*ended) for ended in self._device.run_round())
        ended = list(self._ended)
        self._ended.clear()
        self.n_ended += len(ended)
        self._n_epochs_ended += sum(member.n_epochs for member in ended)
        return ended

    def _train(self, engine: Any, n_left: int) -> None:
        n_available = engine.available_threads(self._n_jobs)
        n_threads = min(n_left, n_available)
        pending: deque[_Member] = deque(self._training)
        still: deque[_Member] = deque()
        until = time.perf_counter() + SECONDS_PER_ROUND
        contexts = [contextvars.copy_context() for _ in range(n_threads)]
        config = sklearn.get_config()

        def train() -> None:
            while (member := self._take(pending)) is not None:
                if self._advance(member, until, n_available // n_threads):
                    still.append(member)
                else:
                    self._ended.append(member)
                if time.perf_counter() >= until:
                    break

        def work(thread: int, of: int) -> None:
            if of > 0:
                with sklearn.config_context(**config):  # for scorers
                    contexts[thread].run(train)

        try:
            engine.run_on_threads(work, n_threads, self._n_jobs)
        finally:
            self._training = [*still, *pending]

    def _take(self, pending: deque[_Member]) -> _Member | None:
        """Take a network that is in training, or the largest that waits. Threads may call it at once."""
        for queue in (pending, self._waiting):
            try:
                member = queue.pop()
            except IndexError:
                continue
            if queue is self._waiting:
                self._waiting_bytes -= member.problem.parameters.nbytes
            return member
        return None

    def _advance(self, member: _Member, until: float, n_threads: int) -> bool:
        """Train a network until that time; return whether its training has not come to an end."""
        try:
            return self._trains(member, until, n_threads)
        except KeyboardInterrupt:  # of L-BFGS
            return False
        except Exception as error:
            member.error = error
            member.close()
            return False

    def _trains(self, member: _Member, until: float, n_threads: int) -> bool:
        problem = member.problem
        if isinstance(problem.training, LbfgsPlan):
            member.result = fit_lbfgs(problem, self._interruption)
            return False
        shape = id(problem.network), problem.training.batch_size
        if member.running is None:
            member.running = MinibatchFit(problem, self._chunks.get(shape, 1)).__enter__()
        running = member.running
        running.trainer.limit_threads(n_threads)
        while running.train_chunk():
            if time.perf_counter() >= until:
                return True
        running.conclude()
        self._chunks[shape] = running.chunk
        member.close()
        return False

    def close(self) -> None:
        """Give back the memory of the networks in training."""
        for member in self._training:
            member.close()
        self._device.close()


def fit_alone(problem: Problem) -> Result:
    """Train one network on all threads."""
    return fit_lbfgs(problem) if isinstance(problem.training, LbfgsPlan) else fit_minibatch(problem)
