"""Whether an ensemble can be trained by `partial_fit`."""

from typing import Any


def has_partial_fit(ensemble: Any) -> bool:
    """Check for `available_if`: True, or AttributeError with the reason."""
    ensemble._template().partial_fit  # noqa: B018
    return True
