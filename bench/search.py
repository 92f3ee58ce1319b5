"""A grid search of scikit-learn's, with fastbp's classifier and with scikit-learn's own: how much sooner?

    python bench/search.py                                # some minutes
    python bench/search.py --rounds 1 --backends threading --json search.json

    GridSearchCV(make_pipeline(StandardScaler(), Estimator(max_iter=50, random_state=0)), 24 candidates,
                 cv=5, n_jobs=2).fit(digits)

Each search has a fresh process, and the rounds of all are interleaved. Before the clock starts, the process
makes a tiny fit, so that fastbp's kernels are on disk and in this process, as after any earlier fit; its
time stands in the table, too. joblib's workers start while the clock runs. Both searches must end at
the same best score, within 0.006, or the exit code is 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import peers
import report
from measure import progress, rotated
from report import number, table

GRID = {
    "hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "alpha": [1e-5, 1e-3],
    "learning_rate_init": [1e-3, 3e-3, 1e-2, 3e-2],
}
QUICK_GRID = {"learning_rate_init": [1e-3, 1e-2]}
LIBRARIES = ("fastbp", "sklearn")
BACKENDS = ("loky", "threading")
# the pairs (library, backend) whose times are compared
RATIOS = [
    (("sklearn", "loky"), ("fastbp", "loky")),
    (("sklearn", "loky"), ("fastbp", "threading")),
    (("sklearn", "threading"), ("fastbp", "threading")),
]
TOLERANCE = 0.006
JOBS = 2


def main() -> int:
    args = parse_arguments()
    if args.one:
        print(json.dumps(search(*args.one.split(","), args.quick)))
        return 0
    machine = report.machine() | {"versions": {p: peers.version(p) for p in LIBRARIES}}
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}")
    print(", ".join(f"{peers.title(p)} {version}" for p, version in machine["versions"].items()) + "\n")
    runs = {(library, backend): [] for backend in args.backends for library in LIBRARIES}
    for i in range(args.rounds):
        for library, backend in rotated(runs, i):
            progress(f"round {i + 1} of {args.rounds}: {peers.title(library)}, {backend}")
            runs[library, backend].append(in_fresh_process(library, backend, args.quick))
    progress("")
    show(runs, args.markdown)
    if args.json:
        results = [{"library": pair[0], "backend": pair[1], "runs": found} for pair, found in runs.items()]
        args.json.write_text(json.dumps({"machine": machine, "rounds": args.rounds, "results": results}))
    scores = [run["best_score"] for found in runs.values() for run in found]
    if max(scores) - min(scores) > TOLERANCE and not args.quick:  # two candidates say too little
        print(f"\nFAILED: the best scores differ by more than {TOLERANCE}")
        return 1
    return 0


def in_fresh_process(library: str, backend: str, quick: bool) -> dict:
    paths = [str(peers.CHECKOUT), os.environ.get("PYTHONPATH", "")]  # joblib's workers import fastbp, too
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--one", f"{library},{backend}", *["--quick"] * quick]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"\n{peers.title(library)}, {backend}: its process ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def search(library: str, backend: str, quick: bool) -> dict:
    """Search in this process; return seconds and scores."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if library == "fastbp":
        from fastbp import BPClassifier as Classifier
    else:
        from sklearn.neural_network import MLPClassifier as Classifier
    X, y = load_digits(return_X_y=True)
    start = time.perf_counter()
    make_pipeline(StandardScaler(), Classifier((8,), max_iter=1)).fit(X, y).score(X, y)
    first_fit = time.perf_counter() - start
    step = Classifier.__name__.lower()
    grid = {f"{step}__{name}": values for name, values in (QUICK_GRID if quick else GRID).items()}
    model = make_pipeline(StandardScaler(), Classifier(max_iter=50, random_state=0))
    with joblib.parallel_config(backend=backend):
        start = time.perf_counter()
        found = GridSearchCV(model, grid, cv=5, n_jobs=JOBS).fit(X, y)
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "first_fit_seconds": first_fit,
        "best_score": float(found.best_score_),
        "scores": [float(score) for score in found.cv_results_["mean_test_score"]],
    }


def show(runs: dict, markdown: bool) -> None:
    def of(pair, key):
        return [run[key] for run in runs[pair]]

    rows = [
        [
            f"{peers.title(pair[0])}, {pair[1]}",
            number(statistics.median(of(pair, "seconds"))),
            number(statistics.median(of(pair, "first_fit_seconds"))),
            number(statistics.median(of(pair, "best_score")), 4),
        ]
        for pair in runs
    ]
    print(table(["grid search", "seconds", "tiny fit before it", "best score"], rows, markdown))
    rows = [
        [
            f"{peers.title(theirs[0])}, {theirs[1]} / {peers.title(ours[0])}, {ours[1]}",
            number(median_ratio(of(theirs, "seconds"), of(ours, "seconds"))),
        ]
        for theirs, ours in RATIOS
        if theirs in runs and ours in runs
    ]
    print("\n" + table(["ratio of times, the median of the rounds", "times sooner"], rows, markdown))


def median_ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds, 3 by default")
    add("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS), help="joblib's; both by default")
    add("--json", type=Path, metavar="FILE", help="write every time and score to FILE")
    add("--markdown", action="store_true", help="tables for a README")
    add("--quick", action="store_true", help=argparse.SUPPRESS)  # two candidates: to try this script
    add("--one", help=argparse.SUPPRESS)  # library,backend: one search, in this process
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    if args.json and not args.json.parent.is_dir():
        parser.error(f"--json: no folder {args.json.parent}")
    args.backends = list(dict.fromkeys(args.backends))
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
