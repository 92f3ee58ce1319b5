"""An ensemble of eight networks: its time beside one network's, and its errors beside published figures.

    python bench/ensembles.py                           # times only
    python bench/ensembles.py --data FOLDER             # and the published splits of the UCI regression sets
    python bench/ensembles.py --data FOLDER --sets boston --splits 2 --rounds 3

Times: fit and prediction of an ensemble, on --jobs threads, of its members one after another, and of one
member, both on one thread, on rows of random numbers. The rounds of all three are interleaved; medians, and
the median of the ratios within a round. Before anything is timed, the ensemble's members must have the
weights of the same networks fitted alone, to the bit, and its predictions must be their mean, or the exit
code is 1.

UCI: as deep ensembles were measured (Lakshminarayanan et al. 2017, table 1), a hidden layer of 50 relu,
standardised inputs, batches of 100, 40 epochs, five networks; adam at 0.01. The loss is "gaussian_nll" with
its default `beta`; there it is plain likelihood, which is --beta 0. So the published figures are a reference.
Mean RMSE and mean log-likelihood of the test rows, both in the target's unit, over the splits, of one network
(the ensemble's first member) and of the ensemble. Published: probabilistic backpropagation (Hernández-Lobato
& Adams 2015), MC dropout (Gal & Ghahramani 2016) and deep ensembles, over all twenty splits.

The folder's format is described in `datasets.py`.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import peers
import report
from measure import progress, rotated
from report import number, table
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor

EVERY_EPOCH: dict[str, Any] = {"tol": 0.0, "n_iter_no_change": np.inf}
# rows, features, hidden layers, epochs
SHAPES = {
    "small": (500, 10, (32,), 100),
    "medium": (5_000, 20, (64, 64), 20),
    "large": (5_000, 100, (256, 128), 10),
}


class Published(NamedTuple):
    """Test RMSE of three methods, and the log-likelihood of deep ensembles."""

    pbp: float
    mc_dropout: float
    deep_ensemble: float
    log_likelihood: float


PUBLISHED = {
    "boston": Published(3.01, 2.98, 3.28, -2.41),
    "energy": Published(1.80, 1.68, 2.09, -1.38),
    "kin8nm": Published(0.10, 0.0944, 0.09, 1.20),
    "power_plant": Published(4.12, 4.02, 4.11, -2.79),
    "wine_red": Published(0.64, 0.620, 0.64, -0.94),
}


def main() -> int:
    args = parse_arguments()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, fastbp {peers.version('fastbp')}, one thread\n")
    results: dict[str, Any] = {"machine": machine, "times": [], "sets": []}
    for shape in args.shapes:
        for kind in ("classifier", "regressor"):
            result = measure(shape, kind, args)
            if result["fault"]:
                progress("")
                print(f"FAILED: {shape}, {kind}: {result['fault']}")
                return 1
            results["times"].append(result)
    progress("")
    show_times(results["times"], args)
    if args.data:
        results["sets"] = [uci_set(name, args) for name in args.sets]
        progress("")
        show_sets(results["sets"], args)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0


def measure(shape: str, kind: str, args) -> dict[str, Any]:
    """Time fits and predictions of one ensemble, its members alone and one of them."""
    rows, features, hidden, epochs = SHAPES[shape]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)).astype(np.float32)
    y = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(rows).astype(np.float32)
    estimator: Any = BPRegressor
    ensemble: Any = BPEnsembleRegressor
    if kind == "classifier":
        y, estimator, ensemble = np.digitize(y, [-0.3, 0.3]), BPClassifier, BPEnsembleClassifier
    network = estimator(hidden, max_iter=epochs, n_jobs=1, **EVERY_EPOCH)
    model = ensemble(network, n_estimators=args.members, random_state=0, n_jobs=args.jobs).fit(X, y)
    members = [clone(member).fit(X, y) for member in model.estimators_]  # compiles, too
    result: dict[str, Any] = {"shape": shape, "kind": kind, "fault": fault(model, members, X)}
    if result["fault"]:
        return result
    fits: dict[str, Callable[[], Any]] = {
        "ensemble": lambda: clone(model).fit(X, y),
        "members": lambda: [clone(member).fit(X, y) for member in members],
        "one": lambda: clone(members[0]).fit(X, y),
    }
    predictions: dict[str, Callable[[], Any]] = {
        "ensemble": lambda: model.predict(X),
        "members": lambda: [member.predict(X) for member in members],
        "one": lambda: members[0].predict(X),
    }
    for what, calls in (("fit", fits), ("predict", predictions)):
        result[what] = {name: [] for name in calls}
        for i in range(args.rounds):
            progress(f"{shape}, {kind}, {what}: round {i + 1} of {args.rounds}")
            for name, call in rotated(calls, i).items():
                start = time.perf_counter()
                call()
                result[what][name].append(time.perf_counter() - start)
    return result


def fault(model, members: list, X: np.ndarray) -> str:
    """Return how the ensemble differs from networks fitted alone, or nothing."""
    for i, (member, alone) in enumerate(zip(model.estimators_, members, strict=True)):
        arrays = (zip(getattr(member, a), getattr(alone, a), strict=True) for a in ("coefs_", "intercepts_"))
        if not all(np.array_equal(one, other) for pairs in arrays for one, other in pairs):
            return f"member {i} has other weights than the same network fitted alone"
    name = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    mean = np.mean([getattr(member, name)(X) for member in members], axis=0, dtype=np.float64)
    if not np.allclose(getattr(model, name)(X), mean, rtol=1e-4, atol=1e-5):
        return f"{name} is not the mean of the members'"
    return ""


def show_times(results: list[dict[str, Any]], args) -> None:
    header = [
        "ms",
        "of",
        "ensemble",
        f"{args.members} alone",
        "one alone",
        "× one",
        f"× {args.members} alone",
    ]
    rows = []
    for result in results:
        for what in ("fit", "predict"):
            seconds = result[what]
            medians = [number(1e3 * statistics.median(times)) for times in seconds.values()]
            ratios = [number(ratio(seconds["ensemble"], seconds[name])) for name in ("one", "members")]
            rows.append([f"{result['shape']}, {result['kind']}", what, *medians, *ratios])
    print(table(header, rows, args.markdown))


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(o / t for o, t in zip(ours, theirs, strict=True))


def uci_set(name: str, args) -> dict[str, Any]:
    """Return RMSE and log-likelihood of one network and of the ensemble, a number a split."""
    scores: dict[str, list[tuple[float, float]]] = {"network": [], "ensemble": []}
    for split in range(args.splits):
        progress(f"{name}: split {split + 1} of {args.splits}")
        data = datasets.uci(args.data, name, split)
        scaler = StandardScaler().fit(data.X_train)
        X_train, X_test = scaler.transform(data.X_train), scaler.transform(data.X_test)
        network = BPRegressor(
            (50,),
            loss="gaussian_nll",
            loss_params={"beta": args.beta},
            learning_rate_init=args.rate,
            batch_size=100,
            max_iter=args.epochs,
            **EVERY_EPOCH,
        )
        model = BPEnsembleRegressor(network, n_estimators=args.uci_members, random_state=split)
        model.fit(X_train, data.y_train)
        for label, predictor in (("network", model.estimators_[0]), ("ensemble", model)):
            mean, std = predictor.predict(X_test, return_std=True)
            rmse = float(np.sqrt(np.mean((data.y_test - mean) ** 2)))
            scores[label].append((rmse, float(norm.logpdf(data.y_test, mean, std).mean())))
    return {"set": name, "scores": scores}


def show_sets(results: list[dict[str, Any]], args) -> None:
    ensemble = f"{args.uci_members} networks"
    header = ["test RMSE", "one network", ensemble, "PBP", "MC dropout", "deep ensemble"]
    rmse, likelihood = [], []
    for result in results:
        published = PUBLISHED[result["set"]]
        means = [np.mean(result["scores"][label], axis=0) for label in ("network", "ensemble")]
        given = published.pbp, published.mc_dropout, published.deep_ensemble
        rmse.append([result["set"], *(number(float(m[0])) for m in means), *(number(g) for g in given)])
        both = *(float(m[1]) for m in means), published.log_likelihood
        likelihood.append([result["set"], *(f"{value:.2f}" for value in both)])
    print(f"\nSplits: {args.splits}; published ones: 20\n")
    print(table(header, rmse, args.markdown) + "\n")
    header = ["log-likelihood", "one network", ensemble, "deep ensemble"]
    print(table(header, likelihood, args.markdown))


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="FOLDER", help="where the UCI sets are; times only by default")
    add("--sets", nargs="+", choices=datasets.UCI, default=datasets.UCI, help="all by default")
    add("--splits", type=int, default=20, help="published splits, 20 by default")
    add("--uci-members", type=int, default=5, help="networks of the UCI ensembles, 5 by default")
    add("--beta", type=float, default=0.5, help="of loss='gaussian_nll', 0.5 by default")
    add("--epochs", type=int, default=40, help="40 by default")
    add("--rate", type=float, default=0.01, help="learning rate, 0.01 by default")
    add("--shapes", nargs="*", choices=SHAPES, default=list(SHAPES), help="what is timed, all by default")
    add("--jobs", type=int, default=1, help="threads of the ensemble, 1 by default")
    add("--members", type=int, default=8, help="networks of the timed ensembles, 8 by default")
    add("--rounds", type=int, default=7, help="interleaved rounds, 7 by default")
    add("--json", type=Path, metavar="FILE", help="write every time and score to FILE")
    add("--markdown", action="store_true", help="tables for a README")
    args = parser.parse_args()
    if args.data and not args.data.is_dir():
        parser.error(f"--data: no folder {args.data}")
    if min(args.splits, args.uci_members, args.epochs, args.members, args.rounds) < 1:
        parser.error("--splits, --uci-members, --epochs, --members and --rounds must be at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
