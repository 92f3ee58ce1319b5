"""Is the compiled engine right for every combination? The full product against a naive network in NumPy.

    python bench/product.py                             # all of it: some minutes on two cores
    python bench/product.py --quick                     # a sample
    python bench/product.py --only activation=tanh,relu solver=adam dtype=float32
    python bench/product.py --seed 1 --json product.json

activation × loss × solver × regularisation × (float32, float64) × (dense, CSR): all that is registered, as
`tests/combinations.py` lists it. Each trains a network with two hidden layers on weighted rows; weights,
losses and averages after one batch and after ten steps must be those of `tests/reference.py`, a network in
plain float64 NumPy, within the tolerances of the tests. "lbfgs" stands for the loss of all rows and its
gradient, which is all that the engine does for it.

The table has for each name the largest error as a share of what is allowed. In float32 a rounding may turn
the sign that a solver follows, or a unit on or off; where float32 is off, other data decide ("redrawn"), and
what is off with all of three draws has failed. A failure is printed with the command that repeats it, and
the exit code is 1.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import random
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import bar, progress
from report import machine, table

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from combinations import CONTAINERS, DTYPES, FACTORS, FULL_BATCH, Combination, Outcome, agree
from threadpoolctl import threadpool_limits

SAMPLE = 2000
CHUNK = 50  # combinations that a process is given at a time
SHOWN = 20  # failures
ALL = {
    **FACTORS,
    "solver": [*FACTORS["solver"], "lbfgs"],
    "dtype": list(DTYPES),
    "container": list(CONTAINERS),
}


def main() -> int:
    args = parse_arguments()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}")
    chosen = combinations(args.only)
    if args.quick:
        places = random.Random(args.seed).sample(range(len(chosen)), min(SAMPLE, len(chosen)))
        chosen = [chosen[place] for place in sorted(places)]
    each = " × ".join(", ".join(args.only[factor]) for factor in ("dtype", "container"))
    print(f"{len(chosen):,} combination{'s' * (len(chosen) > 1)} × {each}", flush=True)
    started = time.perf_counter()
    cases = run(chosen, args)
    seconds = time.perf_counter() - started
    failures = [(case, outcome) for case, outcome in cases.items() if not outcome.error <= 1]
    redrawn = [(case, outcome) for case, outcome in cases.items() if outcome.draws > 1]
    rows = summary(cases)
    print("\n" + table(["", "cases", "failed", "redrawn", "largest error"], rows, args.markdown))
    for case, outcome in failures[:SHOWN]:
        error = "" if math.isinf(outcome.error) else f" {outcome.error:.3g} times what is allowed"
        print(f"\n{outcome.what}:{error}\n    {repeat(case, args.seed)}")
    if len(failures) > SHOWN:
        print(f"\nand {len(failures) - SHOWN:,} more")
    print(f"\n{len(failures):,} of {len(cases):,} failed, {len(redrawn):,} redrawn, in {seconds:.0f} s")
    if args.json:
        found = {
            "machine": about,
            "seed": args.seed,
            "cases": len(cases),
            "seconds": seconds,
            "failures": [[*case, *outcome] for case, outcome in failures],
            "redrawn": [[*case, *outcome] for case, outcome in redrawn],
            "table": rows,
        }
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(bool(failures))


def combinations(only: dict[str, list[str]]) -> list[Combination]:
    """Return the product of what is asked for, without what "lbfgs" does not know or rounding decides."""
    product = itertools.starmap(Combination, itertools.product(*(only[factor] for factor in FACTORS)))
    known = [c for c in product if c.solver != "lbfgs" or c.regularisation in FULL_BATCH]
    return [c for c in known if c.is_determined()]


def run(chosen: list[Combination], args) -> dict[tuple[str, ...], Outcome]:
    """Check all of them in several processes; return the outcome of each case in their order."""
    chunks = [chosen[i : i + CHUNK] for i in range(0, len(chosen), CHUNK)]
    which = {"seed": args.seed, "dtypes": args.only["dtype"], "containers": args.only["container"]}
    spawn = multiprocessing.get_context("spawn")
    outcomes: dict[tuple[str, ...], Outcome] = {}
    started, failed = time.perf_counter(), 0
    with ProcessPoolExecutor(args.jobs, spawn, initializer=quiet) as pool:
        try:
            tasks = [pool.submit(check, chunk, which) for chunk in chunks]
            for done, task in enumerate(as_completed(tasks), start=1):
                outcomes |= (found := task.result())
                failed += sum(not outcome.error <= 1 for outcome in found.values())
                bar(done, len(chunks), time.perf_counter() - started, f"{failed} failed")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress("")
    cases = itertools.product(chosen, args.only["dtype"], args.only["container"])
    return {case: outcomes[case] for case in ((*c, dtype, container) for c, dtype, container in cases)}


def quiet() -> None:
    """Prepare a process: one thread, and no warnings of overflow in the naive network."""
    threadpool_limits(1)
    warnings.simplefilter("ignore", RuntimeWarning)


def check(chunk: list[Combination], which: dict) -> dict[tuple[str, ...], Outcome]:
    outcomes = {}
    for combination in chunk:
        try:
            found = agree(combination, **which)
        except Exception as error:  # a combination that cannot be computed has failed, too
            failed = Outcome(math.inf, f"{type(error).__name__}: {error}")
            found = dict.fromkeys(itertools.product(which["dtypes"], which["containers"]), failed)
        outcomes |= {(*combination, *case): outcome for case, outcome in found.items()}
    return outcomes


def summary(cases: dict[tuple[str, ...], Outcome]) -> list[list[str]]:
    """Return the rows of the table: for each name of each factor the cases that it is in, and all of them."""
    rows = []
    for place, (factor, names) in enumerate(ALL.items()):
        for name in names:
            its = [outcome for case, outcome in cases.items() if case[place] == name]
            if its:
                rows.append([f"{factor} {name}", *counts(its)])
    return [*rows, ["all", *counts(list(cases.values()))]]


def counts(outcomes: list[Outcome]) -> list[str]:
    failed = sum(not outcome.error <= 1 for outcome in outcomes)
    redrawn = sum(outcome.draws > 1 for outcome in outcomes)
    return [f"{len(outcomes):,}", str(failed), str(redrawn), f"{max(o.error for o in outcomes):.2g}"]


def repeat(case: tuple[str, ...], seed: int) -> str:
    """Return the command that checks one case again."""
    only = " ".join(f"{factor}={name}" for factor, name in zip(ALL, case, strict=True))
    return f"python bench/product.py --seed {seed} --only {only}"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"a sample of {SAMPLE:,} combinations")
    add("--only", nargs="+", default=[], metavar="FACTOR=NAME", help=f"of {', '.join(ALL)}; NAME,NAME,...")
    add("--seed", type=int, default=0, help="of data and sample, 0 by default")
    add("--jobs", type=int, default=machine()["cores"], metavar="N", help="processes, one a core by default")
    add("--json", type=Path, metavar="FILE", help="write the table, failures and redrawn cases to FILE")
    add("--markdown", action="store_true", help="the table for a README")
    args = parser.parse_args()
    only = dict(ALL)
    for wish in args.only:
        factor, _, names = wish.partition("=")
        if factor not in ALL:
            parser.error(f"--only {wish}: no factor {factor!r}; there are {', '.join(ALL)}")
        only[factor] = names.split(",")
        if unknown := [name for name in only[factor] if name not in ALL[factor]]:
            parser.error(f"--only {wish}: no {', '.join(unknown)}; there are {', '.join(ALL[factor])}")
    args.only = only
    if not combinations(only):
        parser.error(f"solver=lbfgs goes with regularisation={','.join(FULL_BATCH)} only")
    if args.seed < 0 or args.jobs < 1:
        parser.error("--seed must be at least 0, --jobs at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
