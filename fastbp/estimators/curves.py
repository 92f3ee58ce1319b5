"""The lists of a fitted estimator that grow with its epochs.

Fits that go on extend them in place: a copy at each call would make a stream of `partial_fit` quadratic.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")

Added = dict[str, list[float] | None]  # attribute -> what a fit adds to it; None: it has no such list


def own_lists(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes for another estimator, with lists that do not grow with these."""
    return {
        name: list(value) if name in NAMES and isinstance(value, list) else value
        for name, value in attributes.items()
    }


def extend(attributes: dict[str, Any], added: Added) -> None:
    """Add what a fit adds to the lists of an estimator, in place."""
    for name, values in added.items():
        earlier = attributes.get(name)
        # The user may have assigned another sequence.
        whole = earlier if type(earlier) is list else [] if earlier is None else list(earlier)
        whole.extend(values or [])
        attributes[name] = None if values is None else whole


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Where the body fails, the estimator has its attributes back, and their lists are as they were."""
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
