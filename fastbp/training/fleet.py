"""Training of many networks in one run.

Each thread trains one network at a time, or a block of small ones, the largest work first. Where fewer are
left than threads, several threads train a network together. Neither changes a bit of the results. Between
rounds of work the calling thread checks for Ctrl-C, reports progress and admits more networks. On a GPU see
``fastbp.training.device_fleet``.
"""

import contextvars
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import sklearn

from fastbp.plan.training import LbfgsPlan
from fastbp.training.device_fleet import DeviceFleet
from fastbp.training.fleet_units import Member, Outcome, Unit, units_of
from fastbp.training.interrupt import Interruption
from fastbp.training.lbfgs import fit_lbfgs
from fastbp.training.minibatch import fit_minibatch
from fastbp.training.problem import Problem
from fastbp.training.progress import FleetProgress
from fastbp.training.result import Result

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


class _Fleet:
    """The networks that wait, are in training, and have ended."""

    def __init__(self, problems: Iterator[Problem], n_jobs: int | None, interruption: Interruption) -> None:
        self._problems, self._n_jobs, self._interruption = problems, n_jobs, interruption
        self._n_read = 0
        self._waiting: deque[Unit] = deque()  # the smallest first
        self._training: list[Unit] = []
        self._ended: deque[Member] = deque()
        self._device = DeviceFleet()
        self._chunks: dict[tuple[int, int], int] = {}  # steps of a chunk, by shape of network
        self.n_ended = self._n_epochs_ended = 0

    @property
    def n_epochs(self) -> int:
        """Epochs that have been trained, of all networks together."""
        in_training = sum(unit.n_epochs for unit in self._training)
        return self._n_epochs_ended + in_training + self._device.n_epochs

    def admit(self) -> bool:
        """Read problems as long as there is room; return whether any network is left."""
        read: list[Member] = []
        n_waiting = sum(len(unit.members) for unit in self._waiting)
        n_bytes = sum(unit.n_bytes for unit in self._waiting)
        while n_waiting + len(read) < MOST_WAITING and n_bytes < WAITING_BYTES and self._device.has_room:
            problem = next(self._problems, None)
            if problem is None:
                break
            member = Member(self._n_read, problem)
            self._n_read += 1
            if self._device.add(member):
                self._interruption.check()
                continue
            if problem.tasks is not None or not hasattr(problem.engine, "run_on_threads"):
                self._train_here(member)
                break  # it is reported at once
            read.append(member)
            n_bytes += problem.parameters.nbytes
        if read:
            n_threads = read[0].problem.engine.available_threads(self._n_jobs)
            units = [*self._waiting, *units_of(read, n_threads)]
            self._waiting = deque(sorted(units, key=lambda unit: unit.work))
        return bool(self._waiting or self._training or self._ended or self._device.n_left)

    def _train_here(self, member: Member) -> None:
        """Train a network in the user's thread, for its callbacks; or on a GPU, which has no threads."""
        try:
            member.result = fit_alone(member.problem)
        except Exception as error:
            member.error = error
        self._ended.append(member)

    def run_round(self) -> list[Member]:
        """Train for about `SECONDS_PER_ROUND`; return the members that have ended."""
        n_left = len(self._training) + len(self._waiting)
        if n_left and not self._ended:
            unit = self._training[0] if self._training else self._waiting[0]
            self._train(unit.members[0].problem.engine, n_left)
        if self._device.n_left and not self._ended:
            self._ended.extend(self._device.run_round())
        ended = list(self._ended)
        self._ended.clear()
        self.n_ended += len(ended)
        self._n_epochs_ended += sum(member.n_epochs for member in ended)
        return ended

    def _train(self, engine: Any, n_left: int) -> None:
        n_available = engine.available_threads(self._n_jobs)
        n_threads = min(n_left, n_available)
        pending: deque[Unit] = deque(self._training)
        still: deque[Unit] = deque()
        until = time.perf_counter() + SECONDS_PER_ROUND
        contexts = [contextvars.copy_context() for _ in range(n_threads)]
        config = sklearn.get_config()

        def train() -> None:
            while (unit := self._take(pending)) is not None:
                if self._advance(unit, until, n_available // n_threads):
                    still.append(unit)
                else:
                    self._ended.extend(unit.members)
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

    def _take(self, pending: deque[Unit]) -> Unit | None:
        """Take a unit that is in training, or the largest that waits. Threads may call it at once."""
        for queue in (pending, self._waiting):
            try:
                return queue.pop()
            except IndexError:
                continue
        return None

    def _advance(self, unit: Unit, until: float, n_threads: int) -> bool:
        """Train a unit until that time; return whether its training has not come to an end."""
        try:
            unit.chunk = self._chunks.get(unit.shape, 1)
            is_running = unit.train(until, n_threads, self._interruption)
        except KeyboardInterrupt:  # of L-BFGS
            return False
        except Exception as error:
            unit.fail(error)
            unit.close()
            return False
        self._chunks[unit.shape] = unit.chunk
        return is_running

    def close(self) -> None:
        """Give back the memory of the networks in training."""
        for unit in self._training:
            unit.close()
        self._device.close()


def fit_alone(problem: Problem) -> Result:
    """Train one network on all threads."""
    return fit_lbfgs(problem) if isinstance(problem.training, LbfgsPlan) else fit_minibatch(problem)
