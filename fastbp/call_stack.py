"""The user's code on the call stack: which line a warning points at."""

import sys
import warnings

# Packages whose frames stand between a user's line and the place in fastbp that warns.
BETWEEN = ("fastbp", "sklearn", "joblib", "numpy", "contextlib")


def package_of(module_name: str) -> str:
    """The top-level package of a module."""
    return module_name.partition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that called fastbp, directly or by way of scikit-learn.

    Where there is no such line, as in a thread of joblib's, the warning points at the outermost frame.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and package_of(frame.f_globals.get("__name__", "")) in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
