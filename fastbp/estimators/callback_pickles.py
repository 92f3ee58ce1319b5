"""Errors that name the part of an estimator that cannot be pickled; pickle names only a lambda or a lock."""

import pickle
import sys
from contextvars import ContextVar
from types import FrameType
from typing import Any

# Packages that copy functions by reference, or pickle more than pickle does.
OTHERS = ("copy", "cloudpickle", "dill", "joblib.externals", "loky", "multiprocessing", "skops")
# Modules on the call stack between the code that pickles and the estimator.
BETWEEN = ("pickle", "_pickle", "copyreg", "fastbp", "sklearn")
PLAIN = (type(None), bool, int, float, str)

_is_trying: ContextVar[bool] = ContextVar("is_trying", default=False)


class _Nowhere:
    def write(self, content: Any) -> int:
        return len(content)


def refuse_unpicklable(estimator: Any) -> None:
    """Raise PicklingError that names the callback or parameter that pickle cannot handle.

    Only for calls by pickle, not by `OTHERS`. Callbacks may hold the estimator again: only the outermost call
    checks.
    """
    callbacks = getattr(estimator, "_skl_callbacks", ())
    parameters = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if not isinstance(value, PLAIN)
    }
    if not (callbacks or parameters) or _is_trying.get() or _asked_by_others():
        return
    token = _is_trying.set(True)
    try:
        for callback in callbacks:
            if (error := _fault(callback)) is not None:
                name = type(callback).__name__
                raise pickle.PicklingError(
                    f"The callback {name} of {type(estimator).__name__} cannot be pickled: {error}. Take it "
                    "away by set_callbacks() before, or give it what can be pickled, such as a function "
                    "defined in a module in place of a lambda."
                ) from error
        for parameter, value in parameters.items():
            if (error := _fault(value)) is not None:
                raise pickle.PicklingError(
                    f"The parameter {parameter!r} of {type(estimator).__name__} cannot be pickled: {error}. "
                    f"Set {parameter} to what can be pickled, such as a function defined in a module in "
                    "place of a lambda."
                ) from error
    finally:
        _is_trying.reset(token)


def _asked_by_others() -> bool:
    """Return whether the first caller outside this package, scikit-learn and pickle is one of `OTHERS`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if not _is_in(module, BETWEEN):
            return _is_in(module, OTHERS)
        frame = frame.f_back
    return False


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def _fault(value: Any) -> Exception | None:
    try:
        pickle.Pickler(_Nowhere(), pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception as error:  # types raise various errors
        return error
    return None
