"""The method `save` of all estimators."""

import sys
from typing import Any

from fastbp.persistence.model_file import flattened, save, unflattened


class SaveMixin:
    """Mixin of the estimators of `fastbp.persistence.class_table.ESTIMATORS`."""

    def save(self, path: Any) -> None:
        """Write the model to a file, which `fastbp.load` reads: fitted or not, without pickle.

        The file is an archive of NumPy's, with the parameters and fitted attributes as JSON inside. It is
        written completely or not at all; an existing file is replaced. Callbacks are not saved.

        Parameters
        ----------
        path : str, path-like or binary file object
            Name of the file, used as it is.

        Raises
        ------
        TypeError
            If a parameter or an attribute cannot be saved, such as a function as `scoring`; the message
            names it.
        OSError
            If the file cannot be written; one that existed before is as it was.
        """
        save(self, path)


class FlatStateMixin(SaveMixin):
    """Mixin of the estimators that hold objects of other classes: skops needs to trust only their own."""

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[misc, assignment]
        return (flattened(self) or state) if _asked_by_skops() else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "fastbp model" in state:
            state = vars(unflattened(state))
        super().__setstate__(state)  # type: ignore[misc]


def _asked_by_skops() -> bool:
    """Return whether the first caller outside this package and scikit-learn is skops."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        package = (frame.f_globals.get("__name__") or "").partition(".")[0]
        if package not in ("fastbp", "sklearn"):
            return bool(package == "skops")
    return False
