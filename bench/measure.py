"""What `versus.py` measures, as plain dictionaries that hold every sample."""

import sys
import tempfile

import peers
from worker import Worker, WorkerError


class Run:
    """The measurements of one dtype, number of threads and load; those of whole fits are in ``fits.py``.

    What they return is a list of results. A result's "faults" say, by peer, what failed.
    """

    def __init__(
        self, names, dtype: str, threads: int, load: str, processes: int, rounds: int, sample_seconds: float
    ):
        self.names, self.dtype, self.threads, self.load = names, dtype, threads, load
        self.processes, self.rounds, self.sample_seconds = processes, rounds, sample_seconds
        self.reference = next((p for p in names if peers.library(p) == "fastbp"), names[0])
        self.setting = {"dtype": dtype, "threads": threads, "load": load}

    def start_up(self) -> list[dict]:
        """Time import and first fit of `tiny` in fresh processes: compilation caches empty, then full."""
        times: dict[str, dict] = {"import": {}, "cold": {}, "warm": {}}
        faults: dict[str, list[str]] = {}
        arguments = ("tiny", self.dtype, self.threads)
        with tempfile.TemporaryDirectory() as folder:
            for i in range(self.processes):
                for peer in rotated(dict.fromkeys(self.names), i):
                    if peer in faults:
                        continue
                    progress(f"start-up: process {i + 1} of {self.processes}, {peers.title(peer)}")
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


def padding(process: int) -> dict[str, str]:
    """Return an environment of another length for each process: it moves the stack."""
    return {"PADDING": "x" * (17 * process)}


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
