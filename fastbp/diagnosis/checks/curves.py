"""Checks of the losses from epoch to epoch."""

import numpy as np

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

FEWEST_EPOCHS = 8  # of a curve that can be judged
# An epoch jumps if the loss rises by this share of its whole fall; if it only went up and down, half of them
# would. Share of epochs that jump: 0 in 42 healthy runs on six sets of sklearn.datasets but one, 0.14
# (load_diabetes at eight times the suggested rate); 0.25 and more where the rate is at the edge of what
# converges.
JUMP = 0.05
MANY_JUMPS = 0.15
CYCLES = ("restarts", "coslog")  # schedules whose rate rises again: so does the loss
# A plateau: the last third of the epochs brings less than this share of the first loss, and the loss is still
# above this share of guessing's. Many healthy fits end so; what is reported is decided by the copy at another
# rate.
STANDS_STILL = 0.02
STILL_HIGH = 0.1
FACTOR = 10.0  # of the rates that are tried then
# Rise of the validation loss from its best epoch to the weights that are kept, over its fall before: 0 for
# fits with early stopping on six sets of sklearn.datasets, at most 0.02 without it after 200 epochs, where
# nothing is lost (digits, wine, iris, breast cancer), 0.2 and more where it is (diabetes).
RISE, LARGE_RISE = 0.1, 0.5
FEWEST_ROWS = 20  # validation rows


def curve_of(case: Case) -> np.ndarray:
    """Loss of each epoch: of the user's fit if there was one, else of the copy's."""
    own = getattr(case.fitted, "loss_curve_", None)
    return np.asarray(own if own else case.run.losses, dtype=np.float64)


@check(
    meaning="the loss goes up and down",
    figure=f"share of epochs after which it has risen by {JUMP:.0%} of its fall or more",
    threshold=f"above {MANY_JUMPS:.0%}",
    remedy="smaller `learning_rate_init`, larger batches, a falling `schedule`",
)
def oscillating_loss(case: Case) -> Finding | None:
    need(case.options.is_stochastic, "lbfgs goes down only")
    need(case.options.schedule not in CYCLES, f"schedule={case.options.schedule!r} goes up and down itself")
    curve = curve_of(case)
    need(len(curve) >= FEWEST_EPOCHS, f"there are fewer than {FEWEST_EPOCHS} epochs")
    # from guessing's level, or what is reached: a loss that starts lower than it ends has no fall
    height = max(curve[0], case.guess) - curve.min()
    need(height > 0, "the loss does not fall at all")
    jumps = float((np.diff(curve) > JUMP * height).mean())
    if jumps <= MANY_JUMPS:
        return None
    rate = case.options.learning_rate_init / FACTOR
    return Finding(
        "warning",
        f"After {jumps:.0%} of the epochs the loss has risen by {JUMP:.0%} of its whole fall or more.",
        jumps,
        f"Lower learning_rate_init, to {rate:.1g} for instance, take larger batches, or let the rate fall: "
        'schedule="cosine".',
        {"learning_rate_init": float(f"{rate:.1g}")},
    )


@check(
    meaning="the loss stands still at a high level, and falls at another learning rate",
    figure="fall in the last third of the epochs over the first loss",
    threshold=f"below {STANDS_STILL:.0%}, if a rate {FACTOR:g} times larger or smaller helps clearly",
    remedy='that rate; `schedule="plateau"`',
)
def plateau(case: Case) -> Finding | None:
    run = case.run
    need(case.options.is_stochastic, f"solver={case.options.solver!r} has no learning rate")
    need(
        run.model is not None and case.guess > 0, "the training of a copy failed, or the loss may be negative"
    )
    need(run.n_epochs >= FEWEST_EPOCHS, f"there are fewer than {FEWEST_EPOCHS} epochs")
    curve = np.asarray(run.losses)
    third = curve[-(len(curve) // 3) :]
    half = len(third) // 2
    # of means, since single epochs are noisy: of the halves, which are half of the third apart
    share = float(2 * (third[:half].mean() - third[-half:].mean()) / max(curve[0], case.guess))
    if share >= STANDS_STILL or run.loss < STILL_HIGH * case.guess:
        return None
    for factor, what in ((1 / FACTOR, "lower"), (FACTOR, "higher")):
        rate = float(f"{case.options.learning_rate_init * factor:.1g}")
        # with all epochs, since the copy, too, may begin on the plateau
        trial = case.trial(learning_rate_init=rate, n_iter_no_change=np.inf)
        if case.learns_more(trial):
            return Finding(
                "warning",
                f"The last {len(third)} of {len(curve)} epochs bring {max(share, 0):.1%} of the fall of the "
                f"loss, which stands at {run.loss:.3g} (guessing: {case.guess:.3g}); at "
                f"learning_rate_init={rate:g} it falls to {trial.loss:.3g}.",
                share,
                f'Set learning_rate_init={rate:g}, a {what} rate, or schedule="plateau", which lowers it '
                "where the loss stands still.",
                {"learning_rate_init": rate},
            )
    return None


@check(
    meaning="the loss of validation rows rises while that of training rows falls",
    figure="its rise from the best epoch to the weights that are kept, over its fall before",
    threshold=f"above {RISE:.0%} (serious: {LARGE_RISE:.0%})",
    remedy='`early_stopping=True, scoring="loss"`; `dropout`, `l2`, fewer units, more rows',
)
def overfitting(case: Case) -> Finding | None:
    run = case.run
    need(run.model is not None, "the training of a copy failed")
    need(
        run.val is not None and len(run.val) >= FEWEST_ROWS,
        f"there are fewer than {FEWEST_ROWS} validation rows",
    )
    seen = [record for record in run.records if np.isfinite(record.loss_val)]
    need(len(seen) >= 2, "there are fewer than two epochs")
    best = min(seen, key=lambda record: record.loss_val)
    rise = run.loss_val - best.loss_val
    fall = case.guess - best.loss_val
    if fall <= 0:  # nothing but the training rows is learnt
        fall = abs(case.guess) or 1.0
    share = float(rise / fall)
    if share <= RISE or run.loss >= run.loss_val or run.loss > best.loss:
        return None
    stops = case.options.early_stopping
    remedy = 'Set early_stopping=True and scoring="loss", which keep the best epoch'
    change = {"early_stopping": True, "scoring": "loss"}
    if stops:
        remedy, change = 'Set scoring="loss" to stop by the loss', {"early_stopping": True, "scoring": "loss"}
    return Finding(
        "serious" if share > LARGE_RISE else "warning",
        f"The loss of rows held out was {best.loss_val:.3g} after epoch {best.epoch} and is "
        f"{run.loss_val:.3g} at the end ({share:.0%} of its fall lost again), while that of the training "
        f"rows went from {best.loss:.3g} to {run.loss:.3g}.",
        share,
        f"{remedy}; regularise by dropout=0.2 or l2=1e-3, or take fewer units.",
        change,
        {"best_epoch": best.epoch},
    )
