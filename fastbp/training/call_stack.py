"""The user's code on the call stack: which line a warning points at, and who has called a fit."""

import os
import sys
import warnings
from types import FrameType

# Modules that call one fit, for the user; others of their packages call fits for purposes of their own.
TRANSPARENT = (
    "fastbp",
    "sklearn.base",
    "sklearn.callback",
    "sklearn.compose",
    "sklearn.pipeline",
    "sklearn.utils",
    "imblearn.pipeline",
    "contextlib",
    "functools",
)
# Packages that make many fits, or fits in processes of their own.
OF_MANY_FITS = (
    "sklearn",
    "joblib",
    "imblearn",
    "concurrent",
    "multiprocessing",
    "dask",
    "distributed",
    "dask_ml",
    "ray",
    "optuna",
    "hyperopt",
    "skopt",
    "flaml",
    "mlxtend",
)
INSTALLED = ("site-packages", "dist-packages")

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


def is_part_of_another_call() -> bool:
    """Whether the fit under way belongs to a search, an ensemble, a cross-validation or the like.

    A fit that the user called, directly or as a step of a pipeline, is one of its own. It is a part of
    another call where one of `OF_MANY_FITS` stands anywhere on the call stack, but for modules that pass a
    fit on; or where the nearest caller that does not pass it on is a library that was installed: what that
    does with a model whose training was cut short cannot be known.
    """
    frame: FrameType | None = sys._getframe()
    is_nearest = True
    while frame is not None:
        module, path = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
        if not any(module == name or module.startswith(f"{name}.") for name in TRANSPARENT):
            if package_of(module) in OF_MANY_FITS:
                return True
            if is_nearest and any(f"{os.sep}{name}{os.sep}" in path for name in INSTALLED):
                return True
            is_nearest = False
        frame = frame.f_back
    return False
