"""Does fastbp learn as well as scikit-learn's MLP? Test scores of both, same settings, on public data.

    python bench/accuracy.py --data FOLDER                              # images and UCI regression
    python bench/accuracy.py --data FOLDER --sets boston energy --seeds 1
    python bench/accuracy.py --data FOLDER --tabular                    # 23 tables, also against trees
    python bench/accuracy.py --data FOLDER --tabular --jobs 2           # fastbp's models on two threads

Images: a hidden layer of 100 relu, pixels from 0 to 1, 20 epochs, the other parameters at their defaults;
mean test accuracy. UCI: the first published splits, 50 relu, inputs and target standardised, adam 1e-3,
batches of 64, alpha 1e-4, 100 epochs; mean test RMSE in the target's unit.

--tabular: the original or published split, else 75/25 drawn from the seed; both parts cut to 10,000 rows.
TabularClassifier and TabularRegressor get the table as it is. For the other models what is missing becomes
the median or the most frequent level; scaled, one-hot; the models at their defaults, with the target
standardised for networks; fastbp's also with preset="tabular". All on one thread, fastbp's on --jobs.
Accuracy, or 1 - RMSE / std. In the normalised score of a set the linear model is 0 and the best model 1,
effort="best" left out but in its own column; sets where the best gains under 0.01 over the linear one are
left out, and -1 is the least. The mean accuracy is without shuttle, on whose rare classes boosting fails.
LightGBM is skipped where it is not installed.

The folder's format is described in `datasets.py`.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import datasets
import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import progress
from report import number, table
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

try:
    import lightgbm
except ImportError:
    lightgbm = None

NETWORKS = ("fastbp", "scikit-learn")
EFFORTS = ("fast", "default", "best")
BEST = "Tabular, best"


def main() -> int:
    args = parse_arguments()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    warnings.filterwarnings("ignore", "Found unknown categories")
    models = networks(args.models)
    warm_up(models)
    run = tabular if args.tabular else images_and_uci
    results = run(args, models)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
    return 0


def networks(names) -> dict[str, tuple[type, type]]:
    """Return the classifier and regressor by library."""
    models = {"scikit-learn": (MLPClassifier, MLPRegressor)}
    if "fastbp" in names:
        from fastbp import BPClassifier, BPRegressor

        models["fastbp"] = (BPClassifier, BPRegressor)
    return {name: models[name] for name in names}


def warm_up(models) -> None:
    """Compile what the fits need, so that their times are times of training."""
    X = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    for classifier, regressor in models.values():
        for more in ({}, {"preset": "tabular"}):
            if more.keys() <= classifier().get_params().keys():
                for y in (np.arange(64) % 2, np.arange(64) % 3):
                    classifier(max_iter=2, **more).fit(X, y)
                regressor(max_iter=2, **more).fit(X, X[:, 0])


def images_and_uci(args, models) -> list[dict]:
    results = []
    for name in args.sets:
        result = {"set": name, "scores": {m: [] for m in models}, "seconds": {m: [] for m in models}}
        score = image_score if name in datasets.IMAGES else uci_score
        for seed in range(args.seeds):
            for split in range(1 if name in datasets.IMAGES else args.splits):
                for model, pair in models.items():
                    progress(f"{name}: seed {seed}, split {split}, {model}")
                    value, seconds = score(args, name, split, seed, pair)
                    result["scores"][model].append(value)
                    result["seconds"][model].append(seconds)
        results.append(result)
    progress("")
    rows = []
    for r in results:
        score = [float(np.mean(s)) for s in r["scores"].values()]
        seconds = [float(np.median(s)) for s in r["seconds"].values()]
        row = [
            r["set"],
            "accuracy" if r["set"] in datasets.IMAGES else "RMSE",
            *(number(s, 4) for s in score),
        ]
        row += map(number, seconds)
        if len(models) == 2:
            row += [number(score[0] / score[1], 4), number(seconds[1] / seconds[0])]
        rows.append(row)
    header = ["set", "test", *models, *(f"{m}, s" for m in models)]
    header += ["ratio of scores", "times sooner"] * (len(models) == 2)
    print(table(header, rows, args.markdown))
    return results


def image_score(args, name, split, seed, pair):
    data = datasets.images(args.data, name)
    model = pair[0](hidden_layer_sizes=(100,), max_iter=args.image_epochs, random_state=seed)
    seconds = timed_fit(model, data.X_train, data.y_train)
    return float(model.score(data.X_test, data.y_test)), seconds


def uci_score(args, name, split, seed, pair):
    data = datasets.uci(args.data, name, split)
    inputs, target = StandardScaler().fit(data.X_train), StandardScaler().fit(data.y_train[:, None])
    X_train, X_test = (inputs.transform(X).astype(np.float32) for X in (data.X_train, data.X_test))
    y_train = target.transform(data.y_train[:, None])[:, 0].astype(np.float32)
    model = pair[1](
        hidden_layer_sizes=(50,),
        learning_rate_init=1e-3,
        batch_size=64,
        alpha=1e-4,
        max_iter=100,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=seed,
    )
    seconds = timed_fit(model, X_train, y_train)
    predicted = target.inverse_transform(model.predict(X_test)[:, None])[:, 0]
    return float(np.sqrt(np.mean((predicted - data.y_test) ** 2))), seconds


def tabular(args, models) -> list[dict]:
    makers = tabular_makers(args, models)
    results = []
    for name in args.sets:
        classes = name in datasets.CLASSES
        result = {"set": name, **{what: {m: [] for m in makers} for what in ("scores", "seconds")}}
        if classes:
            result |= {what: {m: [] for m in makers} for what in ("log_loss", "auc")}
        for seed in range(args.seeds):
            table_ = datasets.table(args.data, name, seed)
            numbers = datasets.encoded(name, table_)
            for maker, (classifier, regressor) in makers.items():
                progress(f"{name}: seed {seed}, {maker}")
                model = (classifier if classes else regressor)(seed)
                data = table_ if maker.startswith("Tabular") else numbers
                with threadpool_limits(1):
                    result["seconds"][maker].append(timed_fit(model, data.X_train, data.y_train))
                    result["scores"][maker].append(tabular_score(name, model, data))
                    if classes:
                        p = model.predict_proba(data.X_test)
                        result["log_loss"][maker].append(log_loss_of(p, data.y_test))
                        result["auc"][maker].append(auc_of(p, data.y_test))
        mean = {m: float(np.mean(s)) for m, s in result["scores"].items()}
        result["normalised"] = normalised(mean)
        results.append(result)
    progress("")
    print(table(["set", "test", *makers], tabular_rows(results, list(makers)), args.markdown))
    return results


def tabular_makers(args, models) -> dict[str, tuple]:
    """Return makers of a classifier and a regressor, from a seed, by the name of the model."""
    makers = {
        "linear": (lambda seed: LogisticRegression(max_iter=1000), lambda seed: Ridge()),
        **{name: network_makers(args.jobs, *pair) for name, pair in models.items()},
        "hist. gradient boosting": (
            lambda seed: HistGradientBoostingClassifier(random_state=seed),
            lambda seed: HistGradientBoostingRegressor(random_state=seed),
        ),
    }
    if lightgbm is not None:
        makers["LightGBM"] = (
            lambda seed: lightgbm.LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1),
            lambda seed: lightgbm.LGBMRegressor(random_state=seed, n_jobs=1, verbose=-1),
        )
    if "fastbp" in models:
        makers["fastbp, preset"] = with_options(models["fastbp"], preset="tabular", n_jobs=args.jobs)
        from fastbp import TabularClassifier, TabularRegressor

        for effort in args.efforts:
            name = "Tabular" if effort == "default" else f"Tabular, {effort}"
            pair = TabularClassifier, TabularRegressor
            makers[name] = with_options(pair, effort=effort, n_jobs=args.jobs)
    return makers


def tabular_rows(results: list[dict], makers: list[str]) -> list[list[str]]:
    """Return the rows of the table: a set each, then means over sets."""
    rows = []
    for r in results:
        measure = "accuracy" if r["set"] in datasets.CLASSES else "1 - RMSE / std"
        rows.append([r["set"], measure, *(number(float(np.mean(r["scores"][m])), 4) for m in makers)])
    classes = [r for r in results if r["set"] in datasets.CLASSES]
    for measure, what, sets in (
        ("mean accuracy", "scores", [r for r in classes if r["set"] != "shuttle"]),
        ("mean 1 - RMSE / std", "scores", [r for r in results if r["set"] not in datasets.CLASSES]),
        ("mean log loss", "log_loss", classes),
        ("mean ROC AUC", "auc", classes),
    ):
        if sets:
            means = [float(np.mean([np.mean(r[what][m]) for r in sets])) for m in makers]
            rows.append([measure, f"{len(sets)} sets", *(number(mean, 4) for mean in means)])
    counted = [r["normalised"] for r in results if r["normalised"]]
    if counted:
        means = [float(np.mean([scores[m] for scores in counted])) for m in makers]
        rows.append(["mean normalised score", f"{len(counted)} sets", *map(number, means)])
    if "LightGBM" in makers:
        better = [sum(mean_score(r, m) > mean_score(r, "LightGBM") for r in results) for m in makers]
        rows.append(["better than LightGBM", f"of {len(results)} sets", *map(str, better)])
    medians = [np.median(np.concatenate([r["seconds"][m] for r in results])) for m in makers]
    rows.append(["median fit", "seconds", *(number(float(s)) for s in medians)])
    return rows


def mean_score(result: dict, model: str) -> float:
    return float(np.mean(result["scores"][model]))


def log_loss_of(probabilities, y) -> float:
    """Mean log loss; probabilities of 0, which boosting gives rare classes, count as 1e-6."""
    of_row = probabilities[np.arange(len(y)), y] / probabilities.sum(axis=1)
    return float(-np.mean(np.log(np.maximum(of_row, 1e-6))))


def auc_of(probabilities, y) -> float:
    """Area under the ROC curve; of several classes the mean of each, if it occurs, against the others."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(np.mean([roc_auc_score(y == k, probabilities[:, k]) for k in np.unique(y)]))


