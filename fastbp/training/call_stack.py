"""Inspection of the call stack: the user's line for warnings, and the caller of a fit."""

import os
import sys
import warnings
from types import FrameType

# Modules that pass on one fit of the user; other modules of these packages make fits for their own purposes.
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
# Packages that make many fits, or fits in separate processes.
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

# Packages with frames between the user's line and the warning in fastbp.
BETWEEN = ("fastbp", "sklearn", "joblib", "numpy", "contextlib")


def package_of(module_name: str) -> str:
    """The top-level package of a module."""
    return module_name.partition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that called fastbp, directly or through scikit-learn.

    If there is no such line, as in a joblib thread, the warning points at the outermost frame.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and package_of(frame.f_globals.get("__name__", "")) in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def is_part_of_another_call() -> bool:
    """Return whether the running fit belongs to a search, an ensemble, a cross-validation or the like.

    A fit that the user called, directly or as a step of a pipeline, stands alone. It is part of another call
    if one of `OF_MANY_FITS` is anywhere on the call stack, except for modules in `TRANSPARENT`; or if the
    nearest caller outside `TRANSPARENT` is an installed library, whose use of a model with truncated training
    is unknown.
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
