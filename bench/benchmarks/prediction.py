"""Predictions of one row and of many."""

import numpy as np
import workloads
from peers import fastbp
from worker import PREDICTED_MANY, available_cpus


class Predict:
    params = (list(workloads.WORKLOADS), [1, PREDICTED_MANY])
    param_names = ("workload", "rows")
    timeout = 300

    def setup(self, name, rows):
        self.fit = fastbp.Fit(workloads.WORKLOADS[name], "float32", available_cpus())
        self.fit.fit(epochs=1)
        self.X = np.take(self.fit.X, np.arange(rows), axis=0, mode="wrap")
        self.fit.predict(self.X)

    def time_predict(self, name, rows):
        self.fit.predict(self.X)
