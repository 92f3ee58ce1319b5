"""Fits of the workloads, in several processes that load their kernels from the cache."""

import statistics

import workloads
from measure import padding
from peers import fastbp
from worker import Worker, available_cpus

DTYPES = ["float32", "float64"]
PROCESSES = 5


def compile_kernels() -> None:
    """Have all kernels on disk before a process that is measured starts."""
    for workload in workloads.WORKLOADS.values():
        for dtype in DTYPES:
            fastbp.Fit(workload, dtype, available_cpus()).fit(epochs=1)


class Fit:
    """The time of a fit, by workload and dtype, and the slowest process's time of a step.

    asv times each benchmark in `rounds` processes and reports the median of all their samples; with
    ``--launch-method spawn`` these are fresh ones, which share no memory with asv's own.
    """

    params = (list(workloads.WORKLOADS), DTYPES)
    param_names = ("workload", "dtype")
    timeout = 300
    rounds, repeat, number, warmup_time = PROCESSES, (3, 10, 2.0), 1, 0.2

    def setup_cache(self):
        compile_kernels()

    setup_cache.timeout = 600

    def setup(self, name, dtype):
        self.workload = workloads.WORKLOADS[name]
        self.fit = fastbp.Fit(self.workload, dtype, available_cpus())
        self.fit.warm_up()

    def time_fit(self, name, dtype):
        self.fit.fit()

    def track_slowest_process(self, name, dtype):
        times = [in_process(self.workload, dtype, available_cpus(), i) for i in range(PROCESSES)]
        return max(times) / self.workload.epochs / self.workload.steps * 1e6

    track_slowest_process.unit = "µs"

    def peakmem_fit(self, name, dtype):
        self.fit.fit()


class OneThread:
    """The time of a fit on one thread, where more would be used."""

    params = ("tab", "deep", "fmnist", "wide")
    param_names = ("workload",)
    timeout = 300
    rounds, repeat, number, warmup_time = PROCESSES, (3, 10, 2.0), 1, 0.2

    def setup_cache(self):
        compile_kernels()

    setup_cache.timeout = 600

    def setup(self, name):
        self.fit = fastbp.Fit(workloads.WORKLOADS[name], "float32", 1)
        self.fit.warm_up()

    def time_fit(self, name):
        self.fit.fit()


def in_process(workload, dtype: str, threads: int, process: int) -> float:
    """Return the seconds of a fit in a fresh process, the median of a few samples."""
    with Worker(threads, padding(process)) as worker:
        worker.call("prepare", "fastbp", workload, dtype, threads)
        worker.call("warm_up", 0.05)
        return statistics.median(worker.call("sample") for _ in range(3))
