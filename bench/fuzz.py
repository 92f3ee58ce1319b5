"""Is there any use of the estimators that crashes, hangs, lies or leaves something broken behind?

    python bench/fuzz.py                                # 10,000 cases, some minutes on two cores
    python bench/fuzz.py --cases 1000 --seed 7
    python bench/fuzz.py --seed 7 --only 1234           # repeat one, and print it as a program

A case is an estimator with random parameters (good, at the edge, bad; scalars of every width), data of
every kind (dense, sparse, frames, lists; huge, denormal, constant, NaN; labels and targets of all types;
weights) and one to five calls. It depends on seed and number alone. After each call this must hold:

- it raises nothing but ValueError, TypeError or MemoryError, on purpose, with a message; for a
  parameter's bad value one that names it; and it does not take what must be refused;
- it warns of nothing but what is meant to be warned of, at the user's line;
- if it fails, the model is what it was, to the bit;
- after a fit all numbers are finite, and a row alone has the bits that it has among others;
- X, y and weights are not changed, and the model keeps no part of them;
- the same fit with another number of threads, a resumed fit, a copy by pickle and a clone are the same.

A call that does not end within the limit, and a process that dies, are findings, too. They stand in a table
by their kind; the exit code is 1 if there are any.
"""

import argparse
import contextlib
import sys
import time
from collections import Counter, defaultdict

import peers  # noqa: F401  (finds the fastbp of this checkout)
from fuzzing import pool
from fuzzing.make import make_case
from fuzzing.run import Finding
from measure import bar, progress
from report import machine, table

SHOWN = 4  # cases of a kind of finding
LIMIT = 60.0


def main() -> int:
    args = parse_arguments()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}")
    if args.only is not None:
        print("\n" + make_case(args.seed, args.only).source() + "\n", flush=True)
    numbers = range(args.cases) if args.only is None else [args.only]
    found: dict[str, list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    started = time.perf_counter()
    with contextlib.closing(pool.check(args.seed, numbers, args.processes, args.limit)) as outcomes:
        for done, (number, outcome) in enumerate(outcomes, start=1):
            for finding in outcome.findings:
                found[finding.what].append(number)
                if args.only is not None:
                    show(args.seed, number, finding)
            counts += outcome.counts
            refusals += outcome.refusals
            seconds = time.perf_counter() - started
            bar(done, len(numbers), seconds, f"{len(found)} kinds of findings")
    progress("")
    seconds = time.perf_counter() - started
    if args.outcomes:
        print("\n" + table(["calls", "times"], [[name, f"{n:,}"] for name, n in sorted(counts.items())]))
        rows = [[text.replace("\n", " "), f"{n:,}"] for text, n in refusals.most_common()]
        print("\n" + table(["refusals", "times"], rows))
    if found:
        rows = [
            [what, f"{len(cases):,}", " ".join(str(number) for number in sorted(set(cases))[:SHOWN])]
            for what, cases in sorted(found.items(), key=lambda item: -len(item[1]))
        ]
        print("\n" + table(["finding", "times", "cases"], rows))
        print(f"\nA case as a program: python bench/fuzz.py --seed {args.seed} --only NUMBER")
    kinds = f"{len(found)} kinds of findings" if found else "nothing found"
    good = sum(n for name, n in counts.items() if name.endswith("good"))
    print(f"\n{len(numbers):,} cases, {counts.total():,} calls of which {good:,} went well, "
          f"in {seconds:.0f} s: {kinds}")  # fmt: skip
    return int(bool(found))


def show(seed: int, number: int, finding: Finding) -> None:
    """Print a finding below the call that it is about."""
    calls = make_case(seed, number).calls
    where = calls[finding.call].code if finding.call >= 0 else "the case"
    print(f"{where}\n    # {finding.what}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cases", type=int, default=10_000, metavar="N", help="10,000 by default")
    add("--seed", type=int, default=0, help="0 by default")
    add("--only", type=int, metavar="NUMBER", help="this case alone, which is printed, too")
    add("--processes", type=int, default=machine()["cores"], metavar="N", help="one a core by default")
    add("--limit", type=float, default=LIMIT, metavar="SECONDS", help=f"of a case, {LIMIT:g} by default")
    add("--outcomes", action="store_true", help="also what all calls came to, and every refusal")
    args = parser.parse_args()
    if args.cases < 1 or args.processes < 1 or args.seed < 0:
        parser.error("--cases and --processes must be at least 1, --seed at least 0")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
