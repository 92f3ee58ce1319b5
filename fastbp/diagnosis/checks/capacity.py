"""Checks of size: of the network for the task, of the batches for the rows."""

import numpy as np

from fastbp.diagnosis.case import CLEARLY, Case
from fastbp.diagnosis.checks.consequences import need_whole_fit
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

HIGH = 0.3  # training loss over guessing's, from which a larger network is tried
GAP = 1.5  # validation over training loss, up to which it is not overfitting that keeps them high
LARGER = (128, 128)
FEW_STEPS = 10  # in an epoch
SMALLER_BATCHES = 20  # in an epoch, of the copy that is tried
SMALLEST_BATCH = 8


@check(
    meaning="training and validation loss both stay high, and a larger network without penalties gets lower",
    figure="training loss over that of guessing",
    threshold=f"above {HIGH:g}, if the larger network's losses fall {CLEARLY:g} times as far",
    remedy="more or wider `hidden_layer_sizes`, weaker penalties and dropout",
)
def underfitting(case: Case) -> Finding | None:
    run = case.run
    need(run.model is not None, "the training of a copy failed")
    need(case.guess > 0, "the loss may be negative")
    share = run.loss / case.guess
    if share <= HIGH or run.loss_val > GAP * run.loss:
        return None
    need_whole_fit(case)
    options = case.options
    sizes = LARGER if sum(options.hidden) < sum(LARGER) else tuple(2 * size for size in options.hidden)
    changes = {
        "hidden_layer_sizes": sizes,
        "dropout": 0.0,
        "input_dropout": 0.0,
        "input_noise": 0.0,
        "alpha": 1e-4,
        "l1": 0.0,
        "l2": 0.0,
        "weight_decay": None,
        "max_norm": None,
    }
    if not isinstance(options.activation, str):
        changes["activation"] = "relu"
    if not options.hidden:
        changes["activation"] = "relu"
    trial = case.trial(**changes)
    fall, fall_val = case.fall(trial), case.guess - trial.loss_val
    own, own_val = case.fall(run), case.guess - run.loss_val
    if (
        fall <= CLEARLY * max(own, 0)
        or fall_val <= CLEARLY * max(own_val, 0)
        or fall_val <= 0.05 * case.guess
    ):
        return None
    return Finding(
        "warning",
        f"Training loss {run.loss:.3g} and validation loss {run.loss_val:.3g} are both high (guessing: "
        f"{case.guess:.3g}); with hidden_layer_sizes={sizes} and without dropout and strong penalties they "
        f"are {trial.loss:.3g} and {trial.loss_val:.3g}.",
        float(share),
        f"Set hidden_layer_sizes={sizes}; weaken alpha, l1, l2, weight_decay, max_norm and dropout.",
        {"hidden_layer_sizes": sizes},
    )


@check(
    meaning="batches are so large that an epoch has few steps",
    figure="rows of a batch over training rows",
    threshold=f"fewer than {FEW_STEPS} steps an epoch, if {SMALLER_BATCHES} bring a loss that falls "
    f"{CLEARLY:g} times as far in as many epochs",
    remedy="smaller `batch_size`, or more epochs",
)
def large_batches(case: Case) -> Finding | None:
    options, run = case.options, case.run
    need(options.is_stochastic and options.solver != "rprop", f"solver={options.solver!r} takes all rows")
    n_rows = len(case.split[0])
    batch = options.batch_rows(n_rows)
    n_steps = int(np.ceil(n_rows / batch))
    smaller = max(n_rows // SMALLER_BATCHES, SMALLEST_BATCH)
    if n_steps >= FEW_STEPS or smaller >= batch:
        return None
    trial = case.trial(batch_size=smaller)
    if not case.learns_more(trial):
        return None
    return Finding(
        "warning",
        f"A batch is {batch} of {n_rows} rows, an epoch {n_steps} step{'s' if n_steps > 1 else ''}: after "
        f"{run.n_epochs} epochs the loss is {run.loss:.3g}, with batch_size={smaller} {trial.loss:.3g}.",
        batch / n_rows,
        f"Set batch_size={smaller}, or give it more epochs and a larger learning_rate_init.",
        {"batch_size": smaller},
    )
