"""Callbacks for ``set_callbacks`` of BPClassifier and BPRegressor, in addition to scikit-learn's.

They follow scikit-learn's protocol (``sklearn.callback.FitCallback``) and are set on the network itself,
which may be the last step of a pipeline and the estimator of a search. One object may serve several fits at a
time.

>>> from fastbp import BPRegressor
>>> from fastbp.callbacks import StopWhen, TimeLimit
>>> network = BPRegressor((20,), random_state=0)
>>> network = network.set_callbacks(TimeLimit(60), StopWhen(lambda epoch: epoch.loss < 1.0))
>>> X = [[i / 10] for i in range(10)]
>>> y = [3 * x[0] for x in X]
>>> network.fit(X, y).loss_ < 1.0
True
"""

from fastbp.callbacks.checkpoint import Checkpoint
from fastbp.callbacks.stop_when import StopWhen
from fastbp.callbacks.time_limit import TimeLimit

__all__ = ["Checkpoint", "StopWhen", "TimeLimit"]
