"""User-defined stopping rule."""

from collections.abc import Callable

from fastbp.callbacks.network_callback import NetworkCallback
from fastbp.estimators.parameter_checks import check
from fastbp.training.callback_events import Epoch


class StopWhen(NetworkCallback[None]):
    """End a fit after the first epoch for which a condition holds.

    The model is that of the epochs made so far, without a warning that it has not converged; under early
    stopping it has the best weights so far. With ``solver="lbfgs"`` an iteration counts as an epoch.

    Parameters
    ----------
    condition : callable
        ``condition(epoch) -> bool``. The epoch that has just ended has

        - ``number``: from 1, counted in this call of `fit`;
        - ``loss``: of the training rows, as in `loss_curve_`;
        - ``score``: of the validation rows, as in `validation_scores_`; None without early stopping;
        - ``estimator``: a fitted copy, as if the fit had stopped here, made on first access;
        - ``current``: a fitted copy with the weights after this epoch, where `estimator` has the best ones so
          far or their average.

        For use in several processes, such as joblib's workers, it must be picklable.

    Examples
    --------
    >>> from fastbp import BPRegressor
    >>> from fastbp.callbacks import StopWhen
    >>> network = BPRegressor((5,), max_iter=1000, random_state=0)
    >>> network = network.set_callbacks(StopWhen(lambda epoch: epoch.number == 7))
    >>> network.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_
    7
    """

    def __init__(self, condition: Callable[[Epoch], bool]) -> None:
        super().__init__()
        check({"condition": [callable]}, {"condition": condition}, "StopWhen")
        self.condition = condition

    def begin(self, estimator, context) -> None:
        return None

    def on_fit_task_end(self, estimator, context) -> bool:
        epoch = estimator._epoch
        return epoch is not None and bool(self.condition(epoch))
