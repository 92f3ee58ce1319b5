"""Are the models for tables as good on small ones as simple models and networks behind a StandardScaler?

    python bench/small_tables.py                         # two minutes
    python bench/small_tables.py --sets iris --seeds 10 --json small.json

scikit-learn's bundled tables, in five folds with equal shares of the classes, which each seed draws anew; it
is the models' seed, too. Mean test accuracy, or R² of diabetes, on the same rows, with the standard error
over the seeds of the difference between the table model and the better of the first two. The exit code is 1
where the table model is worse than that by more than 0.005 on iris, wine, breast_cancer or diabetes.
"""

import argparse
import json
import statistics
import sys
import warnings
from pathlib import Path

import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import progress
from report import number, table
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor, TabularClassifier, TabularRegressor

SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")
GOALS = SETS[:4]
TOLERANCE = 0.005
FOLDS = 5
SIMPLE = ("linear", "network")
DIGITS = 600  # rows of digits: more are no small table


def main() -> int:
    args = parse_arguments()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    results = []
    for name in args.sets:
        scores: dict[str, list[float]] = {}
        for seed in range(args.seeds):
            progress(f"{name}: seed {seed}")
            for kind, model in models(name, seed).items():
                scores.setdefault(kind, []).append(score(name, model, seed))
        results.append({"set": name, "scores": scores})
    progress("")
    rows, worse = [], []
    for result in results:
        scores = result["scores"]
        means = {kind: statistics.mean(values) for kind, values in scores.items()}
        best = max(SIMPLE, key=means.__getitem__)
        differences = [ours - other for ours, other in zip(scores["table"], scores[best], strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
        difference = means["table"] - means[best]
        rows.append(
            [result["set"], *(number(m, 4) for m in means.values()), f"{difference:+.4f}", f"{error:.4f}"]
        )
        if result["set"] in GOALS and difference < -TOLERANCE:
            worse.append(result["set"])
    header = ["accuracy or R²", *results[0]["scores"], "table - best simple", "standard error"]
    print(table(header, rows, args.markdown))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if worse:
        print(f"\nFAILED: worse than a simple model by more than {TOLERANCE} on {', '.join(worse)}")
    return int(bool(worse))


def models(name: str, seed: int) -> dict:
    options = {"random_state": seed, "n_jobs": 1}
    if name == "diabetes":
        linear, network, of_table = Ridge(), BPRegressor, TabularRegressor
    else:
        linear, network, of_table = LogisticRegression(max_iter=1000), BPClassifier, TabularClassifier
    return {
        "linear": make_pipeline(StandardScaler(), linear),
        "network": make_pipeline(StandardScaler(), network(**options)),
        "preset": network(preset="tabular", **options),
        "table": of_table(**options),
    }


def score(name: str, model, seed: int) -> float:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        X, y = X[:DIGITS], y[:DIGITS]
    folds = (KFold if name == "diabetes" else StratifiedKFold)(FOLDS, shuffle=True, random_state=seed)
    return float(cross_val_score(model, X, y, cv=folds, error_score="raise").mean())


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME", help=f"of {', '.join(SETS)}")
    add("--seeds", type=int, default=10, help="10 by default")
    add("--json", type=Path, metavar="FILE", help="write the mean score of each seed to FILE")
    add("--markdown", action="store_true", help="a table for a README")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error("--seeds must be at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
