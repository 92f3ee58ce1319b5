"""Checks of predictions for rows that the network has not seen."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from fastbp.diagnosis.case import Case, OutOfFold
from fastbp.diagnosis.checks.consequences import need_whole_fit
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.registry import found as illness
from fastbp.diagnosis.report import Finding

N_SHOWN = 10  # most wrong rows
NOTHING_EXPLAINED = 0.02  # R²; below, the mean is as good
STANDARD_ERRORS = 2.0
LOWER = 0.98  # log loss over that of guessing: a network that gives all rows the same comes within 0.01 of it
RANKED = 3.0  # standard errors of rank sums, of which there is one for each class
VARIES = 0.1  # standard deviation over mean of a probability: else nearly the same for every row
N_BINS = (
    10  # of equal numbers of rows (Naeini et al. 2015; Guo et al. 2017, "On calibration of modern networks")
)
# Guo et al. call networks with 4 to 10 % miscalibrated. Few rows have an error by chance: it must also be
# beyond what 200 draws of labels from these probabilities show.
MISCALIBRATED, BADLY = 0.05, 0.15
N_DRAWS = 200
FEWEST_ROWS = 50
BIASED = 0.1  # mean probability of a class against its share of the rows
COMMON = 0.02  # classes of this share at least should be predicted now and then,
HARDLY = 0.1  # for this share of their number: a threshold of 1/2 alone halves it where classes overlap
FEWEST_OF_CLASS = 10
LEARNT_NOTHING = "the network has learnt nothing that could be judged"
COVERAGE = 0.9  # of the intervals that are looked at
OFF_COVERAGE, FAR_OFF_COVERAGE = 0.1, 0.25  # and three standard errors of the share


def row_losses(case: Case, found: OutOfFold) -> np.ndarray:
    """How wrong each row is: minus the logarithm of its class's probability, or the distance."""
    if found.proba is not None:
        assert found.labels is not None
        own = found.proba[np.arange(len(found.labels)), found.labels]
        return -np.log(np.maximum(own, 1e-12))
    y = case.rows.y
    if case.is_classifier:
        return (found.predicted != y).reshape(len(y), -1).mean(axis=1).astype(np.float64)
    need(found.predicted.shape == y.shape, "predictions are no values of the target")
    return np.abs(found.predicted - y).reshape(len(y), -1).mean(axis=1)


@check(
    meaning="rows held out are predicted no better than without looking at X",
    figure="accuracy above that of the most frequent class, or R²",
    threshold=f"not {STANDARD_ERRORS:g} standard errors above zero, nor log loss {LOWER:g} of guessing's, "
    f"nor rows ranked better than by chance; R² below {NOTHING_EXPLAINED:g}",
    remedy="check that the rows of X and y belong together; other columns",
)
def no_better_than_guessing(case: Case) -> Finding | None:
    found, rows = case.out_of_fold, case.rows
    if case.is_classifier:
        need(case.one_label, "there are several labels a row")
        assert found.labels is not None
        shares = np.bincount(found.labels) / len(rows)
        need(len(shares) > 1, "all rows have one class")
        gain = float((found.predicted == rows.y).mean() - shares.max())
        if gain > STANDARD_ERRORS * np.sqrt(shares.max() * (1 - shares.max()) / len(rows)):
            return None
        if found.proba is not None:
            entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
            if row_losses(case, found).mean() < LOWER * entropy or _ranks(found):
                return None
        told = (
            f"The accuracy for rows held out is {gain + shares.max():.3f}, that of the most frequent class "
        )
        told += f"{shares.max():.3f}."
    else:
        y = rows.y
        need(found.predicted.shape == y.shape, "predictions are no values of the target")
        whole = ((y - y.mean(axis=0)) ** 2).sum()
        need(whole > 0, "the target is constant")
        gain = float(1 - ((found.predicted - y) ** 2).sum() / whole)
        if gain > NOTHING_EXPLAINED:
            return None
        told = f"R² for rows held out is {gain:.3f}; the mean of the target has 0."
    return Finding(
        "serious",
        f"{told} The network has learnt nothing that holds for other rows.",
        gain,
        "Check that the rows of X and y belong together and are not shuffled apart, and that the columns "
        "can tell the target; then look at the other findings.",
    )


