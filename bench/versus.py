"""fastbp beside scikit-learn, PyTorch and JAX: one run, one table.

    python bench/versus.py                              # the table of bench/README.md
    python bench/versus.py --workloads tiny pbp --rounds 3 --threads 1 --dtype float64
    python bench/versus.py --workloads tab --predict --startup --memory
    python bench/versus.py --shapes --rounds 3          # 30 networks that nobody tuned for
    python bench/versus.py --load busy blas --n-jobs none 1 2     # beside other work
    python bench/versus.py --workloads stream1 stream2 stream3 partial      # one to three rows a step
    python bench/versus.py --markdown --json run.json   # one run, one file: `picture.py` draws it

A row of the table is a network, trained for all its epochs. For each peer: microseconds a step, the median
over its processes of the median over a process's rounds; of fastbp also the slowest process; how many times
fastbp's time that is, the same median of the ratios within each round; and the share of the rate at which
NumPy multiplies 2048 x 2048 matrices on this machine, measured in the same rounds with the same dtype and
threads. The line below names each peer whose median is under 0.95 of fastbp's.

Times are those of users: of several processes a peer, in which fastbp loads its kernels from a cache that a
process before, whose times do not count, has filled. A process may be slower than another one that runs the
same machine code, so one process says little; the environment's length, which moves the stack, is another
one for each.

With --load busy another process computes on the last core all the time; with --load blas each fit comes right
after a matrix product of NumPy's in the same process, whose threads may still be waiting for work. --n-jobs
gives fastbp a column for each value; the others' threads, and the cores of all, are still --threads.

What makes it fair: each peer has processes of its own, the rounds of all peers are interleaved, dtype,
threads, batches and epochs are the same, and nobody's compilation counts. Before anything is timed, all peers
train some epochs from the same weights on the same batches and must end at the same weights and loss. A
mismatch is reported in place of times, and the exit code is 1. JAX gets its random orders of the rows for
free; PyTorch and JAX leave the penalty out of the loss that they report, though not out of the gradient.
"""

import argparse
import json
import statistics
import sys
from itertools import product
from pathlib import Path

import peers
import report
from fits import timed_fits
from load import LOADS, NONE
from measure import Run, progress
from report import number, percent, positive, table
from samples import slowest, typical
from worker import PREDICTED_MANY, available_cpus
from workloads import STREAMS, WORKLOADS, random_shapes

KNOWN = WORKLOADS | STREAMS
SOONER = 0.95  # of our time: a peer below it is named


def main() -> int:
    args = parse_arguments()
    shapes = random_shapes(args.shapes) if args.shapes else {}
    workloads = [KNOWN[name] for name in args.workloads] + list(shapes.values())
    machine = report.machine() | {"versions": {p: peers.version(p) for p in map(peers.library, args.peers)}}
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}")
    print(", ".join(f"{peers.title(p)} {version}" for p, version in machine["versions"].items()))
    if machine["load"] > 0.5:
        progress(
            f"The machine is busy (load {machine['load']:.1f}): these times will not be worth keeping.\n"
        )
    results = []
    for dtype, threads, load in product(args.dtype, args.threads, args.load):
        print(f"\n{dtype}, {threads} thread{'s' * (threads > 1)}; {LOADS[load]}", flush=True)
        run = Run(args.peers, dtype, threads, load, args.processes, args.rounds, args.sample_seconds)
        fits = timed_fits(run, workloads, args.predict)
        tables = [*fit_tables(fits, args.peers, run.reference)]
        if args.predict:
            tables += predict_tables(fits, args.peers, run.reference)
        show(tables, fits, args.markdown)
        if len(args.peers) > 1:
            print("\n" + sooner_peers(fits, run.reference), flush=True)
        if args.n_jobs:
            print(own_choice(fits), flush=True)
        results += fits
        if args.startup:
            results += (found := run.start_up())
            show([start_up_table(found[0], args.peers)], found, args.markdown)
        if args.memory:
            results += (found := run.memory(workloads))
            show([memory_table(found, args.peers)], found, args.markdown)
    if args.json:
        with args.json.open("w") as file:
            how = {"processes": args.processes, "rounds": args.rounds}
            json.dump({"machine": machine} | how | {"results": results}, file, indent=1)
    return int(any(result["faults"] for result in results))


def fit_tables(results, names, reference):
    others = [p for p in names if p != reference]
    header = ["fit: µs a step", peers.title(reference), "slowest process", *map(peers.title, others)]
    header += [f"{peers.title(p)} / {peers.title(reference)}" for p in others]
    rows, shares = [], []
    for r in results:
        step = {p: typical(s) / r["steps"] * 1e6 for p, s in r["seconds"].items()}
        ours = r["seconds"].get(reference)
        row = [r["workload"], number(step.get(reference))]
        row += [number(ours and slowest(ours) / r["steps"] * 1e6), *(number(step.get(p)) for p in others)]
        rows.append(row + [number(r["ratio"].get(p)) for p in others])
        rate = typical(r["gemm"]) / 1e9 if any(r["gemm"]) else None
        shares.append([r["workload"], *(percent(r["gemm_share"].get(p)) for p in names), number(rate)])
    yield header, rows
    yield ["share of the gemm rate", *map(peers.title, names), "gemm GFLOP/s"], shares