def network_makers(n_jobs, classifier, regressor):
    """scikit-learn's networks have no `n_jobs`: they follow the limits of BLAS."""
    options = {"n_jobs": n_jobs} if "n_jobs" in classifier().get_params() else {}
    make_classifier, make_network = with_options((classifier, regressor), **options)
    return make_classifier, lambda seed: TransformedTargetRegressor(
        make_network(seed), transformer=StandardScaler()
    )


def with_options(kinds, **options):
    return tuple(lambda seed, kind=kind: kind(random_state=seed, **options) for kind in kinds)


def tabular_score(name, model, data) -> float:
    if name in datasets.CLASSES:
        return float(model.score(data.X_test, data.y_test))
    residuals = model.predict(data.X_test) - data.y_test
    return float(1 - np.sqrt(np.mean(residuals**2)) / np.std(data.y_test))


def normalised(scores: dict[str, float]) -> dict[str, float] | None:
    others = {model: score for model, score in scores.items() if model != BEST}
    gain = max(others.values()) - scores["linear"]
    if gain < 0.01:
        return None
    found = {model: max(-1.0, (score - scores["linear"]) / gain) for model, score in scores.items()}
    if BEST in found:
        found[BEST] = min(found[BEST], 1.0)
    return found


def timed_fit(model, X, y) -> float:
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="where the sets are")
    add("--sets", nargs="+", metavar="NAME", help="all by default")
    add("--tabular", action="store_true", help="the tabular sets, also against linear models and trees")
    add("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="both by default")
    add("--seeds", type=int, default=3, help="3 by default")
    add("--efforts", nargs="*", choices=EFFORTS, default=["default"], help="of Tabular models")
    add("--jobs", type=int, default=1, help="threads of fastbp's tabular models, 1 by default")
    add("--splits", type=int, default=5, help="published splits of the UCI sets, 5 by default")
    add("--image-epochs", type=int, default=20, help="20 by default")
    add("--json", metavar="FILE", help="write every score and time to FILE")
    add("--markdown", action="store_true", help="tables for a README")
    args = parser.parse_args()
    known = datasets.TABULAR if args.tabular else (*datasets.IMAGES, *datasets.UCI)
    args.sets = args.sets or list(known)
    unknown = [name for name in args.sets if name not in known]
    if unknown:
        parser.error(f"no set {', '.join(unknown)}; there are {', '.join(known)}")
    if not args.data.is_dir():
        parser.error(f"--data: no folder {args.data}")
    if min(args.seeds, args.splits, args.image_epochs, args.jobs) < 1:
        parser.error("--seeds, --splits, --image-epochs and --jobs must be at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