def _ranks(found: OutOfFold) -> bool:
    """Whether rows of a class get more of its probability than others of their fold, beyond chance.

    By the rank-sum statistic, for networks whose probabilities are shifted, as by class weights.
    """
    assert found.proba is not None and found.labels is not None
    for number, own in enumerate(found.proba.T):
        excess = variance = 0.0
        varies = False
        for fold in np.unique(found.folds):
            some = own[found.folds == fold]
            inside = found.labels[found.folds == fold] == number
            n, m = int(inside.sum()), int((~inside).sum())
            excess += rankdata(some)[inside].sum() - n * (n + m + 1) / 2
            variance += n * m * (n + m + 1) / 12
            varies |= bool(some.std() > VARIES * some.mean())
        if varies and excess > RANKED * np.sqrt(variance):
            return True
    return False


@check(
    meaning="probabilities or intervals are not as often right as they say",
    figure="calibration error: mean distance of probability and share; for intervals, of coverage",
    threshold=f"above {MISCALIBRATED:g} and beyond chance (serious: {BADLY:g}; info if due to label "
    f"smoothing); coverage off by {OFF_COVERAGE:g} (serious: {FAR_OFF_COVERAGE:g})",
    remedy="CalibratedClassifierCV, early stopping by the loss, regularisation; conformal intervals",
)
def calibration(case: Case) -> Finding | None:
    if not case.is_classifier:
        return _coverage(case)
    found = case.out_of_fold
    need(found.proba is not None, "the network gives no probabilities of single classes")
    need(not illness(no_better_than_guessing, case), LEARNT_NOTHING)
    need(len(case.rows) >= FEWEST_ROWS, f"there are fewer than {FEWEST_ROWS} rows")
    assert found.proba is not None and found.labels is not None
    top = found.proba.max(axis=1)
    right = found.proba.argmax(axis=1) == found.labels
    error = _calibration_error(top, right)
    rng = np.random.RandomState(case.random_state)
    chance = max(_calibration_error(top, rng.uniform(size=len(top)) < top) for _ in range(N_DRAWS))
    if error <= max(MISCALIBRATED, chance):
        return None
    need_whole_fit(case)
    over = float(top.mean() - right.mean())
    smooths = "label_smoothing" in (case.options.loss_params or {})
    if over > 0:
        remedy, change = _stop_by_loss(case)
    else:
        remedy, change = "weaken label_smoothing, class_weight and penalties", {}
    by_design = " That is what label_smoothing does." if smooths and over < 0 else ""
    return Finding(
        "info" if by_design else "serious" if error > BADLY else "warning",
        f"Rows held out get their class with a mean probability of {top.mean():.3f}, and {right.mean():.1%} "
        f"are right; the calibration error is {error:.3f} (by chance at most {chance:.3f}).{by_design}",
        error,
        f"Wrap the model in sklearn.calibration.CalibratedClassifierCV, or {remedy}.",
        change,
    )


def _stop_by_loss(case: Case) -> tuple[str, dict]:
    """What makes a network less sure of itself."""
    options = case.options
    if options.early_stopping and options.watches_loss or not options.is_stochastic:
        return "regularise, by dropout=0.2 or l2=1e-3, and give it more rows", {"l2": 1e-3}
    change = {"early_stopping": True, "scoring": "loss"}
    return 'stop by early_stopping=True, scoring="loss"', change


def _calibration_error(top: np.ndarray, right: np.ndarray) -> float:
    order = np.argsort(top, kind="stable")
    bins = np.array_split(order, N_BINS)
    return float(
        sum(len(one) * abs(top[one].mean() - right[one].mean()) for one in bins if len(one)) / len(top)
    )


def _coverage(case: Case) -> Finding | None:
    need(case.options.loss == "gaussian_nll", "the network gives neither probabilities nor intervals")
    run = case.run
    need(run.model is not None and run.val is not None, "the training of a copy failed")
    assert run.val is not None
    need(len(run.val) >= FEWEST_ROWS, f"there are fewer than {FEWEST_ROWS} validation rows")
    low, high = np.moveaxis(run.model.predict_interval(run.val.X, coverage=COVERAGE), -1, 0)
    inside = float(((low <= run.val.y) & (run.val.y <= high)).mean())
    off = abs(inside - COVERAGE)
    chance = 3 * np.sqrt(COVERAGE * (1 - COVERAGE) / run.val.y.size)
    if off <= max(OFF_COVERAGE, chance):
        return None
    remedy, change = _stop_by_loss(case)
    return Finding(
        "serious" if off > FAR_OFF_COVERAGE else "warning",
        f"Intervals of {COVERAGE:.0%} contain {inside:.1%} of the rows held out.",
        off,
        f"Make conformal intervals from rows held out (MAPIE), or {remedy}.",
        change,
    )