def sooner_peers(results, reference) -> str:
    """Return a line with every peer whose median fit took less than SOONER of the reference's."""
    found = []
    for r in results:
        medians = {p: typical(s) for p, s in r["seconds"].items()}
        shares = {p: t / medians[reference] for p, t in medians.items() if reference in medians}
        found += [f"{r['workload']} {peers.title(p)} {number(s)}" for p, s in shares.items() if s < SOONER]
    compared = sum(len(r["seconds"]) > 1 and reference in r["seconds"] for r in results)
    return f"peers below {SOONER}: {', '.join(found) or 'none'} (compared: {compared} of {len(results)})"


def own_choice(results) -> str:
    """Return a line with the time of n_jobs=None over that of the better fixed number."""
    found = []
    for r in results:
        ours = {p: typical(s) for p, s in r["seconds"].items() if peers.library(p) == "fastbp"}
        free = ours.pop("fastbp:None", None)
        if free and ours:
            found.append(f"{r['workload']} {number(free / min(ours.values()))}")
    return f"n_jobs=None over the better fixed number: {', '.join(found) or 'not compared'}"


def predict_tables(results, names, reference):
    others = [p for p in names if p != reference]
    for count, unit, factor in ((1, "µs", 1e6), (PREDICTED_MANY, "ms", 1e3)):
        header = [f"predict {count:,} row{'s' * (count > 1)}: {unit}", *map(peers.title, names)]
        header += [f"{peers.title(p)} / {peers.title(reference)}" for p in others]
        rows = []
        for r in results:
            median = {p: typical(s) * factor for p, s in r["predict_seconds"][count].items()}
            ratio = r["predict_ratio"][count]
            row = [r["workload"], *(number(median.get(p)) for p in names)]
            rows.append(row + [number(ratio.get(p)) for p in others])
        yield header, rows


def start_up_table(result, names):
    rows = []
    for peer in names:
        samples = [result["seconds"][kind].get(peer) for kind in ("import", "cold", "warm")]
        rows.append([peers.title(peer), *(number(s and statistics.median(s)) for s in samples)])
    return ["start-up: seconds", "import", "first fit, cold cache", "first fit, warm cache"], rows


def memory_table(results, names):
    rows = []
    for r in results:
        used = [r["bytes"].get(p) for p in names]
        cells = [f"{u[1] / 2**20:,.0f} (+{(u[1] - u[0]) / 2**20:,.0f})" if u else number(None) for u in used]
        rows.append([r["workload"], *cells])
    return ["peak memory, MiB (+ in the fit)", *map(peers.title, names)], rows


def show(tables, results, markdown) -> None:
    for header, rows in tables:
        if rows:
            print("\n" + table(header, rows, markdown), flush=True)
    for result in results:
        for peer, faults in result["faults"].items():
            print(f"\nFAILED: {result['workload']}, {peers.title(peer)}: {'; '.join(faults)}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = f"{', '.join(WORKLOADS)}, which are the default, and of {', '.join(STREAMS)}"
    add("--workloads", nargs="*", metavar="NAME", help=f"of {names}")
    add("--peers", nargs="+", choices=peers.PEERS, help="all that are installed by default")
    add("--processes", type=positive(int), default=5, metavar="N", help="of each peer, 5 by default")
    add("--rounds", type=positive(int), default=3, help="interleaved, in each process; 3 by default")
    add("--threads", nargs="+", type=positive(int), default=[available_cpus()], help="all cores by default")
    add("--n-jobs", nargs="+", type=jobs, metavar="N", help="of fastbp, a column each: none 1 2")
    add("--load", nargs="+", choices=LOADS, default=[NONE], help="what else the machine does: nothing")
    add("--dtype", nargs="+", choices=["float32", "float64"], default=["float32"])
    add("--predict", action="store_true", help=f"also the prediction of 1 and of {PREDICTED_MANY:,} rows")
    add("--startup", action="store_true", help="also import and first fit, with cold and with warm caches")
    add("--memory", action="store_true", help="also the peak memory of a fit")
    add("--shapes", nargs="?", type=positive(int), const=30, metavar="N", help="N (30) random shapes")
    add("--sample-seconds", type=positive(float), default=0.2, help="least time of a sample, 0.2 by default")
    add("--json", type=Path, metavar="FILE", help="write everything measured, every sample, to FILE")
    add("--markdown", action="store_true", help="tables for a README")
    args = parser.parse_args()
    if args.json and not args.json.parent.is_dir():
        parser.error(f"--json: no folder {args.json.parent}")
    if args.workloads is None:
        args.workloads = [] if args.shapes else list(WORKLOADS)
    for name in args.workloads:
        if name not in KNOWN:
            parser.error(f"no workload {name!r}; there are {', '.join(KNOWN)}")
    for threads in args.threads:
        if threads > available_cpus():
            parser.error(f"--threads {threads}: only {available_cpus()} cores are available")
    missing = [p for p in args.peers or () if not peers.available(p)]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}")
    args.peers = list(dict.fromkeys(args.peers or [p for p in peers.PEERS if peers.available(p)]))
    if args.n_jobs and "fastbp" in args.peers:
        variants = [f"fastbp:{n}" for n in dict.fromkeys(args.n_jobs)]
        args.peers = [*variants, *(p for p in args.peers if p != "fastbp")]
    return args


def jobs(text: str) -> int | None:
    return None if text.lower() == "none" else positive(int)(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
