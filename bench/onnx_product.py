"""Does ONNX Runtime predict as the networks do, for every combination? The full product, with random weights.

    python bench/onnx_product.py                          # all of it: half an hour on two cores
    python bench/onnx_product.py --quick                  # a sample
    python bench/onnx_product.py --only activations=mish,mish norm=layer dtype=float32
    python bench/onnx_product.py --json onnx.json

activation × kind of output × norm × residual × scaling of the inputs × blended activations × dtype: all that
is registered, as `tests/onnx_networks.py` lists it. Each network has two hidden layers and random weights;
nothing is trained. Its ONNX model must pass ONNX's checker, and have its labels, and its probabilities or
values within 1e-5 (float32) or 1e-13 (float64) of the largest of their column. Where outputs are differences
of larger numbers there are fewer digits: other weights decide ("redrawn"), and what is off with all of three
draws has failed.

The table has for each name the largest error. A failure is printed with the command that repeats it, and the
exit code is 1.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import bar, progress
from report import machine, table

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from onnx_networks import FACTORS, KINDS_OF_OUTPUT, TOLERANCE, Network, largest_error

SAMPLE = 2000
CHUNK = 50  # networks that a process is given at a time
SHOWN = 20  # failures
DRAWS = 3
ALL = {
    **{name: values for name, values in FACTORS.items() if name != "intercept"},
    "output": KINDS_OF_OUTPUT,
}


def main() -> int:
    args = parse_arguments()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}")
    product = (dict(zip(ALL, names, strict=True)) for names in itertools.product(*args.only.values()))
    chosen = [network for network in (Network(**names) for names in product) if network.is_known]
    if args.quick:
        chosen = random.Random(args.seed).sample(chosen, min(SAMPLE, len(chosen)))
    print(f"{len(chosen):,} network{'s' * (len(chosen) > 1)}", flush=True)
    started = time.perf_counter()
    errors, n_redrawn = run(chosen, args)
    seconds = time.perf_counter() - started
    failures = {network: e for network, e in errors.items() if not e <= TOLERANCE[network.dtype]}
    rows = summary(errors)
    print("\n" + table(["", "networks", "failed", "largest error"], rows, args.markdown))
    for network, e in itertools.islice(failures.items(), SHOWN):
        only = " ".join(f"'{name}={getattr(network, name)}'" for name in ALL)
        print(f"\nerror {e:.2g}\n    python bench/onnx_product.py --seed {args.seed} --only {only}")
    print(f"\n{len(failures):,} of {len(errors):,} failed, {n_redrawn:,} redrawn, in {seconds:.0f} s")
    if args.json:
        found = {
            "machine": about,
            "seed": args.seed,
            "networks": len(errors),
            "redrawn": n_redrawn,
            "seconds": seconds,
            "failures": [[*network, e] for network, e in failures.items()],
            "table": rows,
        }
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(bool(failures))


def run(chosen: list[Network], args) -> tuple[dict[Network, float], int]:
    """Check all of them in several processes; return the error of each in their order, and redraws."""
    chunks = [chosen[i : i + CHUNK] for i in range(0, len(chosen), CHUNK)]
    spawn = multiprocessing.get_context("spawn")
    errors: dict[Network, float] = {}
    started, failed, redrawn = time.perf_counter(), 0, 0
    with ProcessPoolExecutor(args.jobs, spawn) as pool:
        try:
            tasks = [pool.submit(check, chunk, args.seed) for chunk in chunks]
            for done, task in enumerate(as_completed(tasks), start=1):
                found, n_redrawn = task.result()
                errors |= found
                redrawn += n_redrawn
                failed += sum(not e <= TOLERANCE[network.dtype] for network, e in found.items())
                bar(done, len(chunks), time.perf_counter() - started, f"{failed} failed")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress("")
    return {network: errors[network] for network in chosen}, redrawn


def check(chunk: list[Network], seed: int) -> tuple[dict[Network, float], int]:
    errors, redrawn = {}, 0
    for network in chunk:
        for draw in range(DRAWS):
            redrawn += draw == 1
            try:
                errors[network] = largest_error(network, seed + 1000 * draw)
            except Exception as error:  # what cannot be exported or run has failed, too
                print(f"\n{network}: {type(error).__name__}: {error}", file=sys.stderr)
                errors[network] = math.inf
                break
            if errors[network] <= TOLERANCE[network.dtype]:
                break
    return errors, redrawn


def summary(errors: dict[Network, float]) -> list[list[str]]:
    """Return the rows of the table: for each name and dtype, the networks that have it."""
    rows = []
    for dtype in ALL["dtype"]:
        of_dtype = {network: e for network, e in errors.items() if network.dtype == dtype}
        for factor, names in ALL.items():
            for name in names:
                its = [e for network, e in of_dtype.items() if getattr(network, factor) == name]
                if its:
                    failed = sum(not e <= TOLERANCE[dtype] for e in its)
                    label = dtype if factor == "dtype" else f"{dtype} {factor} {name}"
                    rows.append([label, f"{len(its):,}", str(failed), f"{max(its):.1e}"])
    return rows


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"a sample of {SAMPLE:,} networks")
    add("--only", nargs="+", default=[], metavar="FACTOR=NAME", help=f"of {', '.join(ALL)}")
    add("--seed", type=int, default=0, help="of weights and sample, 0 by default")
    add("--jobs", type=int, default=machine()["cores"], metavar="N", help="processes, one a core by default")
    add("--json", type=Path, metavar="FILE", help="write the table and failures to FILE")
    add("--markdown", action="store_true", help="the table for a README")
    args = parser.parse_args()
    only = dict(ALL)
    for wish in args.only:
        factor, _, name = wish.partition("=")
        if factor not in ALL:
            parser.error(f"--only {wish}: no factor {factor!r}; there are {', '.join(ALL)}")
        if name not in ALL[factor]:
            parser.error(f"--only {wish}: no {name!r}; there are {', '.join(map(repr, ALL[factor]))}")
        only[factor] = [name]
    args.only = only
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