@check(
    meaning="probabilities of a class are far from its share of the rows, as by class weights; or it is "
    "hardly ever predicted",
    figure="mean probability minus share, of the class farthest off; share of a class hardly predicted",
    threshold=f"beyond {BIASED:g}; predicted for less than {HARDLY:g} of its share, which is at least "
    f"{COMMON:.0%}",
    remedy="without `class_weight` and `focal` for probabilities, with it for rare classes",
)
def class_bias(case: Case) -> Finding | None:
    found = case.out_of_fold
    need(found.labels is not None, "there are no classes, or several labels a row")
    assert found.labels is not None
    need(not illness(no_better_than_guessing, case), LEARNT_NOTHING)
    classes, labels = case.classes, found.labels
    counts = np.bincount(labels, minlength=len(classes))
    shares = counts / len(labels)
    predicted = np.array([(found.predicted == label).mean() for label in classes])
    options = case.options
    if found.proba is not None and case.rows.weight is None:
        off = found.proba.mean(axis=0) - shares
        worst = int(np.abs(off).argmax())
        if abs(off[worst]) > BIASED:
            need_whole_fit(case)
            cause, change = "", dict[str, Any]()
            if options.class_weight is not None:
                cause, change = f"class_weight={options.class_weight!r} shifts them. ", {"class_weight": None}
            elif options.loss == "focal":
                cause, change = 'loss="focal" shifts them. ', {"loss": "log_loss"}
            return Finding(
                "warning",
                f"Class {case.label(worst)} is {shares[worst]:.1%} of the rows, but gets a mean probability "
                f"of {found.proba[:, worst].mean():.1%} where rows are held out. {cause}As probabilities "
                "these are wrong; for ranking and for a threshold of your own they will do.",
                float(off[worst]),
                "For probabilities, leave class weights out and use log_loss; move the threshold instead "
                "(sklearn.model_selection.TunedThresholdClassifierCV), or calibrate.",
                change,
                {"class": classes.tolist()[worst]},
            )
    hardly = (predicted < HARDLY * shares) & (shares >= COMMON) & (counts >= FEWEST_OF_CLASS)
    need(not hardly.all(), "no class is predicted")
    if not hardly.any():
        return None
    need_whole_fit(case)
    worst = int(np.where(hardly, shares, -1).argmax())
    return Finding(
        "warning",
        f"Class {case.label(worst)} is {shares[worst]:.1%} of the rows, and {predicted[worst]:.1%} are "
        "predicted to be of it where they are held out.",
        float(shares[worst]),
        'Set class_weight="balanced" if such rows matter, or move the threshold '
        "(sklearn.model_selection.TunedThresholdClassifierCV).",
        {"class_weight": "balanced"} if options.class_weight is None else {},
        {"class": classes.tolist()[worst]},
    )


@check(
    meaning="the rows that copies trained without them are most wrong about: a list to look at",
    figure="minus the logarithm of the class's probability, or the distance, of the worst row",
    threshold="always",
    remedy="look at them: wrong labels, rare kinds of rows, missing columns",
)
def most_wrong(case: Case) -> Finding | None:
    found = case.out_of_fold
    losses = row_losses(case, found)
    worst = np.argsort(-losses, kind="stable")[:N_SHOWN]
    worst = worst[losses[worst] > 0]
    if not len(worst):
        return None
    numbers = case.rows.index[worst]
    first = worst[0]
    told = f"row {numbers[0]}"
    if found.proba is not None and found.labels is not None:
        own = found.labels[first]
        told += f" of class {case.label(own)} got it with probability {found.proba[first, own]:.2g}"
    elif not case.is_classifier:
        told += f" is {losses[first]:.3g} off"
    return Finding(
        "info",
        f"Most wrong where held out: rows {', '.join(map(str, numbers))}; {told}.",
        float(losses[first]),
        "Look at them: wrong labels, rare kinds of rows, missing columns.",
        details={"rows": numbers.tolist(), "losses": losses[worst].tolist()},
    )
