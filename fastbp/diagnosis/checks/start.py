"""Checks before training: where the loss begins, and whether the network can learn at all."""

import numpy as np

from fastbp.diagnosis import probe
from fastbp.diagnosis.case import STEPS_BY_HEART, Case
from fastbp.diagnosis.checks.targets import constant_target
from fastbp.diagnosis.probe import Run
from fastbp.diagnosis.registry import check, found, need, need_time
from fastbp.diagnosis.report import Finding

# Initial loss over that of guessing: 0.8 to 2.0 for healthy networks on six sets of sklearn.datasets, up to
# 3.2 for small ones; a start that is confidently wrong costs the first epochs (Karpathy 2019, "A recipe for
# training neural networks").
HIGH_START, VERY_HIGH_START = 5.0, 50.0
# Share of the rows right, or of the variance explained, for one batch of at most 32 rows: it should be all.
BY_HEART = 0.9


@check(
    meaning="the first loss is far above that of guessing",
    figure="initial loss over the loss of the best constant",
    threshold=f"above {HIGH_START:g} (serious: {VERY_HIGH_START:g})",
    remedy='`out_init="zeros", out_bias="data"`; scaled inputs and targets',
)
def initial_loss(case: Case) -> Finding | None:
    guess = case.guess
    need(not found(constant_target, case), "all rows have the same target")
    need(guess > 0, "the loss of guessing is not positive, so that there is no ratio")
    first = probe.loss_of(case.initial, case.run.train)
    ratio = first / guess if np.isfinite(first) else np.inf
    if ratio <= HIGH_START:
        return None
    change = (
        {"out_init": "zeros", "out_bias": "data"} if case.options.fit_intercept else {"out_init": "zeros"}
    )
    settings = ", ".join(f"{name}={value!r}" for name, value in change.items())
    return Finding(
        "serious" if ratio > VERY_HIGH_START else "warning",
        f"The loss begins at {first:.3g}, guessing costs {guess:.3g}: {ratio:.3g} times as much. The first "
        "steps only unlearn this.",
        float(ratio),
        f"Set {settings}: the network then begins at the loss of guessing. Scale inputs and targets.",
        change,
    )


@check(
    meaning="a copy without regularisation cannot learn one small batch by heart",
    figure="share of its rows right (classes), R² (values)",
    threshold=f"below {BY_HEART:g} after {STEPS_BY_HEART} steps",
    remedy="something is broken: activation, initial weights, inputs or targets",
)
def one_batch(case: Case) -> Finding | None:
    runs, n_rows = case.by_heart()
    score, n_runs = -np.inf, 0
    for run in runs:
        need_time(not run.timed_out)
        score, n_runs = max(score, _score_by_heart(run, case.is_classifier)), n_runs + 1
        if score >= BY_HEART:
            return None
    what = "of its rows are right" if case.is_classifier else "is its R²"
    return Finding(
        "serious",
        f"A copy that sees {n_rows} rows only, without regularisation, does not learn them by heart: "
        f"{score:.2f} {what} after {STEPS_BY_HEART} steps, at the best of {n_runs} learning rates.",
        score,
        "Something is broken, not badly tuned: look at init (zeros cannot learn), activation, "
        "out_activation and loss, and the scale of inputs and targets.",
    )


def _score_by_heart(run: Run, is_classifier: bool) -> float:
    if run.model is None:
        return 0.0
    y, predicted = run.train.y, run.model.predict(run.train.X)
    need(predicted.shape == y.shape, "predictions are no values of the target")
    if is_classifier:
        return float((predicted == y).mean())
    rest, whole = ((predicted - y) ** 2).sum(), ((y - y.mean(axis=0)) ** 2).sum()
    need(whole > 0, "all rows have one target")
    return float(1 - rest / whole)
