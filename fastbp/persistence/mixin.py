"""The method `save` of all estimators, and their state for pickles and skops."""

import sys
from typing import Any

from fastbp.persistence.model_file import FLAT, flattened, save, unflattened


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

    def __getstate__(self) -> dict[str, Any]:
        # plain values and arrays for skops, which then needs to trust no class but the estimator's own
        state = flattened(self) if _asked_by_skops() else None
        return self._saved_state() if state is None else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if FLAT in state:
            vars(self).update(vars(unflattened(state)))
        else:
            self._set_saved_state(state)

    def _saved_state(self) -> dict[str, Any]:
        """Return the attributes of pickles and files."""
        return super().__getstate__()  # type: ignore[misc, return-value]

    def _set_saved_state(self, state: dict[str, Any]) -> None:
        """Become the estimator of these attributes."""
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
