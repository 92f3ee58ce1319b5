"""A halving search over `max_iter`: how much sooner if candidates resume their training?

    python bench/halving.py [--rounds 3] [--jobs 2] [--json halving.json]

    HalvingGridSearchCV(make_pipeline(StandardScaler(), BPClassifier(random_state=0)), 24 candidates,
                        factor=2, cv=5, resource="bpclassifier__max_iter", min_resources=5,
                        max_resources=80).fit(digits)

Compares fastbp's search with resumed fits, the same with fits that begin again, and scikit-learn's search
over the same estimator. The rounds of all are interleaved after a warm-up of each. All scores must be equal
to the bit, or the exit code is 1.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from sklearn import model_selection
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.model_selection as fused
from fastbp import BPClassifier
from fastbp.model_selection import resumption

GRID = {
    "hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "alpha": [1e-5, 1e-3],
    "learning_rate_init": [1e-3, 3e-3, 1e-2, 3e-2],
}
OPTIONS = {"resource": "bpclassifier__max_iter", "factor": 2, "cv": 5, "random_state": 0, "refit": False}
LIMIT = resumption.MAX_BYTES
# Name -> module of the search, and the bound of the states that are kept.
KINDS = {
    "fastbp, resuming": (fused, LIMIT),
    "fastbp, beginning again": (fused, 0),
    "scikit-learn's search": (model_selection, LIMIT),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in KINDS:
        search(name, args.jobs, 1, 2)
    times = {name: [] for name in KINDS}
    scores = {}
    for i in range(args.rounds):
        order = list(KINDS)[i % len(KINDS) :] + list(KINDS)[: i % len(KINDS)]
        for name in order:
            seconds, scores[name] = search(name, args.jobs, 5, 80)
            times[name].append(seconds)
    first, *others = scores.values()
    equal = all(np.array_equal(first, other) for other in others)
    best = statistics.median(times["fastbp, resuming"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        extremes = f"({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"{name:24} {median:8.2f} s   {median / best:5.2f}   {extremes}")
    print("The scores are equal." if equal else "The scores differ.")
    if args.json:
        args.json.write_text(json.dumps({"times": times, "equal": equal}, indent=1), encoding="utf-8")
    return 0 if equal else 1


def search(name: str, n_jobs: int, fewest: int, most: int) -> tuple[float, np.ndarray]:
    """Return the seconds of a search and its scores."""
    module, resumption.MAX_BYTES = KINDS[name]
    grid = {f"bpclassifier__{parameter}": values for parameter, values in GRID.items()}
    chain = make_pipeline(StandardScaler(), BPClassifier(random_state=0))
    limits = {"min_resources": fewest, "max_resources": most}
    searched = module.HalvingGridSearchCV(chain, grid, n_jobs=n_jobs, **limits, **OPTIONS)
    X, y = load_digits(return_X_y=True)
    started = time.perf_counter()
    searched.fit(X, y)
    return time.perf_counter() - started, searched.cv_results_["mean_test_score"]


if __name__ == "__main__":
    sys.exit(main())
