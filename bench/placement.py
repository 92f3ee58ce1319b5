"""Is fastbp as fast in every process? One row a process, all of which load the same kernels from a cache.

    python bench/placement.py                        # 8 processes
    python bench/placement.py --processes 4 --rounds 3 --dtype float64

For each process: GFLOP/s of the register tile alone and, beside it, of NumPy's product, both on one thread;
then microseconds a step of three networks with one and two threads, the median of the rounds. What stands on
the stack, and how it is aligned there, may differ from process to process; the environment's length, which
moves the stack, is another one for each.

A machine's clock may differ from process to process, too, so NumPy's product is timed just before each sample
and the last line compares the samples in units of that product's time. The exit code is 1 where, in these
units, the slowest process takes more than 1.15 of the fastest one's time for a network, or 1.05 for the tile.
"""

import argparse
import statistics
import sys
import tempfile

import numpy as np
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
        processes = []
        with no_compilation(folder):
            for i in range(args.processes):
                progress(f"process {i + 1} of {args.processes}")
                environment = {"NUMBA_CACHE_DIR": folder} | padding(i)
                processes.append(in_process(fits, args.dtype, args.rounds, args.sample_seconds, environment))
    progress("")
    rows = [[f"process {i + 1}", *map(number, values)] for i, (values, _) in enumerate(processes)]
    measured, in_products = (np.array(numbers) for numbers in zip(*processes, strict=True))
    medians = np.median(measured, axis=0)
    steady = spread(in_products)
    rows.append(["median", *map(number, medians)])
    rows.append(["slowest / fastest", *map(number, spread(measured))])
    rows.append(["in units of NumPy's product", *map(number, steady)])
    print("\n" + table(["GFLOP/s; µs a step", *columns], rows))
    print(f"\nthe tile's share of NumPy's rate: {percent(medians[0] / medians[1])}")
    limits = {TILE: TILE_WITHIN}
    over = [c for c, most in zip(columns, steady, strict=True) if most > limits.get(c, WITHIN)]
    if over:
        print(f"FAILED: the processes differ too much in {', '.join(over)}")
    return int(bool(over))


def spread(numbers: np.ndarray) -> np.ndarray:
    """Return the largest over the smallest number of each column."""
    return numbers.max(axis=0) / numbers.min(axis=0)


def in_process(fits, dtype: str, rounds: int, sample_seconds: float, environment):
    """Return one process's numbers in the order of the columns, and the same in units of NumPy's product."""
    with Worker(min(max(THREADS), available_cpus()), environment) as worker:
        tile, product, ratio = worker.call("tile", dtype)
        numbers, in_products = [tile / 1e9, product / 1e9], [ratio, 1.0]
        for name, n in fits:
            workload = WORKLOADS[name]
            worker.call("prepare", "fastbp", workload, dtype, n)
            worker.call("warm_up", sample_seconds)
            rates, seconds = np.transpose(
                [(worker.call("gemm_alone", dtype), worker.call("sample")) for _ in range(rounds)]
            )
            numbers.append(statistics.median(seconds) / (workload.steps * workload.epochs) * 1e6)
            in_products.append(statistics.median(seconds * rates))
    return numbers, in_products


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
