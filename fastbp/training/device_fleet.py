"""Training of many networks on an engine that trains those of one shape together: a GPU, in one launch.

The networks that wait are grouped by shape, and the largest group is trained first, as many networks at a
time as have room on the device. Their results have the same bits as those of single fits. Networks that the
host must look at after every epoch (early stopping by a validation score, callbacks, a line of output each
epoch) and those whose group is too small are trained one after another.
"""

import time
from collections import deque
from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, NamedTuple

from fastbp.engines.fit_state import FitStart
from fastbp.plan.training import TrainingPlan
from fastbp.training.minibatch import MinibatchFit, fit_minibatch, next_chunk
from fastbp.training.problem import Problem
from fastbp.training.result import Result

MOST_WAITING = 4096  # networks that are prepared ahead of their training
WAITING_BYTES = 256 << 20  # of their parameters
FIRST_CHUNK = 16  # steps
SECONDS_PER_LAUNCH = 0.2  # longer than a chunk of a single fit: thousands of networks are looked at after it


class Ended(NamedTuple):
    """A network whose training has ended: with a fit to conclude, a result or an error."""

    number: int
    problem: Problem
    running: MinibatchFit | None = None
    result: Result | None = None
    error: Exception | None = None


class _FleetFit(MinibatchFit):
    """A fit whose steps are made by the trainer of a fleet."""

    def __init__(self, number: int, problem: Problem, member: Any) -> None:
        super().__init__(problem)
        self.number, self._member = number, member

    def _trainer(self) -> AbstractContextManager[Any]:
        return nullcontext(self._member)


class DeviceFleet:
    """The networks of a fleet that are trained on a device.

    Attributes
    ----------
    n_left : int
        Networks that have not ended.
    """

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[tuple[int, Problem]]] = {}
        self._one_by_one: deque[tuple[int, Problem]] = deque()
        self._cohort: _Cohort | None = None
        self._chunks: dict[Hashable, int] = {}  # steps of a launch, by shape
        self._n_waiting = self._waiting_bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether more networks should be prepared."""
        return self._n_waiting < MOST_WAITING and self._waiting_bytes < WAITING_BYTES

    @property
    def n_left(self) -> int:
        return self._n_waiting + (0 if self._cohort is None else len(self._cohort.fits))

    @property
    def n_epochs(self) -> int:
        """Epochs of the networks in training."""
        return 0 if self._cohort is None else sum(fit.trainer.n_epochs for fit in self._cohort.fits)

    def add(self, number: int, problem: Problem) -> bool:
        """Have a network wait for its training; return False where it must be trained alone."""
        training, engine = problem.training, problem.engine
        if (
            not hasattr(engine, "FleetTrainer")
            or not isinstance(training, TrainingPlan)
            or problem.tasks is not None
            or problem.score is not None
            or problem.progress.every_epoch
        ):
            return False
        key = engine, engine.fleet_shape(problem.network, training, len(problem.rows))
        self._groups.setdefault(key, []).append((number, problem))
        self._n_waiting += 1
        self._waiting_bytes += problem.parameters.nbytes
        return True

    def run_round(self) -> list[Ended]:
        """Train for about `SECONDS_PER_LAUNCH`, or one network alone; return the networks that have ended."""
        if self._cohort is None and not self._one_by_one and self._groups:
            self._begin_group()
        if self._cohort is not None:
            ended = self._cohort.run_round()
            if not self._cohort.fits:
                self._chunks[self._cohort.key] = self._cohort.chunk
                self.close()
            return ended
        if self._one_by_one:
            number, problem = self._one_by_one.popleft()
            self._leave_queue(problem)
            try:
                return [Ended(number, problem, result=fit_minibatch(problem))]
            except Exception as error:
                return [Ended(number, problem, error=error)]
        return []

    def _begin_group(self) -> None:
        """Begin the training of the largest group."""
        key = max(self._groups, key=lambda key: len(self._groups[key]))
        waiting = self._groups.pop(key)
        n_taken = 0
        if len(waiting) > 1:
            # Where no fleet can be made each network raises the error of its own fit.
            with suppress(Exception):
                cohort = _Cohort(key, waiting, self._chunks.get(key, FIRST_CHUNK))
                n_taken = len(cohort.fits)
        if not n_taken:
            self._one_by_one.extend(waiting)
            return
        self._cohort = cohort
        for _, problem in waiting[:n_taken]:
            self._leave_queue(problem)
        if n_taken < len(waiting):
            self._groups[key] = waiting[n_taken:]

    def _leave_queue(self, problem: Problem) -> None:
        self._n_waiting -= 1
        self._waiting_bytes -= problem.parameters.nbytes

    def close(self) -> None:
        """Give back the memory of the networks in training."""
        if self._cohort is not None:
            self._cohort.close()
            self._cohort = None


class _Cohort:
    """Networks that are trained together.

    Attributes
    ----------
    fits : list of _FleetFit
        Those that have not ended.
    chunk : int
        Steps of the next launch.
    """

    def __init__(self, key: Hashable, waiting: list[tuple[int, Problem]], chunk: int) -> None:
        self.key, self.chunk = key, chunk
        starts = []
        for _, problem in waiting:
            start: Any = problem if problem.resumed is None else problem.resumed
            training = problem.training
            assert isinstance(training, TrainingPlan)
            starts.append(FitStart(problem.network, training, problem.rows, start.parameters, start.state))
        self._trainer = waiting[0][1].engine.FleetTrainer(starts)
        self.fits = [
            _FleetFit(number, problem, member).__enter__()
            for (number, problem), member in zip(waiting, self._trainer.members, strict=False)
        ]

    def run_round(self) -> list[Ended]:
        """Make a launch; return the networks that have ended."""
        try:
            started = time.perf_counter()
            done = self._trainer.train(self.chunk)
            self.chunk = next_chunk(self.chunk, done, time.perf_counter() - started, SECONDS_PER_LAUNCH)
        except Exception as error:  # of the device: it concerns all
            ended = [Ended(fit.number, fit.problem, error=error) for fit in self.fits]
            self.fits = []
            return ended
        ended = [self._conclude(fit) for fit in self.fits if not fit.end_chunk()]
        self.fits = [fit for fit in self.fits if fit.runs]
        return ended

    def _conclude(self, fit: _FleetFit) -> Ended:
        try:
            fit.conclude()
        except Exception as error:
            return Ended(fit.number, fit.problem, error=error)
        finally:
            fit.__exit__(None, None, None)
        return Ended(fit.number, fit.problem, running=fit)

    def close(self) -> None:
        self._trainer.close()
