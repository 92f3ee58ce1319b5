"""Common base of the callbacks of this package."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from fastbp.estimators.mlp import BackPropagation

State = TypeVar("State")


class NetworkCallback(ABC, Generic[State]):
    """A callback of networks: scikit-learn's hooks, and a state for each running fit."""

    def __init__(self) -> None:
        self._fits: dict[Any, State] = {}

    @abstractmethod
    def begin(self, estimator, context) -> State:
        """Return the state of a fit that begins."""

    def setup(self, estimator, context) -> None:
        name = type(self).__name__
        if not isinstance(estimator, BackPropagation):
            raise TypeError(
                f"{name} is a callback of BPClassifier and BPRegressor, but was set on "
                f"{type(estimator).__name__}. Set it on the network: BPClassifier().set_callbacks({name}(…))."
            )
        self._fits[estimator] = self.begin(estimator, context)

    def on_fit_task_begin(self, estimator, context) -> None:
        pass

    def teardown(self, estimator, context) -> None:
        self._fits.pop(estimator, None)

    def __getstate__(self) -> dict[str, Any]:
        # Running fits stay in their process.
        return {**self.__dict__, "_fits": {}}
