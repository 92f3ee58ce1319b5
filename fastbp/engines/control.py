"""The control record of a fit, and the rules of steps and epochs that both engines compile.

There is one record a network: M networks are an array of M records beside M rows of parameters, and kernels
take the array. A record holds what differs between networks of one shape; what only one engine needs stands
in a record of that engine's own.

The rules are plain functions of a record, with fields as attributes: of an element of a record array in
compiled code, of `record_of` in Python.
"""

import math
from typing import Any

import numpy as np

from fastbp.functions.schedules import N_PARAMETERS, check_convergence, rate_after_epoch
from fastbp.plan.training import TrainingPlan

RUNNING, CONVERGED, MAX_EPOCHS, NON_FINITE = range(4)
STATUS_NAMES = ("running", "converged", "max_epochs", "non_finite")

N_HYPER = 4  # of a solver, at most
INT, FLOAT = np.int64, np.float64
CONTROL = np.dtype(
    [
        # Constants: data and batches
        ("n_rows", INT),
        ("batch_rows", INT),
        ("pass_rows", INT),  # rows of a batch that are computed at a time
        ("mean_weight", FLOAT),  # of the rows
        ("seed", INT),
        # Constants: the solver and its learning rate
        ("hyper", FLOAT, N_HYPER),
        ("rate_init", FLOAT),
        ("epoch_rule", INT),  # of the learning rate at the end of an epoch
        ("power_t", FLOAT),
        ("schedule_constants", FLOAT, N_PARAMETERS),
        ("epoch_steps", INT),
        ("total_steps", INT),  # that schedules and averages are planned for
        # Constants: regularisation
        ("alpha", FLOAT),
        ("l2", FLOAT),
        ("l1", FLOAT),
        ("weight_decay", FLOAT),
        ("clip_value", FLOAT),
        ("clip_norm", FLOAT),
        ("max_norm", FLOAT),
        ("average_rate", FLOAT),
        ("average_after", INT),  # steps
        # Constants: the stopping rule
        ("monitor_loss", INT),
        ("epoch_limit", INT),
        ("tol", FLOAT),
        ("patience", FLOAT),
        # Cursor: rows and steps within the epoch; over the life of the solver's state; of this trainer
        ("position", INT),
        ("step_of_epoch", INT),
        ("steps", INT),
        ("samples", INT),
        ("epochs", INT),
        ("epochs_here", INT),
        # Results
        ("rate", FLOAT),  # of the next step, before schedule and bias correction
        ("epoch_loss", FLOAT),  # sum over the rows of the epoch under way
        ("best", FLOAT),  # lowest value of what the stopping rule watches
        ("stale", INT),  # epochs since it last improved by `tol`
        ("status", INT),
        ("curve_used", INT),  # epochs that this call of the kernel finished
    ],
    align=True,
)


def new_records(dtype: np.dtype, *values: dict[str, Any]) -> np.ndarray:
    """An array of records, one for each dictionary; fields that are not among its values are 0."""
    records = np.zeros(len(values), dtype)
    for i, one in enumerate(values):
        # At once: one field after another would take some time of a small fit.
        records[i] = tuple(one.get(name, 0) for name in dtype.fields or ())
    return records


def new_control(*values: dict[str, Any]) -> np.ndarray:
    """The control array of some networks, of each from `batches` and `rules`."""
    return new_records(CONTROL, *values)


class Record:
    """One network's record with its fields as attributes, for the rules below.

    NumPy's own, a record array, takes four times as long: as long as some steps of a tiny network.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: np.void) -> None:
        object.__setattr__(self, "_fields", fields)

    def __getattr__(self, name: str) -> Any:
        return self._fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._fields[name] = value


def record_of(control: np.ndarray, network: int = 0) -> Record:
    """A view of one network's record."""
    return Record(control[network])


def batches(n_rows: int, batch_rows: int, pass_rows: int, total_weight: float) -> dict[str, Any]:
    """The fields that say how rows come in batches, at the beginning of a fit."""
    return {
        "n_rows": n_rows,
        "batch_rows": batch_rows,
        "pass_rows": pass_rows,
        "mean_weight": total_weight / n_rows,
        "epoch_steps": -(-n_rows // batch_rows),
        "best": np.inf,
    }


def rules(plan: TrainingPlan, epoch_steps: int) -> dict[str, Any]:
    """The fields that say how a network is trained, at the beginning of a fit."""
    total_steps = plan.planned_steps(epoch_steps)
    return {
        "seed": plan.seed,
        "hyper": (*plan.hyper, *[0.0] * (N_HYPER - len(plan.hyper))),
        "rate_init": plan.rate_init,
        "rate": plan.rate_init,
        "epoch_rule": plan.schedule,
        "power_t": plan.power_t,
        "schedule_constants": plan.rate_constants,
        "total_steps": total_steps,
        "alpha": plan.alpha,
        "l2": plan.l2,
        "l1": plan.l1,
        "weight_decay": plan.weight_decay,
        "clip_value": plan.clip_value,
        "clip_norm": plan.clip_norm,
        "max_norm": plan.max_norm,
        "average_rate": plan.average_rate,
        "average_after": round(plan.average_after * total_steps),
        "monitor_loss": plan.monitor_loss,
        "epoch_limit": plan.max_epochs,
        "tol": plan.tol,
        "patience": plan.patience,
    }


def batch_weight(fit, batch_rows):
    """Divisor of the sum over a batch: its rows times the mean weight of all rows."""
    return batch_rows * fit.mean_weight


def l2_of_batch(fit, weight):
    """Strength of the L2 penalty of a batch of that weight."""
    return fit.alpha / weight + fit.l2


def average_fraction(fit, steps):
    """Fraction by which the running mean moves to the weights in the step after `steps` steps.

    At first it is the mean of all steps, until that moves more slowly: so the start is forgotten.
    """
    made = steps + 1 - fit.average_after
    return max(fit.average_rate, 1.0 / made) if made > 0 else 1.0


def end_epoch(fit, curve):
    """Book the loss of a finished epoch into `curve`; then learning rate, stopping rule and status."""
    loss = fit.epoch_loss / fit.n_rows
    fit.epoch_loss = 0.0
    curve[fit.curve_used] = loss
    fit.curve_used += 1
    fit.epochs += 1
    fit.epochs_here += 1
    fit.samples += fit.n_rows
    fit.step_of_epoch = 0
    fit.rate = rate_after_epoch(fit.epoch_rule, fit.rate, fit.rate_init, fit.power_t, fit.samples)
    if not math.isfinite(loss):
        fit.status = NON_FINITE
        return
    if fit.monitor_loss:
        apply_stopping_rule(fit, loss)
    if fit.epochs_here == fit.epoch_limit and fit.status == RUNNING:
        fit.status = MAX_EPOCHS


def apply_stopping_rule(fit, monitored):
    """Apply the stopping rule after an epoch whose monitored value (lower is better) is `monitored`."""
    rate, best, stale, converged = check_convergence(
        fit.epoch_rule, fit.rate, monitored, fit.best, fit.stale, fit.tol, fit.patience
    )
    fit.rate = rate
    fit.best = best
    fit.stale = stale
    if converged:
        fit.status = CONVERGED
