"""Checks of a user's formulas when they are made: derivatives against central differences."""

from collections.abc import Callable

import numpy as np

from fastbp.functions.symbolic.expression import FormulaError

N_POINTS = 201
STEP = 1e-5
# A central difference of step h is wrong by h² f'''/6, and by 1e-16 f / h: about 1e-10 here.
TOLERANCE = 1e-5

GIVEN = "Mend it, or leave it out: then it is derived from the value."
DERIVED = "It was derived from the value: give the derivative yourself."


def check_slope(
    what: str,
    variable: str,
    points: np.ndarray,
    value: Callable[[np.ndarray], np.ndarray],
    slope: np.ndarray,
    *,
    is_derived: bool,
) -> None:
    """Compare a derivative with central differences, but for kinks.

    Parameters
    ----------
    what, variable : str
        For messages: "derivative of Activation 'mine'", "z".
    points : ndarray of shape (n,)
    value : callable
        Values at such points.
    slope : ndarray of shape (n,)
        The derivative at the points.
    is_derived : bool
        Whether it was derived from the value.

    Raises
    ------
    FormulaError
        Where they differ: names the point and both numbers.
    """
    before, here, after = value(points - STEP), value(points), value(points + STEP)
    central = (after - before) / (2 * STEP)
    scale = 1 + np.abs(central) + np.abs(here)
    # one-sided differences of a smooth function differ by h f'' only
    is_kink = np.abs((after - here) - (here - before)) / STEP > 1e-2 * scale
    # and a difference halves with the step, unless there is a jump
    halved = value(points + STEP / 2) - value(points - STEP / 2)
    is_kink |= np.abs((after - before) - 2 * halved) / STEP > 1e-2 * scale
    wrong = np.abs(slope - central) > TOLERANCE * scale
    wrong |= ~np.isfinite(slope)
    wrong &= ~is_kink & np.isfinite(central)
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.nan_to_num(np.abs(slope - central), nan=np.inf), 0)))
        raise FormulaError(
            f"the {what} is wrong at {variable} = {points[worst]:.6g}: it gives {slope[worst]:.6g}, but the "
            f"value rises by {central[worst]:.6g} there (central difference). "
            f"{DERIVED if is_derived else GIVEN}"
        )


def check_finite(what: str, variable: str, points: np.ndarray, values: np.ndarray, advice: str) -> None:
    """Raise FormulaError at the first value that is not finite."""
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise FormulaError(
            f"the {what} is {values[first]} at {variable} = {points[first]:.6g}; a network cannot be trained "
            f"with it. {advice}"
        )


def checked_range(between: object) -> tuple[float, float]:
    """Return the range of a check, or raise ValueError."""
    try:
        low, high = (float(end) for end in between)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"between must be two finite numbers (low, high) with low < high, got {between!r}.")
    return low, high
