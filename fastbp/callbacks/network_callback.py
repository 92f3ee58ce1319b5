"""What the callbacks of this package have in common."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from fastbp.estimators.mlp import BackPropagation

State = TypeVar("State")


class NetworkCallback(ABC, Generic[State]):
    """A callback of networks: scikit-learn's hooks, and what it remembers of each fit under way."""

    def __init__(self) -> None:
        self._fits: dict[Any, State] = {}

    @abstractmethod
    def begin(self, estimator, context) -> State:
        """What is remembered of a fit that begins."""

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
        # Fits under way stay in the process that makes them.
        return {**self.__dict__, "_fits": {}}
