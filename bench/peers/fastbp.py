"""fastbp, by its public estimators."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier, BPRegressor
from peers.base import EstimatorPeer

# every workload runs all its epochs, so each fit ends with this warning
warnings.filterwarnings("ignore", category=ConvergenceWarning)


class Fit(EstimatorPeer):
    """`threads` is n_jobs, and so may be None."""

    classes = (BPClassifier, BPRegressor)

    def __init__(self, workload, dtype, threads):
        super().__init__(workload, dtype, threads)
        self.initial = workload.initial_weights(self.dtype)  # of partial_fit, those of random_state

    def parameters(self):
        return super().parameters() | {"n_jobs": self.threads}

    def fit_arguments(self):
        coefs, intercepts = self.initial
        return {"coefs_init": coefs, "intercepts_init": intercepts}
