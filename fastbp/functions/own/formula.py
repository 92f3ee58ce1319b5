"""The common base of a user's own formulas: names that bring their entry of a registry along."""

import hashlib
import json
import threading
from typing import Any, ClassVar, Self

from fastbp.functions.own.description import NAME, check_formula
from fastbp.functions.registry import Registry
from fastbp.functions.symbolic.expression import FormulaError
from fastbp.functions.values import shown

_one_at_a_time = threading.Lock()


class Formula(str):
    """A name of a registry, of the form ``name@digest``, whose entry is added when the object is made.

    So it may stand wherever a registered name may. Equal formulas are equal names, in every process: the
    object holds the recorded operations, and is pickled as these, without the functions that it was made of.

    Attributes
    ----------
    name : str
    """

    kind: ClassVar[str]  # as users call it: "Activation"
    registry: ClassVar[Registry[Any]]
    name: str
    _plain: dict[str, Any]

    @classmethod
    def _made(cls, plain: dict[str, Any]) -> Self:
        """Return the formula with this description, and see that its entry is there."""
        digest = hashlib.sha256(json.dumps([cls.kind, plain], sort_keys=True).encode()).hexdigest()
        self = str.__new__(cls, f"{plain['name']}@{digest[:8]}")
        self.__dict__.update(name=plain["name"], _plain=plain)
        self._add()
        return self

    def _entry(self, name: str) -> Any:
        """Return the entry of the registry under a name."""
        raise NotImplementedError

    def _is_taken(self) -> bool:
        """Return whether another function has the plain name."""
        raise NotImplementedError

    def _registered_as(self, name: str) -> str:
        """Return the name in the registry."""
        return name

    def _add(self) -> None:
        with _one_at_a_time:  # threads may unpickle the same formula
            if self._registered_as(str(self)) not in self.registry:
                self._add_as(str(self), listed=False)

    def _add_as(self, name: str, *, listed: bool) -> None:
        self.registry.add(self._entry(name), listed=listed)

    def to_plain(self) -> dict[str, Any]:
        """Return a description of numbers, texts, lists and dictionaries that `from_plain` takes."""
        return self._plain

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return the formula with a description from `to_plain`.

        Raises
        ------
        ValueError
            If it is none.
        """
        check_formula(cls.kind, plain)
        try:
            return cls._made(plain)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"this is no description of a {cls.kind}: {error!r}.") from error

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {self.kind} cannot be changed: make a new one.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.from_plain, (self._plain,)

    def __repr__(self) -> str:
        return f"{self.kind}({self.name!r})"

    def __str__(self) -> str:
        return str.__str__(self)


def checked_name(kind: str, name: Any) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"the name of a {kind} must be letters, digits, '_', '.' or '-', beginning with a letter, got "
            f"{shown(name)}."
        )
    return str(name)


def register(formula: Any) -> Any:
    """Add a formula to the functions that are known by name.

    The name is known in this process only: other processes, such as those of a search with joblib, get to
    know it by unpickling the formula itself, so pass the object where you can.

    Parameters
    ----------
    formula : Activation, Loss, Solver or Schedule

    Returns
    -------
    formula
        The same object.

    Raises
    ------
    ValueError
        If another function has this name already.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Activation, BPRegressor, register
    >>> snake = register(Activation("snake", lambda z: z + np.sin(z) ** 2))  # doctest: +SKIP
    >>> net = BPRegressor((8,), activation="snake")  # doctest: +SKIP
    """
    if not isinstance(formula, Formula):
        raise TypeError(f"register takes an Activation, Loss, Solver or Schedule, got {shown(formula)}.")
    known = _registered.get((formula.kind, formula.name))
    if known == formula:
        return formula
    if known is not None or formula._is_taken():
        raise ValueError(
            f"there is a {formula.kind} named {formula.name!r} already: choose another name, or pass the "
            "object."
        )
    formula._add_as(formula.name, listed=True)
    _registered[formula.kind, formula.name] = formula
    return formula


def registered(kind: str, name: str) -> Formula | None:
    """Return the formula that was registered under a name, if any; `kind` as "Activation"."""
    return _registered.get((kind, name))


_registered: dict[tuple[str, str], Formula] = {}

__all__ = ["Formula", "FormulaError", "checked_name", "register"]
