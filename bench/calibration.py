"""Are the standard deviations of loss="gaussian_nll" right? Coverage of intervals on public data.

    python bench/calibration.py --data FOLDER
    python bench/calibration.py --data FOLDER --splits 5 --beta 0.25 0.5 1

The published splits of the UCI regression sets; a hidden layer of 50 relu, standardised inputs, adam at 0.01,
batches of 100, 40 epochs. Of the test rows: RMSE, mean log-likelihood (both in the target's unit) and the
share within the intervals of 50, 80, 90 and 95 %; means over the splits. A network trained by squared error,
with the RMSE of its training rows as one standard deviation for all, shows what is gained. An ensemble of
five, and TabularRegressor, whose intervals are scaled on held-out rows.

The folder's format is described in `datasets.py`.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import progress
from report import number, table
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastbp

COVERAGES = (0.5, 0.8, 0.9, 0.95)
MEMBERS = 5
TABULAR = "TabularRegressor"


class Scores(NamedTuple):
    """Scores of one model on the test rows of one split."""

    rmse: float
    log_likelihood: float
    coverages: list[float]


def main() -> int:
    args = parse_arguments()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    names = models(args, 0)
    results: list[dict[str, Any]] = []
    for data_set in args.sets:
        scores: dict[str, list[Scores]] = {name: [] for name in names}
        for split in range(args.splits):
            data = datasets.uci(args.data, data_set, split)
            for name, model in models(args, split).items():
                progress(f"{data_set}: split {split}, {name}")
                scores[name].append(evaluate(model, data))
        results.append({"set": data_set, "scores": {m: [s._asdict() for s in scores[m]] for m in names}})
    progress("")
    print(
        table(header(), [row(r["set"], m, s) for r in results for m, s in r["scores"].items()], args.markdown)
    )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0


def models(args, seed: int) -> dict[str, Any]:
    """Return the models by name, not fitted."""
    common: dict[str, Any] = {
        "hidden_layer_sizes": (50,),
        "learning_rate_init": args.rate,
        "batch_size": 100,
        "max_iter": args.epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": seed,
    }
    made: dict[str, Any] = {"squared error": fastbp.BPRegressor(target_scaling="standard", **common)}
    for beta in args.beta:
        network = fastbp.BPRegressor(loss="gaussian_nll", loss_params={"beta": beta}, **common)
        made[f"beta {beta:g}"] = network
        made[f"beta {beta:g}, {MEMBERS} networks"] = fastbp.BPEnsembleRegressor(
            network, n_estimators=MEMBERS, random_state=seed
        )
    made[TABULAR] = fastbp.TabularRegressor(random_state=seed)
    if args.models:
        made = {name: model for name, model in made.items() if name in args.models}
    return made


def evaluate(model: Any, data: datasets.Split) -> Scores:
    inputs = StandardScaler().fit(data.X_train)
    X_train, X_test = inputs.transform(data.X_train), inputs.transform(data.X_test)
    model.fit(X_train, data.y_train)
    if getattr(model, "loss", None) == "squared_error":
        mean = model.predict(X_test)
        std = np.full(len(mean), np.sqrt(np.mean((model.predict(X_train) - data.y_train) ** 2)))
    else:
        mean, std = model.predict(X_test, return_std=True)
    return Scores(
        rmse=float(np.sqrt(np.mean((data.y_test - mean) ** 2))),
        log_likelihood=float(norm.logpdf(data.y_test, mean, std).mean()),
        coverages=[coverage_of(model, X_test, data.y_test, mean, std, share) for share in COVERAGES],
    )


def coverage_of(model: Any, X, y, mean, std, share: float) -> float:
    """Return the share of rows within the intervals of a model, or of a normal distribution."""
    if hasattr(model, "predict_interval"):
        low, high = model.predict_interval(X, share).T
        return float(np.mean((low <= y) & (y <= high)))
    return float(np.mean(np.abs(y - mean) <= std * norm.ppf(0.5 + share / 2)))


def header() -> list[str]:
    return ["set", "model", "RMSE", "log-likelihood", *(f"in {c:.0%}" for c in COVERAGES)]


def row(data_set: str, model: str, scores: list[dict[str, Any]]) -> list[str]:
    def mean(name: str) -> Any:
        return np.mean([score[name] for score in scores], axis=0)

    covered = [f"{100 * share:.1f} %" for share in mean("coverages")]
    numbers = number(float(mean("rmse")), 4), f"{mean('log_likelihood'):.3f}"
    return [data_set, model, *numbers, *covered]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="where the sets are")
    add(
        "--sets", nargs="+", choices=datasets.UCI, default=datasets.UCI, metavar="NAME", help="all by default"
    )
    add("--models", nargs="+", metavar="NAME", help="names of the table's second column, all by default")
    add("--splits", type=int, default=20, help="published splits, 20 by default")
    add("--beta", type=float, nargs="+", default=[0.0, 0.5], help="of the loss, 0 and 0.5 by default")
    add("--epochs", type=int, default=40, help="40 by default")
    add("--rate", type=float, default=0.01, help="learning rate, 0.01 by default")
    add("--json", type=Path, metavar="FILE", help="write every score to FILE")
    add("--markdown", action="store_true", help="a table for a README")
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f"--data: no folder {args.data}")
    if min(args.splits, args.epochs) < 1:
        parser.error("--splits and --epochs must be at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
