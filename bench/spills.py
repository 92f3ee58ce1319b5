"""Does a hot loop move vector registers to the stack, on any processor?

    python bench/spills.py                              # eleven processors, minutes each on one core
    python bench/spills.py --targets haswell apple-m1 --verbose
    python bench/spills.py --parts product              # the register tile alone: seconds
    python bench/spills.py --all --json spills.json     # solvers with every combination of their extras

Numba compiles the kernels for each processor with all that LLVM does for it, on any x86 or ARM host: one
process a processor, several at once. The cache of kernels is left alone. The listings are searched for loops
without a loop or a call inside. A register that such a loop moves to the stack and back, in each turn, costs
time, and how much depends on where the stack begins: the same code is fast here and slow in the next process.

The tables have for each family of kernels the number of these loops, fused multiply-adds of the fullest one
(multiplications where there are none, as with SSE), moves of vectors to the stack ("stores"), instructions
that take them from there ("reads"), both summed over the loops, and the share of their instructions that
compute. Solvers are compiled without extras (L1, decay, clipping, …), with each alone, and with all. The exit
code is 1 if loops of the product or the gradient have any such moves; others are reported. (What is compiled
into its caller, as transpositions are, is counted there.)
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from machine_code.listing import Loop
from machine_code.targets import TARGETS
from measure import bar, progress
from report import machine, percent, table

STRICT = ("product", "gradient")
PARTS = ("product", "kernels", "functions")
HEADER = ["loops of", "loops", "fused", "stores", "reads", "computing"]


def main() -> int:
    args = parse_arguments()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}", flush=True)
    started = time.perf_counter()
    found: dict[str, list[dict[str, Any]]] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        tasks = {pool.submit(compile_for, target, args.parts): target for target in args.targets}
        for done, task in enumerate(as_completed(tasks), start=1):
            found[tasks[task]] = task.result()
            progress("")
            show(tasks[task], task.result(), args)
            bar(done, len(tasks), time.perf_counter() - started, f"{tasks[task]} compiled")
    progress("")
    summary = []
    for target in args.targets:
        families = hot_loops(found[target])
        summary.append([target, *map(str, counts(families, STRICT)), *map(str, counts(families, families))])
    header = ["", "loops", "stores", "reads", "all loops", "stores", "reads"]
    print(f"\n{', '.join(STRICT)}; and all\n\n" + table(header, summary, args.markdown))
    if args.json:
        text = json.dumps({"machine": about, "targets": as_json(found)}, indent=1)
        args.json.write_text(text, encoding="utf-8")
    faults = [line[0] for line in summary if line[2:4] != ["0", "0"]]
    seconds = time.perf_counter() - started
    names = " or ".join(STRICT)
    result = f"moves in loops of {names} on {', '.join(faults)}" if faults else f"none in loops of {names}"
    print(f"\n{len(found)} processors in {seconds:.0f} s: {result}")
    return int(bool(faults))


def compile_for(target: str, parts: list[str]) -> list[dict[str, Any]]:
    """The functions compiled for a processor, with their loops."""
    command = [sys.executable, "-m", "machine_code.compile", target, *parts]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{target}: {done.stderr}")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [{**entry, "loops": [Loop(*loop) for loop in entry["loops"]]} for entry in entries]


def hot_loops(entries: list[dict[str, Any]]) -> dict[str, list[Loop]]:
    """Family -> its hot loops."""
    found: dict[str, list[Loop]] = {}
    for entry in entries:
        found.setdefault(entry["family"], []).extend(loop for loop in entry["loops"] if loop.is_hot)
    return {family: loops for family, loops in sorted(found.items()) if loops}


def show(target: str, entries: list[dict[str, Any]], args) -> None:
    """Print the table of a processor, and the loops that it is about."""
    rows = [row(family, loops) for family, loops in hot_loops(entries).items()]
    print(f"\n{target}\n\n" + table(HEADER, rows, args.markdown), flush=True)
    for entry in entries if args.verbose else ():
        for loop in entry["loops"]:
            if loop.is_hot and loop.moves:
                print(
                    f"{entry['kernel']}, {entry['function']}, {entry['dtype']}: {loop.stores} stores, "
                    f"{loop.reads} reads, {loop.fused} fused, {loop.instructions} instructions",
                    flush=True,
                )


def row(family: str, loops: list[Loop]) -> list[str]:
    computing = [loop for loop in loops if loop.computing]
    total = sum(loop.instructions for loop in computing)
    return [
        family,
        str(len(loops)),
        str(max(loop.fused for loop in loops)),
        str(sum(loop.stores for loop in loops)),
        str(sum(loop.reads for loop in loops)),
        percent(sum(loop.computing for loop in computing) / total if total else None),
    ]


def counts(families: dict[str, list[Loop]], names: Iterable[str]) -> tuple[int, int, int]:
    """Loops of the families of these names, and their stores and reads."""
    loops = [loop for family in names for loop in families.get(family, ())]
    return len(loops), sum(loop.stores for loop in loops), sum(loop.reads for loop in loops)


def as_json(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        target: [{**entry, "loops": [loop._asdict() for loop in entry["loops"]]} for entry in entries]
        for target, entries in found.items()
    }


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = ", ".join(TARGETS)
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="NAME", help=names)
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all by default")
    add("--all", action="store_true", help="solvers with every combination of extras")
    add("--jobs", type=int, default=machine()["cores"], metavar="N", help="processes, one a core by default")
    add("--verbose", action="store_true", help="each loop that moves vectors")
    add("--markdown", action="store_true", help="tables in Markdown")
    add("--json", type=Path, metavar="FILE", help="write all loops to FILE")
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error("--jobs must be at least 1")
    if args.all:
        args.parts = ["extras" if part == "functions" else part for part in args.parts]
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
