"""Whole fits, timed as users run them: in several processes a peer, which load their kernels from a cache.

A first set of processes, one a peer, gives the answers that are compared and fills fastbp's cache; its times
do not count. Then each set of fresh processes gives samples of all workloads, the rounds of its peers
interleaved, and ends before the next set starts. The environment's length is another one for each set: it
moves the stack, on which the speed of a process may depend.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import load
import peers
from checks import checked_epochs, mismatches
from measure import padding, progress, rotated
from samples import ratio
from worker import PREDICTED_MANY, Worker, WorkerError

SETTLE = 0.05  # seconds in which the last peer's threads stop spinning
PREDICTED = (1, PREDICTED_MANY)
PREDICT_SECONDS = 0.02  # the least time of a sample of predictions
GEMM = "gemm"  # the worker beside the peers'


class Row:
    """One workload while it is measured: a row of the table."""

    def __init__(self, workload, names):
        self.workload, self.able = workload, list(names)
        self.faults: dict[str, list[str]] = {}
        self.loss: dict[str, float] = {}
        self.rates: list[list[float]] = []
        # peer: a list a process, of the times of its rounds
        self.seconds: dict[str, list[list[float]]] = {p: [] for p in names}
        self.predict_seconds: dict[int, dict[str, list[list[float]]]] = {
            n: {p: [] for p in names} for n in PREDICTED
        }

    def ask(self, workers, action: str, command: str, *arguments, order: int = 0) -> dict:
        """Ask every peer that is still able; one that fails is left out from then on.

        Of `arguments`, PEER stands for the asked peer's own name.
        """
        answers = {}
        for peer in rotated(dict.fromkeys(self.able), order):
            progress(f"{self.workload.name}: {action}, {peers.title(peer)}")
            time.sleep(SETTLE)
            try:
                answers[peer] = workers[peer].call(command, *(peer if a is PEER else a for a in arguments))
            except WorkerError as error:
                self.fail({peer: [str(error).strip()]})
        return answers

    def fail(self, faults: dict[str, list[str]]) -> None:
        self.faults |= faults
        self.able = [p for p in self.able if p not in faults]


PEER = object()


def timed_fits(run, workloads, predict: bool) -> list[dict]:
    """Return a result for each workload: samples of fits, and of predictions if asked for."""
    rows = [Row(workload, run.names) for workload in workloads]
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": folder}
        with workers_of(run, cache) as workers:
            for row in rows:
                check(run, row, workers, predict)
        with load.around(run.load), no_compilation(folder):
            for process in range(run.processes):
                with workers_of(run, cache | padding(process)) as workers:
                    for row in rows:
                        time_row(run, row, workers, process, predict)
    progress("")
    return [result(run, row, predict) for row in rows]


@contextlib.contextmanager
def workers_of(run, environment: dict[str, str]) -> Iterator[dict[str, Worker]]:
    """Start a process for each peer and one for NumPy's product."""
    with contextlib.ExitStack() as stack:
        yield {p: stack.enter_context(Worker(run.threads, environment)) for p in [*run.names, GEMM]}


@contextlib.contextmanager
def no_compilation(folder: str) -> Iterator[None]:
    """Make sure that the processes timed meanwhile add no kernels to the cache in `folder`: RuntimeError."""
    kernels = files(folder)
    yield
    if files(folder) != kernels:
        raise RuntimeError(f"timed processes compiled {files(folder) - kernels}")


def files(folder: str) -> set[str]:
    return {path.name for path in Path(folder).rglob("*") if path.is_file()}


def check(run, row: Row, workers, predict: bool) -> None:
    """Compare the peers' answers, and have fastbp compile all that is timed later."""
    workload = row.workload
    row.ask(workers, "data", "prepare", PEER, workload, run.dtype, run.threads)
    answers = row.ask(workers, "answer", "answer", checked_epochs(workload))
    if "sklearn" in answers:  # what the others are compared with, where it runs
        answers = {"sklearn": answers["sklearn"]} | answers
    if answers:
        row.fail(mismatches(workload, run.dtype, answers))
    for peer in row.able:
        if peers.library(peer) == "fastbp":
            workers[peer].call("warm_up", 0.0)
            for n in PREDICTED if predict else ():
                workers[peer].call("predict", n, 0.0)


def time_row(run, row: Row, workers, process: int, predict: bool) -> None:
    title = f"process {process + 1} of {run.processes}"
    row.ask(workers, f"{title}, data", "prepare", PEER, row.workload, run.dtype, run.threads)
    row.ask(workers, f"{title}, warm-up", "warm_up", run.sample_seconds, run.load == load.BLAS)
    for p in row.able:
        row.seconds[p].append([])
        for samples in row.predict_seconds.values():
            samples[p].append([])
    row.rates.append([])
    for i in range(run.rounds):
        action = f"{title}, round {i + 1} of {run.rounds}"
        order = process * run.rounds + i
        time.sleep(SETTLE)
        row.rates[-1].append(workers[GEMM].call("gemm", run.dtype))
        for p, seconds in row.ask(workers, action, "sample", order=order).items():
            row.seconds[p][-1].append(seconds)
        for n, samples in row.predict_seconds.items() if predict else ():
            asked = row.ask(workers, f"{action}, {n} rows", "predict", n, PREDICT_SECONDS, order=order)
            for p, seconds in asked.items():
                samples[p][-1].append(seconds)
    row.loss |= row.ask(workers, "loss", "loss")


def rates(samples, operations: float) -> list[list[float]]:
    """Return the operations a second instead of seconds."""
    return [[operations / t for t in times] for times in samples]


def result(run, row: Row, predict: bool) -> dict:
    """Return a row as a plain dictionary; a peer that ever failed has no times in it."""
    workload = row.workload
    operations = workload.operations * workload.epochs

    def kept(samples):
        return {p: samples[p] for p in row.able}

    def ratios(samples):
        ours = samples.get(run.reference)
        return {p: ratio(s, ours) for p, s in samples.items()} if ours else {}

    seconds = kept(row.seconds)
    found = run.setting | {
        "table": "fit",
        "workload": workload.name,
        "steps": workload.steps * workload.epochs,
        "operations": operations,
        "gemm": row.rates,
        "seconds": seconds,
        "ratio": ratios(seconds),
        "gemm_share": {p: ratio(rates(s, operations), row.rates) for p, s in seconds.items()},
        "loss": {p: row.loss[p] for p in row.able},
        "faults": row.faults,
    }
    if predict:
        found["predict_seconds"] = {n: kept(samples) for n, samples in row.predict_seconds.items()}
        found["predict_ratio"] = {n: ratios(samples) for n, samples in found["predict_seconds"].items()}
    return found
