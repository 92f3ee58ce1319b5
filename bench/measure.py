"""What `versus.py` measures, as plain dictionaries that hold every sample."""

import contextlib
import statistics
import sys
import tempfile
import time

import peers
from checks import checked_epochs, mismatches
from worker import PREDICTED_MANY, Worker, WorkerError

SETTLE = 0.05  # seconds in which the last peer's threads stop spinning


class Run:
    """The measurements of one dtype and number of threads.

    Each of its methods returns a list of results. A result's "faults" say, by peer, what failed.
    """

    def __init__(self, names, dtype: str, threads: int, rounds: int, sample_seconds: float):
        self.names, self.dtype, self.threads = names, dtype, threads
        self.rounds, self.sample_seconds = rounds, sample_seconds
        self.reference = "fastbp" if "fastbp" in names else names[0]
        self.setting = {"dtype": dtype, "threads": threads}

    def fits(self, workloads, predict: bool) -> list[dict]:
        """Time whole fits, and predictions if asked for, in one long-lived worker a peer."""
        with contextlib.ExitStack() as stack:
            workers = {p: stack.enter_context(Worker(self.threads)) for p in self.names}
            gemm = stack.enter_context(Worker(self.threads))
            return [self._fit(workload, workers, gemm, predict) for workload in workloads]

    def _fit(self, workload, workers, gemm, predict) -> dict:
        faults: dict[str, list[str]] = {}
        able = dict(workers)

        def each(action: str, *command) -> dict:
            """Ask every peer that is still able; one that fails is left out from then on."""
            answers = {}
            for peer in list(able):
                progress(f"{workload.name}: {action}, {peers.title(peer)}")
                try:
                    time.sleep(SETTLE)
                    answers[peer] = able[peer].call(*[peer if c is PEER else c for c in command])
                except WorkerError as error:
                    faults[peer] = [str(error).strip()]
                    del able[peer]
            return answers

        each("data", "prepare", PEER, workload, self.dtype, self.threads)
        answers = each("answer", "answer", checked_epochs(workload))
        if "sklearn" in answers:  # what the others are compared with, where it runs
            answers = {"sklearn": answers["sklearn"]} | answers
        if answers:
            faults |= mismatches(workload, self.dtype, answers)
        for peer in faults:
            able.pop(peer, None)
        each("warm-up", "warm_up", self.sample_seconds)

        rates, rounds, predictions = [], [], {1: [], PREDICTED_MANY: []}
        for i in range(self.rounds):
            able = rotated(able, i)
            time.sleep(SETTLE)
            rates.append(gemm.call("gemm", self.dtype))
            rounds.append(each(f"round {i + 1} of {self.rounds}", "sample"))
            for rows, times in predictions.items() if predict else ():
                times.append(each(f"round {i + 1} of {self.rounds}, {rows} rows", "predict", rows, 0.02))
        losses = each("loss", "loss")
        progress("")

        able = {p: able[p] for p in self.names if p in able}
        seconds = {p: [r[p] for r in rounds] for p in able}
        operations = workload.operations * workload.epochs
        result = self.setting | {
            "table": "fit",
            "workload": workload.name,
            "steps": workload.steps * workload.epochs,
            "operations": operations,
            "gemm": rates,
            "seconds": seconds,
            "ratio": self._ratios(seconds),
            "gemm_share": {
                p: statistics.median(operations / t / rate for t, rate in zip(s, rates, strict=True))
                for p, s in seconds.items()
            },
            "loss": losses,
            "faults": faults,
        }
        if predict:
            samples = {n: {p: [r[p] for r in times] for p in able} for n, times in predictions.items()}
            result["predict_seconds"] = samples
            result["predict_ratio"] = {n: self._ratios(s) for n, s in samples.items()}
        return result

    def _ratios(self, seconds: dict[str, list[float]]) -> dict[str, float]:
        """Return the median over the rounds of each peer's time over the reference's."""
        if self.reference not in seconds:
            return {}
        pairs = {p: zip(s, seconds[self.reference], strict=True) for p, s in seconds.items()}
        return {p: statistics.median(t / ours for t, ours in pair) for p, pair in pairs.items()}

    def start_up(self) -> list[dict]:
        """Time import and first fit of `tiny` in fresh processes: compilation caches empty, then full."""
        times: dict[str, dict] = {"import": {}, "cold": {}, "warm": {}}
        faults: dict[str, list[str]] = {}
        arguments = ("tiny", self.dtype, self.threads)
        with tempfile.TemporaryDirectory() as folder:
            for i in range(self.rounds):
                for peer in rotated(dict.fromkeys(self.names), i):
                    if peer in faults:
                        continue
                    progress(f"start-up: round {i + 1} of {self.rounds}, {peers.title(peer)}")
                    caches = cache_environment(f"{folder}/{peer}{i}")
                    try:
                        for kind in ("cold", "warm"):
                            with Worker(self.threads, caches) as worker:
                                imported, fitted = worker.call("start_up", peer, *arguments)
                            times[kind].setdefault(peer, []).append(fitted)
                        times["import"].setdefault(peer, []).append(imported)
                    except WorkerError as error:
                        faults[peer] = [str(error).strip()]
        progress("")
        return [
            self.setting | {"table": "startup", "workload": "start-up", "seconds": times, "faults": faults}
        ]

    def memory(self, workloads) -> list[dict]:
        """Measure the peak memory before and in a fit, in a fresh process for each peer and workload."""
        results = []
        for workload in workloads:
            result = self.setting | {"table": "memory", "workload": workload.name, "bytes": {}, "faults": {}}
            for peer in self.names:
                progress(f"{workload.name}: memory, {peers.title(peer)}")
                try:
                    with Worker(self.threads) as worker:
                        used = worker.call("memory", peer, workload, self.dtype, self.threads)
                    result["bytes"][peer] = used
                except WorkerError as error:
                    result["faults"][peer] = [str(error).strip()]
            results.append(result)
        progress("")
        return results


PEER = object()  # stands for the asked peer's own name among a command's arguments


def rotated(items: dict, by: int) -> dict:
    """Return the same items, another one first: no peer always follows the same other one."""
    keys = list(items)
    by %= len(keys) or 1
    return {key: items[key] for key in keys[by:] + keys[:by]}


def cache_environment(folder: str) -> dict[str, str]:
    return {
        "NUMBA_CACHE_DIR": f"{folder}/numba",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def progress(message: str) -> None:
    """Show `message` on stderr: in one line that changes where it is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)
    elif message:
        print(message, file=sys.stderr, flush=True)


def bar(done: int, total: int, seconds: float, note: str) -> None:
    """Draw the progress: on each call where standard error is a terminal, else in tenths."""
    if sys.stderr.isatty() or done * 10 // total > (done - 1) * 10 // total:
        filled = 24 * done // total
        left = seconds * (total - done) / done
        drawn = "█" * filled + "░" * (24 - filled)
        progress(f"{drawn} {100 * done // total:3d} %, {note}, {left:.0f} s left")
