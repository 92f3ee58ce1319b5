"""Losses by the names that users give."""

from functools import cache

from fastbp.functions.loss_entry import Loss
from fastbp.functions.losses import LOSSES

# Losses whose outputs are normal distributions.
NORMAL_LOSSES = [loss.user_name for loss in LOSSES if loss.normal is not None]


def loss_names(task: str | None = None) -> list[str]:
    """Return the users' names, without the merged activation, each once; for one task or for both."""
    entries = [loss for loss in LOSSES if task is None or task in loss.tasks]
    return list(dict.fromkeys(loss.user_name for loss in entries))


def entries_of(loss: str, task: str | None = None) -> list[Loss]:
    """Return the entries of a user's name, one for each merged activation."""
    return [
        entry
        for entry in LOSSES.everything()
        if entry.user_name == loss and (task is None or task in entry.tasks)
    ]


def is_loss(loss: str, task: str) -> bool:
    """Return whether a name is that of a loss for a task, listed in its registry or not."""
    return bool(entries_of(loss, task))


def find_loss(loss: str, out_activation: str, task: str | None = None) -> Loss:
    """Return the loss for a user's name and an output activation, or raise ValueError with advice."""
    for name in (f"{loss}+{out_activation}", loss):
        if name in LOSSES and (task is None or task in LOSSES[name].tasks):
            if LOSSES[name].signed and out_activation != "identity":
                raise ValueError(
                    f"loss={loss!r} needs out_activation='identity', got out_activation={out_activation!r}: "
                    "the sign of an output tells the class."
                )
            return LOSSES[name]
    partners = [entry.merged_with for entry in entries_of(loss, task)]
    if not partners:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {loss_names(task)}.")
    raise ValueError(
        f"loss={loss!r} needs out_activation in {partners}, got out_activation={out_activation!r}. "
        'Leave out_activation at "auto" or choose loss="squared_error", which takes any.'
    )


@cache
def default_output(loss: str, *, task: str, multiclass: bool = False, several: bool = False) -> str:
    """Return the output activation that ``out_activation="auto"`` stands for.

    `multiclass`: three classes or more; `several`: several quantiles of one target.
    """
    entries = entries_of(loss, task)
    choices = [entry.merged_with or "identity" for entry in entries]
    if task == "classifier" and not any(entry.signed for entry in entries):
        # Outputs that are probabilities, whatever the loss.
        probable = "softmax" if multiclass else "logistic"
        return probable if entries[0].merged_with is None or probable in choices else choices[0]
    if "increasing" in choices:
        return "increasing" if several else "identity"
    return choices[0]
