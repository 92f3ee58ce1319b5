"""Registry of the checks: a check is one decorated function, and nothing else has to be changed.

The function's name is the code. It takes a `Case` and returns a `Finding` or None; it raises `NotApplicable`
where the question makes no sense.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastbp.diagnosis.report import Finding


class NotApplicable(Exception):
    """Raised by a check that does not apply; the message says why."""


class OutOfTime(NotApplicable):
    """Raised where there was no time for a check."""


@dataclass(frozen=True)
class Check:
    """A check and its documentation.

    Attributes
    ----------
    code : str
    meaning, figure, threshold, remedy : str
        Texts of the table in the README: what it means, the figure that shows it, from where it is reported,
        what to change.
    function : callable
        ``(case) -> Finding or None``.
    """

    code: str
    meaning: str
    figure: str
    threshold: str
    remedy: str
    function: Callable[[Any], Finding | None]

    def __call__(self, case: Any) -> Finding | None:
        found = self.function(case)
        return None if found is None else replace(found, code=self.code)


CHECKS: dict[str, Check] = {}  # in the order of the README and of the report


def check(
    *, meaning: str, figure: str, threshold: str, remedy: str
) -> Callable[[Callable[[Any], Finding | None]], Check]:
    """Register a function as a check."""

    def register(function: Callable[[Any], Finding | None]) -> Check:
        code = function.__name__
        if code in CHECKS:
            raise ValueError(f"two checks have the code {code!r}")
        CHECKS[code] = Check(code, meaning, figure, threshold, remedy, function)
        return CHECKS[code]

    return register


def need(holds: Any, reason: str) -> None:
    """Raise `NotApplicable` unless the condition holds."""
    if not holds:
        raise NotApplicable(reason)


def found(check: Check, case: Any) -> bool:
    """Whether an illness is found, for checks of what may be its consequence alone."""
    try:
        return check(case) is not None
    except NotApplicable:
        return False


def need_time(holds: Any, reason: str = "the time limit was reached") -> None:
    """Raise `OutOfTime` unless the condition holds."""
    if not holds:
        raise OutOfTime(reason)
