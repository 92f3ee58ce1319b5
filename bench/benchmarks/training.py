"""Fits of the workloads."""

import statistics

import workloads
from peers import fastbp
from worker import available_cpus

SAMPLES = 5


class Fit:
    """The time of a step and the rate of arithmetic, from the median of a few fits, by workload and dtype."""

    params = (list(workloads.WORKLOADS), ["float32", "float64"])
    param_names = ("workload", "dtype")
    timeout = 300

    def setup(self, name, dtype):
        self.workload = workloads.WORKLOADS[name]
        self.fit = fastbp.Fit(self.workload, dtype, available_cpus())
        self.fit.warm_up()

    def _seconds_an_epoch(self):
        return statistics.median(self.fit.fit() for _ in range(SAMPLES)) / self.workload.epochs

    def track_step(self, name, dtype):
        return self._seconds_an_epoch() / self.workload.steps * 1e6

    track_step.unit = "µs"

    def track_rate(self, name, dtype):
        return self.workload.operations / self._seconds_an_epoch() / 1e9

    track_rate.unit = "GFLOP/s"

    def peakmem_fit(self, name, dtype):
        self.fit.fit()


class OneThread:
    """The step's time on one thread, where more would be used."""

    params = ("tab", "deep", "fmnist", "wide")
    param_names = ("workload",)
    timeout = 300

    def setup(self, name):
        self.workload = workloads.WORKLOADS[name]
        self.fit = fastbp.Fit(self.workload, "float32", 1)
        self.fit.warm_up()

    def track_step(self, name):
        seconds = statistics.median(self.fit.fit() for _ in range(SAMPLES))
        return seconds / self.workload.epochs / self.workload.steps * 1e6

    track_step.unit = "µs"
