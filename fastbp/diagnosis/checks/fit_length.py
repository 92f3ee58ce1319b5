"""Checks of where a fit ends: too early by its stopping rule, or by max_iter."""

import numpy as np

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.checks.curves import curve_of
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

EARLY = 0.1  # of max_iter: the first tenth
PATIENCE = 5  # times n_iter_no_change, of the copy that goes on
# Gain of the score, from which it is worth going on; smaller ones are two or three rows of a hundred.
HIGHER = 0.02
FARTHER = 1.1  # falls the loss of other rows held out, with more patience
# Share of the whole fall of the loss that the last tenth of the epochs brings: 0.7 % for load_digits after 50
# epochs, where more bring no better test accuracy; 4 % for load_iris, where they do.
STILL_FALLING, STEEP = 0.02, 0.10
FEWEST_EPOCHS = 3
LASTING = (None, "constant", "plateau")  # schedules that do not end with max_iter


@check(
    meaning="early stopping ends the fit in its first tenth, and a copy that goes on becomes better",
    figure="best epoch over `max_iter`",
    threshold=f"below {EARLY:g}, if patience brings a score {HIGHER:g} higher",
    remedy="larger `n_iter_no_change`, smaller `learning_rate_init`",
)
def early_stop(case: Case) -> Finding | None:
    options, run = case.options, case.run
    need(options.early_stopping and options.is_stochastic, "the fit does not stop early")
    need(run.model is not None, "the training of a copy failed")
    scores = np.asarray(run.model.validation_scores_)
    best = int(len(scores) - scores[::-1].argmax())
    if best > max(1, EARLY * options.max_iter) or len(scores) >= options.max_iter or run.timed_out:
        return None
    patience = PATIENCE * int(options.n_iter_no_change)
    trial = case.trial(n_iter_no_change=patience)
    need(trial.model is not None, "the training of a copy failed")
    later = np.asarray(trial.model.validation_scores_)
    gain = float(later.max() - scores.max())
    fall, later_fall = case.guess - run.loss_val, case.guess - trial.loss_val
    # a maximum over more epochs is higher by chance alone, so other rows must confirm it
    if gain <= HIGHER * max(1.0, abs(float(scores.max()))) or later_fall <= FARTHER * max(fall, 0.0):
        return None
    epoch = int(len(later) - later[::-1].argmax())
    return Finding(
        "warning",
        f"Early stopping kept epoch {best} of at most {options.max_iter}, with a score of "
        f"{scores.max():.3f}. A copy with more patience came to {later.max():.3f}, in epoch {epoch}.",
        best / options.max_iter,
        f"Set n_iter_no_change={patience}, or hold out more rows (validation_fraction)"
        + ("." if options.watches_loss else ', or stop by scoring="loss", which is less noisy.'),
        {"n_iter_no_change": patience},
        {"best_epoch": best},
    )


@check(
    meaning="`max_iter` ends the fit while the loss still falls",
    figure="share of its fall in the last tenth of the epochs",
    threshold=f"above {STILL_FALLING:.0%} (serious: {STEEP:.0%})",
    remedy="larger `max_iter`, larger `learning_rate_init`",
)
def max_iter_reached(case: Case) -> Finding | None:
    options = case.options
    need(options.schedule in LASTING, f"schedule={options.schedule!r} ends with max_iter by design")
    curve = curve_of(case)
    need(len(curve) >= FEWEST_EPOCHS, f"there are fewer than {FEWEST_EPOCHS} epochs")
    n_epochs = len(curve) if case.fitted is None else getattr(case.fitted, "n_iter_", len(curve))
    if n_epochs < options.max_iter or (case.fitted is None and case.run.timed_out):
        return None
    last = max(len(curve) // 10, 1)
    fall = max(curve[0], case.guess) - curve[-1]
    need(fall > 0, "the loss does not fall")
    # a mean of some epochs on both sides, since single ones are noisy
    share = float((curve[-2 * last : -last].mean() - curve[-last:].mean()) / fall)
    if share <= STILL_FALLING:
        return None
    more = 4 * options.max_iter
    return Finding(
        "serious" if share > STEEP else "warning",
        f"The fit ended at max_iter={options.max_iter}, and the last {last} epochs still brought "
        f"{share:.1%} of the whole fall of the loss.",
        share,
        f"Set max_iter={more} and early_stopping=True, or a larger learning_rate_init.",
        {"max_iter": more},
    )
