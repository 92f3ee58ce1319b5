"""A grid search by fastbp, by scikit-learn with fastbp and with its own network, by JAX: how much sooner?

    python bench/search.py                                   # some minutes
    python bench/search.py --workloads wine --ways fused sklearn --rounds 1 --json search.json

    GridSearchCV(make_pipeline(StandardScaler(), Estimator(random_state=0)), grid, cv=5, n_jobs=2).fit(X, y)

"digits" has 24 candidates of 50 epochs, "wine" 300 of 100 epochs on a network of 10 units. The ways:

    fused      fastbp.model_selection.GridSearchCV: all candidates are trained in one run
    threading  scikit-learn's GridSearchCV with BPClassifier, joblib's threads
    loky       the same, with joblib's processes
    sklearn    scikit-learn's GridSearchCV with MLPClassifier, joblib's processes ("wine": a tenth of the
               candidates, times ten)
    jax        all networks of a shape by one vmap ("digits" only)

Each search has a fresh process, and the rounds of all are interleaved. Before the clock starts, the process
makes a tiny search of the same kind: kernels are on disk and in this process, and joblib's workers have
started, as after any earlier search. JAX compiles for each shape while the clock runs. All of fastbp's ways
must have the same scores to the bit, and all best scores must lie within 0.006, JAX's, which draws other
weights, within 0.012, or the exit code is 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peers
import report
from measure import progress, rotated
from report import number, table

RATES = [1e-3, 3e-3, 1e-2, 3e-2]
GRIDS = {
    "digits": {
        "hidden_layer_sizes": [(32,), (64,), (64, 32)],
        "alpha": [1e-5, 1e-3],
        "learning_rate_init": RATES,
    },
    "wine": {
        "hidden_layer_sizes": [(10,)],
        "alpha": np.geomspace(1e-6, 10, 30).tolist(),
        "learning_rate_init": np.geomspace(1e-3, 0.1, 10).tolist(),
    },
}
EPOCHS = {"digits": 50, "wine": 100}
TENTH = {"alpha": GRIDS["wine"]["alpha"][::10], "hidden_layer_sizes": [(10,)]}  # × 10 rates
WAYS = ("fused", "threading", "loky", "sklearn", "jax")
OURS = WAYS[:3]
TITLES = {
    "fused": "fastbp.model_selection",
    "threading": "scikit-learn's search over fastbp, threads",
    "loky": "scikit-learn's search over fastbp, processes",
    "sklearn": "scikit-learn",
    "jax": "JAX vmap",
}
TOLERANCE = 0.006
JOBS, N_FOLDS = 2, 5


def main() -> int:
    args = parse_arguments()
    if args.one:
        print(json.dumps(search(*args.one.split(","), args.quick)))
        return 0
    libraries = ("fastbp", "sklearn", "jax")
    machine = report.machine() | {"versions": {p: peers.version(p) for p in libraries}}
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}")
    print(", ".join(f"{peers.title(p)} {version}" for p, version in machine["versions"].items()) + "\n")
    runs: dict = {
        (workload, dtype, way): []
        for workload in args.workloads
        for dtype in args.dtypes
        for way in args.ways
        if way != "jax" or (workload == "digits" and peers.available("jax"))
    }
    for i in range(args.rounds):
        for case in rotated(runs, i):
            progress(f"round {i + 1} of {args.rounds}: {', '.join(case)}")
            runs[case].append(in_fresh_process(case, args.quick))
    progress("")
    show(runs, args.markdown)
    if args.json:
        results = [{"case": case, "runs": found} for case, found in runs.items()]
        args.json.write_text(json.dumps({"machine": machine, "rounds": args.rounds, "results": results}))
    return 0 if args.quick else agreement(runs)


def in_fresh_process(case: tuple[str, ...], quick: bool) -> dict:
    paths = [str(peers.CHECKOUT), os.environ.get("PYTHONPATH", "")]  # joblib's workers import fastbp, too
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--one", ",".join(case), *["--quick"] * quick]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"\n{', '.join(case)}: its process ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def search(workload: str, dtype: str, way: str, quick: bool) -> dict:
    """Search in this process; return seconds and scores."""
    from sklearn.datasets import load_digits, load_wine

    X, y = (load_digits if workload == "digits" else load_wine)(return_X_y=True)
    X, grid, scale = X.astype(dtype), dict(GRIDS[workload]), 1
    if way == "sklearn" and workload == "wine":
        grid |= TENTH
        scale = 10
    if quick:
        grid = {name: values[:1] for name, values in grid.items()}
    small = {name: values[:1] for name, values in grid.items()}
    run = jax_search if way == "jax" else grid_search
    if way != "jax":
        run(X[::3], y[::3], small, 2, way)
    start = time.perf_counter()
    scores = run(X, y, grid, EPOCHS[workload], way)
    return {"seconds": scale * (time.perf_counter() - start), "best_score": max(scores), "scores": scores}


def grid_search(X, y, grid: dict, epochs: int, way: str) -> list[float]:
    import joblib
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if way == "fused":
        from fastbp.model_selection import GridSearchCV
    else:
        from sklearn.model_selection import GridSearchCV
    if way == "sklearn":
        from sklearn.neural_network import MLPClassifier as Classifier
    else:
        from fastbp import BPClassifier as Classifier
    step = Classifier.__name__.lower()
    grid = {f"{step}__{name}": values for name, values in grid.items()}
    model = make_pipeline(StandardScaler(), Classifier(max_iter=epochs, random_state=0))
    backend = {"threading": "threading", "fused": None}.get(way, "loky")
    with joblib.parallel_config(**({} if backend is None else {"backend": backend})):
        found = GridSearchCV(model, grid, cv=N_FOLDS, n_jobs=JOBS).fit(X, y)
    return [float(score) for score in found.cv_results_["mean_test_score"]]


def jax_search(X, y, grid: dict, epochs: int, way: str) -> list[float]:
    from peers.jax_search import grid_search
    from sklearn.model_selection import StratifiedKFold

    folds = list(StratifiedKFold(N_FOLDS).split(X, y))
    shapes, alphas, rates = grid["hidden_layer_sizes"], grid["alpha"], grid["learning_rate_init"]
    return grid_search(X, y, folds, shapes, alphas, rates, epochs)


def show(runs: dict, markdown: bool) -> None:
    rows = []
    for (workload, dtype, way), found in runs.items():
        seconds = [run["seconds"] for run in found]
        fused = [run["seconds"] for run in runs.get((workload, dtype, "fused"), [])]
        ratio = statistics.median(t / o for t, o in zip(seconds, fused, strict=True)) if fused else None
        rows.append(
            [
                f"{workload}, {dtype}",
                TITLES[way],
                number(statistics.median(seconds)),
                "" if ratio is None else number(ratio),
                number(found[0]["best_score"], 4),
            ]
        )
    head = ["search", "by", "seconds", "fastbp.model_selection sooner", "best score"]
    print(table(head, rows, markdown))


def agreement(runs: dict) -> int:
    """Return 1, after a line that says why, where results differ that should not."""
    failed = 0
    for workload, dtype in {case[:2] for case in runs}:
        of = {case[2]: found for case, found in runs.items() if case[:2] == (workload, dtype)}
        ours = [run["scores"] for way in OURS for run in of.get(way, [])]
        if any(scores != ours[0] for scores in ours):
            print(f"\nFAILED: {workload}, {dtype}: fastbp's scores depend on the way")
            failed = 1
        best = [run["best_score"] for way, found in of.items() if way != "jax" for run in found]
        theirs = [run["best_score"] for run in of.get("jax", [])]  # of other initial weights and orders
        if not best:
            continue
        if max(best) - min(best) > TOLERANCE or any(abs(one - best[0]) > 2 * TOLERANCE for one in theirs):
            print(f"\nFAILED: {workload}, {dtype}: the best scores differ by more than {TOLERANCE}")
            failed = 1
    return failed


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds, 3 by default")
    add("--workloads", nargs="+", choices=list(GRIDS), default=list(GRIDS))
    add("--dtypes", nargs="+", choices=["float32", "float64"], default=["float64", "float32"])
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add("--json", type=Path, metavar="FILE", help="write every time and score to FILE")
    add("--markdown", action="store_true", help="tables for a README")
    add("--quick", action="store_true", help=argparse.SUPPRESS)  # one candidate: to try this script
    add("--one", help=argparse.SUPPRESS)  # workload,dtype,way: one search, in this process
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    if args.json and not args.json.parent.is_dir():
        parser.error(f"--json: no folder {args.json.parent}")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
