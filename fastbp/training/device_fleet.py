"""Training of many networks on an engine that trains those of one shape together: a GPU, in one launch.

The networks that wait are grouped by shape, and the largest group is trained first, as many networks at a
time as have room on the device. Their results have the same bits as those of single fits. Networks that the
host must look at after every epoch (early stopping by a validation score, callbacks, a line of output each
epoch) and those whose group is too small are trained one after another.
"""

import time
from collections import deque
from collections.abc import Hashable
from contextlib import suppress

from fastbp.engines.fit_state import FitStart
from fastbp.plan.training import TrainingPlan
from fastbp.training.fleet_units import Member
from fastbp.training.minibatch import MinibatchFit, fit_minibatch, next_chunk

MOST_WAITING = 4096  # networks that are prepared ahead of their training
WAITING_BYTES = 256 << 20  # of their parameters
FIRST_CHUNK = 16  # steps
SECONDS_PER_LAUNCH = 0.2  # longer than a chunk of a single fit: thousands of networks are looked at after it


class DeviceFleet:
    """The networks of a fleet that are trained on a device.

    Attributes
    ----------
    n_left : int
        Networks that have not ended.
    """

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[Member]] = {}
        self._one_by_one: deque[Member] = deque()
        self._cohort: _Cohort | None = None
        self._chunks: dict[Hashable, int] = {}  # steps of a launch, by shape
        self._n_waiting = self._waiting_bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether more networks should be prepared."""
        return self._n_waiting < MOST_WAITING and self._waiting_bytes < WAITING_BYTES

    @property
    def n_left(self) -> int:
        return self._n_waiting + (0 if self._cohort is None else len(self._cohort.members))

    @property
    def n_epochs(self) -> int:
        """Epochs of the networks in training."""
        return 0 if self._cohort is None else sum(member.n_epochs for member in self._cohort.members)

    def add(self, member: Member) -> bool:
        """Have a network wait for its training; return False where it must be trained alone."""
        problem = member.problem
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
        self._groups.setdefault(key, []).append(member)
        self._n_waiting += 1
        self._waiting_bytes += problem.parameters.nbytes
        return True

    def run_round(self) -> list[Member]:
        """Train for about `SECONDS_PER_LAUNCH`, or one network alone; return the networks that have ended."""
        if self._cohort is None and not self._one_by_one and self._groups:
            self._begin_group()
        if self._cohort is not None:
            ended = self._cohort.run_round()
            if not self._cohort.members:
                self._chunks[self._cohort.key] = self._cohort.chunk
                self.close()
            return ended
        if self._one_by_one:
            member = self._one_by_one.popleft()
            self._leave_queue(member)
            try:
                member.result = fit_minibatch(member.problem)
            except Exception as error:
                member.error = error
            return [member]
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
                n_taken = len(cohort.members)
        if not n_taken:
            self._one_by_one.extend(waiting)
            return
        self._cohort = cohort
        for member in waiting[:n_taken]:
            self._leave_queue(member)
        if n_taken < len(waiting):
            self._groups[key] = waiting[n_taken:]

    def _leave_queue(self, member: Member) -> None:
        self._n_waiting -= 1
        self._waiting_bytes -= member.problem.parameters.nbytes

    def close(self) -> None:
        """Give back the memory of the networks in training."""
        if self._cohort is not None:
            self._cohort.close()
            self._cohort = None


class _Cohort:
    """Networks that are trained together.

    Attributes
    ----------
    members : list of Member
        Those that have not ended.
    chunk : int
        Steps of the next launch.
    """

    def __init__(self, key: Hashable, waiting: list[Member], chunk: int) -> None:
        self.key, self.chunk = key, chunk
        fits = [MinibatchFit(member.problem) for member in waiting]
        starts = []
        for fit in fits:
            problem, start = fit.problem, fit.start
            starts.append(
                FitStart(problem.network, fit.training, problem.rows, start.parameters, start.state)
            )
        self._trainer = waiting[0].problem.engine.FleetTrainer(starts)
        self.members = waiting[: len(self._trainer.members)]
        for member, fit, trainer in zip(self.members, fits, self._trainer.members, strict=False):
            fit.begin(trainer)
            member.running = fit

    def run_round(self) -> list[Member]:
        """Make a launch; return the networks that have ended."""
        ended, self.members = self.members, []
        try:
            started = time.perf_counter()
            done = self._trainer.train(self.chunk)
            self.chunk = next_chunk(self.chunk, done, time.perf_counter() - started, SECONDS_PER_LAUNCH)
        except Exception as error:  # of the device: it concerns all
            for member in ended:
                member.error = error
            return ended
        trained, ended = ended, []
        for member in trained:
            fit = member.running
            assert fit is not None
            try:
                if fit.end_chunk():
                    self.members.append(member)
                    continue
                fit.conclude()
            except Exception as error:
                member.error = error
            ended.append(member)
        return ended

    def close(self) -> None:
        self._trainer.close()
