"""What a thread of a fleet trains at a time: one network, or a block of small ones.

Python takes longer to make a trainer, to run it and to read its result than a small network takes to train.
In a block this is done once for several networks.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastbp.plan.training import LbfgsPlan, TrainingPlan
from fastbp.training.checkpoint_state import TrainingState
from fastbp.training.interrupt import Interruption
from fastbp.training.lbfgs import fit_lbfgs
from fastbp.training.minibatch import MinibatchFit, next_chunk
from fastbp.training.problem import Problem
from fastbp.training.progress import Progress
from fastbp.training.result import Result

Outcome = Result | Exception

# Limits of a block. Its networks are trained by one thread, and those of a fleet should end at one time.
MOST_MEMBERS = 16
LARGEST_WORK = 1e8  # floating-point operations of one network: some milliseconds
MOST_EPOCHS = 4096  # of one network
MOST_NUMBERS = 1 << 18  # parameters and rows of all networks: a few megabytes with moments and loss curves


@dataclass(eq=False)
class Member:
    """A network of a fleet.

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

    @property
    def block_key(self) -> tuple | None:
        """Key of the networks that may be in a block with this one; None if it is trained alone."""
        problem, training, rows = self.problem, self.problem.training, self.problem.rows
        if (
            not isinstance(training, TrainingPlan)
            or problem.score is not None
            or type(problem.progress) is not Progress
            or training.max_epochs > MOST_EPOCHS
            or self.work > LARGEST_WORK
        ):
            return None
        objects = (problem.network, rows.X, rows.targets, rows.index)
        return (*map(id, objects), rows.sample_weight is None, training.structure)

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


class Unit(ABC):
    """One network or several that a thread trains.

    Attributes
    ----------
    members : list of Member
    shape : tuple
        Units of one shape make steps of one duration.
    work : float
        Floating-point operations of the training that is left, at most.
    n_bytes : int
        Memory of the initial parameters.
    chunk : int
        Steps of the next chunk.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        problem = members[0].problem
        self.members = list(members)
        self.shape = id(problem.network), getattr(problem.training, "batch_size", 0)
        self.work = sum(member.work for member in members)
        self.n_bytes = sum(member.problem.parameters.nbytes for member in members)
        self.chunk = 1

    @property
    @abstractmethod
    def n_epochs(self) -> int:
        """Epochs that have been trained."""

    @abstractmethod
    def train(self, until: float, n_threads: int, interruption: Interruption) -> bool:
        """Train until that time of ``time.perf_counter``; return whether training has not come to its end."""

    def fail(self, error: Exception) -> None:
        """Note an error that ends the training."""
        for member in self.members:
            member.error = error

    def close(self) -> None:
        """Give back the memory of the training."""
        for member in self.members:
            if member.running is not None:
                member.running.__exit__(None, None, None)


class Single(Unit):
    """One network, which several threads may train together."""

    def __init__(self, member: Member) -> None:
        super().__init__([member])
        self.member = member

    @property
    def n_epochs(self) -> int:
        return self.member.n_epochs

    def train(self, until: float, n_threads: int, interruption: Interruption) -> bool:
        member, problem = self.member, self.member.problem
        if isinstance(problem.training, LbfgsPlan):
            member.result = fit_lbfgs(problem, interruption)
            return False
        if member.running is None:
            member.running = MinibatchFit(problem, self.chunk).__enter__()
        running = member.running
        running.trainer.limit_threads(n_threads)
        while running.train_chunk():
            if time.perf_counter() >= until:
                return True
        running.conclude()
        self.chunk = running.chunk
        self.close()
        return False


class Block(Unit):
    """Small networks of one shape on the same rows, which one thread trains one after the other."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self._trainer: Any = None

    @property
    def n_epochs(self) -> int:
        return 0 if self._trainer is None else self._trainer.n_epochs

    def train(self, until: float, n_threads: int, interruption: Interruption) -> bool:
        if self._trainer is None:
            self._begin()
        while True:
            started = time.perf_counter()
            asked, done = self.chunk, self._trainer.train(self.chunk)
            now = time.perf_counter()
            self.chunk = next_chunk(asked, done, now - started)
            if done < asked:
                break
            if now >= until:
                return True
        for member in self.members:
            assert member.running is not None
            try:
                member.running.conclude()
            except Exception as error:
                member.error = error
        return False

    def _begin(self) -> None:
        fits = [MinibatchFit(member.problem) for member in self.members]
        starts = [(fit.training, fit.problem.rows, fit.start.parameters, fit.start.state) for fit in fits]
        problem = fits[0].problem
        self._trainer = problem.engine.Block(problem.network, starts)
        for member, fit, trainer in zip(self.members, fits, self._trainer.members, strict=True):
            fit.begin(trainer)
            member.running = fit


def units_of(members: Sequence[Member], n_threads: int) -> list[Unit]:
    """Divide networks into units for some threads: small ones of one shape into blocks."""
    alike: dict[Any, list[Member]] = {}
    for member in members:
        key = member.block_key
        alike.setdefault(member.number if key is None else key, []).append(member)
    most = min(MOST_MEMBERS, -(-len(members) // (2 * n_threads)))
    units: list[Unit] = []
    for group in alike.values():
        problem = group[0].problem
        n_numbers = problem.network.n_parameters + len(problem.rows)
        size = max(1, min(most, MOST_NUMBERS // n_numbers))
        for first in range(0, len(group), size):
            part = group[first : first + size]
            units.append(Single(part[0]) if len(part) == 1 else Block(part))
    return units
