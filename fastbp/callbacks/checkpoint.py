"""Checkpoints of a fit, to resume it in another process."""

import json
import os
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from time import monotonic
from typing import Any

from sklearn.utils._param_validation import Interval, InvalidParameterError

from fastbp.callbacks.checkpoint_file import damaged, read, remove_remainders, write
from fastbp.callbacks.network_callback import NetworkCallback
from fastbp.estimators import type_hints
from fastbp.estimators.parameter_checks import check
from fastbp.functions.values import python_number, shown
from fastbp.plan.network import NetworkPlan
from fastbp.training.call_stack import warn
from fastbp.training.callback_events import Epoch
from fastbp.training.checkpoint_state import (
    CheckpointCallback,
    SavedFit,
    differences,
    digest_of_text,
    misfit,
    plain,
)

CONSTRAINTS = {
    "path": [str, os.PathLike],
    "every": [Interval(Integral, 1, None, closed="left")],
    "seconds": [Interval(Real, 0, None, closed="left")],
    "resume": ["boolean"],
}


def path_of(value: Any) -> Path:
    """Return the absolute path of a file or folder, or raise InvalidParameterError."""
    try:
        name = os.fspath(value)
    except Exception:  # raised by a user's class
        name = ""
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidParameterError(
            "The 'path' parameter of Checkpoint must be the name of a file or of a folder. Got "
            f"{shown(value)} instead."
        )
    return Path(name).absolute()


@dataclass
class Writing:
    """State of one fit: its file, and when it was last written."""

    path: Path
    written_at: float
    written_epoch: int | None = None
    warned: bool = False


class Checkpoint(NetworkCallback[Writing], CheckpointCallback):
    """Save the state of a fit to a file, and resume it in another process with the same bits.

    The file holds the weights, the solver's moments, the counters of steps and epochs, the state of the
    stopping rule and of early stopping with its best weights, the loss curve, and the initial random state.
    So the model of a resumed fit has the same bits as that of an uninterrupted one. With ``solver="lbfgs"``
    an iteration counts as an epoch, and the file holds every gradient so far: SciPy cannot resume, so the
    path is replayed, which takes next to no time.

    The file is replaced atomically, so that there is always a complete one. If it cannot be written, there is
    one warning and the fit continues; the last good file stays.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist. If it is a folder, each fit has its own file there, named by its
        parameters and data: for searches.
    every : int, default=1
        Number of epochs between writes, at least 1; the last epoch is always written.
    seconds : float, default=0.0
        Minimum number of seconds between writes. Writing takes some milliseconds, which may be longer than an
        epoch of a small network.
    resume : bool, default=False
        Whether `fit` resumes from the file if there is one. A fit that had ended then returns its model at
        once; delete the file to train again. Parameters and data must be the same, except `n_jobs`,
        `verbose`, and a larger `max_iter` if no schedule or average depends on it.

    Raises
    ------
    ValueError
        By `fit` with ``resume=True`` if the file is damaged or belongs to a fit with other initial weights,
        data or parameters; by `partial_fit`, for which the estimator can be pickled instead.

    Examples
    --------
    >>> import tempfile
    >>> from fastbp import BPRegressor
    >>> from fastbp.callbacks import Checkpoint, StopWhen
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0]
    >>> network = BPRegressor((5,), max_iter=20, n_iter_no_change=50, random_state=0)
    >>> whole = network.fit(X, y).predict(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(folder + "/run.ckpt", every=5, resume=True)
    ...     first = network.set_callbacks(checkpoint, StopWhen(lambda epoch: epoch.number == 8)).fit(X, y)
    ...     print(first.n_iter_)
    ...     again = network.set_callbacks(checkpoint).fit(X, y)
    ...     print(again.n_iter_, (again.predict(X) == whole).all())
    8
    20 True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: type_hints.Count = 1,
        seconds: type_hints.Real = 0.0,
        resume: type_hints.Flag = False,
    ) -> None:
        super().__init__()
        given = {"path": path, "every": every, "seconds": seconds, "resume": resume}
        check(CONSTRAINTS, given, "Checkpoint")
        self.path = path_of(path)
        self.every = python_number(every)
        self.seconds = python_number(seconds)
        self.resume = python_number(resume)

    def begin(self, estimator, context) -> Writing:
        if context.task_name != "fit":
            raise ValueError(
                f"Checkpoint is for fit, not for {context.task_name}, after which a pickle of the estimator "
                "holds all that the next call needs. Take it away by set_callbacks()."
            )
        return Writing(self.path, monotonic())

    def find(self, estimator, settings: dict[str, Any], network: NetworkPlan) -> SavedFit | None:
        writing = self._fits[estimator]
        if self.path.is_dir():
            own = [settings, plain(estimator.max_iter)]
            writing.path = self.path / f"{digest_of_text(json.dumps(own))}.ckpt"
        if not self.resume:
            return None
        remove_remainders(writing.path)
        saved = read(writing.path)
        if saved is None:
            return None
        different = differences(saved.begin.settings, settings)
        if not different and saved.position.n_epochs > estimator.max_iter:
            different = [f"{saved.position.n_epochs} epochs were made and max_iter is {estimator.max_iter}"]
        if different:
            raise ValueError(
                f"The checkpoint {os.fspath(writing.path)!r} is of another fit: {'; '.join(different)}. Fit "
                "with the same parameters and data, delete the file to begin anew, or choose another path."
            )
        if (fault := misfit(saved, settings, network)) is not None:
            raise damaged(writing.path, fault)
        saved.origin = f" {os.fspath(writing.path)!r}"
        return saved

    def on_fit_task_end(self, estimator, context) -> None:
        writing, epoch = self._fits[estimator], estimator._epoch
        if epoch is None:
            return
        if writing.written_epoch is None:
            writing.written_epoch = epoch.number - 1  # the start of this call
        is_due = epoch.number - writing.written_epoch >= self.every
        if is_due and monotonic() - writing.written_at >= self.seconds:
            self._write(writing, epoch)

    def keep_last(self, estimator, epoch) -> None:
        writing = self._fits[estimator]
        if writing.written_epoch != epoch.number:
            self._write(writing, epoch)

    def _write(self, writing: Writing, epoch: Epoch) -> None:
        try:
            write(writing.path, epoch.saved())
        except OSError as error:
            if not writing.warned:
                writing.warned = True
                warn(
                    f"The checkpoint {os.fspath(writing.path)!r} cannot be written: {error}. The fit goes on "
                    "without it.",
                    RuntimeWarning,
                )
        writing.written_at, writing.written_epoch = monotonic(), epoch.number
