"""Does fastbp learn as well as scikit-learn's MLP? Test scores of both, same settings, on public data.

    python bench/accuracy.py --data FOLDER                              # images and UCI regression
    python bench/accuracy.py --data FOLDER --sets boston energy --seeds 1
    python bench/accuracy.py --data FOLDER --tabular                    # 23 tables, also against trees

Images: a hidden layer of 100 relu, pixels from 0 to 1, 20 epochs, the other parameters at their defaults;
mean test accuracy. UCI: the first published splits, 50 relu, inputs and target standardised, adam 1e-3,
batches of 64, alpha 1e-4, 100 epochs; mean test RMSE in the target's unit.

--tabular: the original or published split, else 75/25 drawn from the seed; both parts cut to 10,000 rows;
what is missing becomes the median or the most frequent level; scaled, one-hot; the models at their
defaults, with the target standardised for networks, on one thread; fastbp's also with preset="tabular".
Accuracy, or 1 - RMSE / std. In the normalised score of a set the linear model is 0 and the best model 1;
sets where the best gains under 0.01 over the linear one are left out, and -1 is the least. The mean
accuracy is without shuttle, on whose rare classes boosting fails.

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
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

NETWORKS = ("fastbp", "scikit-learn")


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
    makers = {
        "linear": (lambda seed: LogisticRegression(max_iter=1000), lambda seed: Ridge()),
        **{name: network_makers(*pair) for name, pair in models.items()},
        **({"fastbp, preset": preset_makers(*models["fastbp"])} if "fastbp" in models else {}),
        "hist. gradient boosting": (
            lambda seed: HistGradientBoostingClassifier(random_state=seed),
            lambda seed: HistGradientBoostingRegressor(random_state=seed),
        ),
    }
    results, rows = [], []
    for name in args.sets:
        result = {"set": name, "scores": {m: [] for m in makers}, "seconds": {m: [] for m in makers}}
        for seed in range(args.seeds):
            data = datasets.tabular(args.data, name, seed)
            for maker, pair in makers.items():
                progress(f"{name}: seed {seed}, {maker}")
                model = pair[name not in datasets.CLASSES](seed)
                with threadpool_limits(1):
                    result["seconds"][maker].append(timed_fit(model, data.X_train, data.y_train))
                    result["scores"][maker].append(tabular_score(name, model, data))
        mean = {m: float(np.mean(s)) for m, s in result["scores"].items()}
        result["normalised"] = normalised(mean)
        results.append(result)
        measure = "accuracy" if name in datasets.CLASSES else "1 - RMSE / std"
        rows.append([name, measure, *(number(mean[m], 4) for m in makers)])
    progress("")
    for measure, sets in (
        ("mean accuracy", [r for r in results if r["set"] in datasets.CLASSES and r["set"] != "shuttle"]),
        ("mean 1 - RMSE / std", [r for r in results if r["set"] not in datasets.CLASSES]),
    ):
        if sets:
            means = [float(np.mean([np.mean(r["scores"][m]) for r in sets])) for m in makers]
            rows.append([measure, f"{len(sets)} sets", *(number(mean, 4) for mean in means)])
    counted = [r["normalised"] for r in results if r["normalised"]]
    if counted:
        means = [float(np.mean([scores[m] for scores in counted])) for m in makers]
        rows.append(["mean normalised score", f"{len(counted)} sets", *map(number, means)])
    medians = [np.median(np.concatenate([r["seconds"][m] for r in results])) for m in makers]
    rows.append(["median fit", "seconds", *(number(float(s)) for s in medians)])
    print(table(["set", "test", *makers], rows, args.markdown))
    return results


def network_makers(classifier, regressor):
    def make_regressor(seed):
        model = regressor(random_state=seed, **on_one_thread(regressor))
        return TransformedTargetRegressor(model, transformer=StandardScaler())

    return lambda seed: classifier(random_state=seed, **on_one_thread(classifier)), make_regressor


def preset_makers(*classes):
    return tuple(
        lambda seed, model=model: model(preset="tabular", random_state=seed, n_jobs=1) for model in classes
    )


def on_one_thread(model) -> dict:
    """scikit-learn's networks have no such parameter: they follow the limits of BLAS."""
    return {"n_jobs": 1} if "n_jobs" in model().get_params() else {}


def tabular_score(name, model, data) -> float:
    if name in datasets.CLASSES:
        return float(model.score(data.X_test, data.y_test))
    residuals = model.predict(data.X_test) - data.y_test
    return float(1 - np.sqrt(np.mean(residuals**2)) / np.std(data.y_test))


def normalised(scores: dict[str, float]) -> dict[str, float] | None:
    gain = max(scores.values()) - scores["linear"]
    if gain < 0.01:
        return None
    return {model: max(-1.0, (score - scores["linear"]) / gain) for model, score in scores.items()}


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
    if min(args.seeds, args.splits, args.image_epochs) < 1:
        parser.error("--seeds, --splits and --image-epochs must be at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
