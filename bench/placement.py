"""Is fastbp as fast in every process? One row a process, all of which load the same kernels from a cache.

    python bench/placement.py                        # 8 processes
    python bench/placement.py --processes 4 --rounds 3 --dtype float64

For each process: GFLOP/s of the register tile alone and, beside it, of NumPy's product, both on one thread;
then microseconds a step of three networks with one and two threads, the median of the rounds. What stands on
the stack, and how it is aligned there, may differ from process to process; the environment's length, which
moves the stack, is another one for each. The exit code is 1 where the slowest process takes more than 1.15
of the fastest one's time for a network, or 1.05 for the tile.
"""

import argparse
import statistics
import sys
import tempfile

import peers
import report
from fits import no_compilation
from measure import padding, progress
from report import number, percent, positive, table
from worker import Worker, available_cpus
from workloads import WORKLOADS

NETWORKS = ("tab", "fmnist", "wide")
THREADS = (1, 2)
TILE, GEMM = "tile", "gemm"
WITHIN = 1.15  # the slowest process's time over the fastest one's
TILE_WITHIN = 1.05


def main() -> int:
    args = parse_arguments()
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {args.dtype}", flush=True)
    fits = [(name, n) for name in args.workloads for n in THREADS if n <= available_cpus()]
    columns = [TILE, GEMM, *(f"{name}/{n}" for name, n in fits)]
    with tempfile.TemporaryDirectory() as folder:
        in_process(fits, args.dtype, 1, 0.0, {"NUMBA_CACHE_DIR": folder})  # compiles
        rows = []
        with no_compilation(folder):
            for i in range(args.processes):
                progress(f"process {i + 1} of {args.processes}")
                environment = {"NUMBA_CACHE_DIR": folder} | padding(i)
                rows.append(in_process(fits, args.dtype, args.rounds, args.sample_seconds, environment))
    progress("")
    named = [[f"process {i + 1}", *map(number, row)] for i, row in enumerate(rows)]
    numbers = list(zip(*rows, strict=True))
    medians = [statistics.median(values) for values in numbers]
    spreads = [max(values) / min(values) for values in numbers]
    named += [["median", *map(number, medians)], ["slowest / fastest", *map(number, spreads)]]
    print("\n" + table(["GFLOP/s; µs a step", *columns], named))
    print(f"\nthe tile's share of NumPy's rate: {percent(medians[0] / medians[1])}")
    limits = {TILE: TILE_WITHIN, GEMM: float("inf")}
    over = [c for c, spread in zip(columns, spreads, strict=True) if spread > limits.get(c, WITHIN)]
    if over:
        print(f"FAILED: the processes differ too much in {', '.join(over)}")
    return int(bool(over))


def in_process(fits, dtype: str, rounds: int, sample_seconds: float, environment) -> list[float]:
    """Return one process's numbers, in the order of the columns."""
    with Worker(min(max(THREADS), available_cpus()), environment) as worker:
        numbers = [rate / 1e9 for rate in worker.call("tile", dtype)]
        for name, n in fits:
            workload = WORKLOADS[name]
            worker.call("prepare", "fastbp", workload, dtype, n)
            worker.call("warm_up", sample_seconds)
            seconds = statistics.median(worker.call("sample") for _ in range(rounds))
            numbers.append(seconds / (workload.steps * workload.epochs) * 1e6)
    return numbers


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--processes", type=positive(int), default=8, metavar="N", help="8 by default")
    add("--rounds", type=positive(int), default=5, help="in each process, 5 by default")
    add("--workloads", nargs="+", choices=WORKLOADS, default=NETWORKS, help=f"{', '.join(NETWORKS)}")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--sample-seconds", type=positive(float), default=0.2, help="least time of a sample, 0.2 by default")
    args = parser.parse_args()
    if not peers.available("fastbp"):
        parser.error("fastbp is not installed")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
