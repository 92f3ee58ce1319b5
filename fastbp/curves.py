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


@contextmanager
def adopted(estimator: Any, draft: Any, added: Added) -> Iterator[None]:
    """Let an estimator take over a draft's attributes, with what a fit adds to their lists.

    Where that or the body fails, the estimator has its attributes back, and the lists are as they were.
    """
    before, attributes = estimator.__dict__, draft.__dict__
    grown: list[tuple[list[float], int]] = []
    try:
        for name, values in added.items():
            earlier = attributes.get(name)
            # The user may have assigned another sequence.
            whole = earlier if type(earlier) is list else [] if earlier is None else list(earlier)
            if values is not None:
                grown.append((whole, len(whole)))
                whole.extend(values)
            attributes[name] = None if values is None else whole
        estimator.__dict__ = attributes
        yield
    except BaseException:
        estimator.__dict__ = before
        for whole, length in grown:
            del whole[length:]
        raise
