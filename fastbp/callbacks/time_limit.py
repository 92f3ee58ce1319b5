"""Time limit of a fit."""

from numbers import Real
from time import monotonic

from sklearn.utils._param_validation import Interval

from fastbp.callbacks.network_callback import NetworkCallback
from fastbp.estimators import type_hints
from fastbp.estimators.parameter_checks import check
from fastbp.functions.values import python_number


class TimeLimit(NetworkCallback[float]):
    """End a fit after the epoch in which its time has run out.

    The model is that of the epochs made so far, without a warning that it has not converged. With
    ``solver="lbfgs"`` an iteration counts as an epoch. In a search the limit is for each fit.

    Parameters
    ----------
    seconds : float
        Time from the start of `fit`; not negative. At least one epoch is run.

    Examples
    --------
    >>> from fastbp import BPRegressor
    >>> from fastbp.callbacks import TimeLimit
    >>> network = BPRegressor((5,), random_state=0).set_callbacks(TimeLimit(0))
    >>> network.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_
    1
    """

    def __init__(self, seconds: type_hints.Real) -> None:
        super().__init__()
        check({"seconds": [Interval(Real, 0, None, closed="left")]}, {"seconds": seconds}, "TimeLimit")
        self.seconds = python_number(seconds)

    def begin(self, estimator, context) -> float:
        return monotonic()

    def on_fit_task_end(self, estimator, context) -> bool:
        return monotonic() - self._fits[estimator] >= self.seconds
