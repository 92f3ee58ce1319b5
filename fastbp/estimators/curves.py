"""Lists of a fitted estimator that grow with its epochs.

Resumed fits extend them in place: a copy at each call would make many calls of `partial_fit` quadratic.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")

Added = dict[str, list[float] | None]  # attribute -> values that a fit appends; None: no such list


def own_lists(attributes: dict[str, Any]) -> dict[str, Any]:
    """Copy attributes for another estimator, with lists of its own."""
    return {
        name: list(value) if name in NAMES and isinstance(value, list) else value
        for name, value in attributes.items()
    }


def extend(attributes: dict[str, Any], added: Added) -> None:
    """Append the values of a fit to the lists of an estimator, in place."""
    for name, values in added.items():
        earlier = attributes.get(name)
        # The user may have assigned another sequence.
        whole = earlier if type(earlier) is list else [] if earlier is None else list(earlier)
        whole.extend(values or [])
        attributes[name] = None if values is None else whole


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator and their lists if the body fails."""
    before = estimator.__dict__
    lists = [before[name] for name in NAMES if type(before.get(name)) is list]
    lengths = [len(one) for one in lists]
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        for one, length in zip(lists, lengths, strict=True):
            del one[length:]
        raise
