"""Is preset="tabular" as good on small tables as the defaults behind a StandardScaler?

    python bench/small_tables.py                         # a minute
    python bench/small_tables.py --sets iris --seeds 10 --json small.json

scikit-learn's bundled tables, in four folds with equal shares of the classes, which each seed draws anew; it
is the networks' seed, too. Mean test accuracy on the same rows, the difference and its standard error over
the seeds. The exit code is 1 where the preset is worse by more than 0.005 on iris, wine or breast_cancer.
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
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier

SETS = ("iris", "wine", "breast_cancer", "digits")
GOALS = SETS[:3]
TOLERANCE = 0.005
FOLDS = 4
DIGITS = 600  # rows of digits: more are no small table


def main() -> int:
    args = parse_arguments()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    results = []
    for name in args.sets:
        scores = {"plain": [], "preset": []}
        for seed in range(args.seeds):
            progress(f"{name}: seed {seed}")
            for kind, model in models(seed).items():
                scores[kind].append(score(name, model, seed))
        results.append({"set": name, "scores": scores})
    progress("")
    rows, worse = [], []
    for result in results:
        plain, preset = result["scores"].values()
        differences = [ours - other for ours, other in zip(preset, plain, strict=True)]
        difference = statistics.mean(differences)
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
        means = [number(statistics.mean(values), 4) for values in (plain, preset)]
        rows.append([result["set"], *means, f"{difference:+.4f}", f"{error:.4f}"])
        if result["set"] in GOALS and difference < -TOLERANCE:
            worse.append(result["set"])
    header = ["accuracy", "StandardScaler", "preset", "difference", "standard error"]
    print(table(header, rows, args.markdown))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if worse:
        print(f"\nFAILED: the preset is worse by more than {TOLERANCE} on {', '.join(worse)}")
    return int(bool(worse))


def models(seed: int) -> dict:
    return {
        "plain": make_pipeline(StandardScaler(), BPClassifier(random_state=seed, n_jobs=1)),
        "preset": BPClassifier(preset="tabular", random_state=seed, n_jobs=1),
    }


def score(name: str, model, seed: int) -> float:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        X, y = X[:DIGITS], y[:DIGITS]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return float(cross_val_score(model, X, y, cv=folds, error_score="raise").mean())


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME", help=f"of {', '.join(SETS)}")
    add("--seeds", type=int, default=3, help="3 by default")
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
