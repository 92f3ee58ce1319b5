"""Validation rows given to `fit`."""

from typing import Any, NamedTuple


class ValidationArguments(NamedTuple):
    """The arguments `X_val`, `y_val` and `sample_weight_val` of `fit`."""

    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None

    def check(self, early_stopping: bool, solver_stops_early: bool) -> bool:
        """Return whether there are rows; ValueError if they are incomplete or would not be used."""
        if all(part is None for part in self):
            return False
        if self.X_val is None or self.y_val is None:
            names = [name for name, part in self._asdict().items() if part is not None]
            lacking = [name for name in ("X_val", "y_val") if getattr(self, name) is None]
            raise ValueError(
                f"{' and '.join(names)} given to fit without {' and '.join(lacking)}: validation rows need "
                "X_val and y_val."
            )
        if not (early_stopping and solver_stops_early):
            change = "early_stopping=True" if solver_stops_early else "a solver of mini-batches"
            raise ValueError(
                f"X_val and y_val are given to fit, but only early stopping would use them: set {change}, or "
                "leave them out."
            )
        return True


NO_ROWS = ValidationArguments()
