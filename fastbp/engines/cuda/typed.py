"""Copies of the plain formulas in which every number has one dtype.

``fastbp.functions`` is written for Python floats. CUDA has no vector type to hang the operators on, and
``0.5 * x`` with a float32 `x` would be computed in float64, at a small fraction of the speed. So a formula is
copied: its float constants become constants of the dtype, and the names that it uses (other formulas,
primitives, `float`, variables of a function around it) lead to their own copies.
"""

from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from fastbp.engines.cuda.primitives import primitives
from fastbp.engines.cuda.target import device
from fastbp.functions import primitives as plain


class Typed:
    """Makes copies for one dtype, each once.

    Parameters
    ----------
    real : numpy.float32 or numpy.float64
    """

    def __init__(self, real: type) -> None:
        self.real = real
        self._primitives = primitives(real)
        self._copies: dict[FunctionType, Any] = {}

    def __call__(self, function: Callable) -> Any:
        """The device function of a plain formula."""
        if not isinstance(function, FunctionType):
            raise TypeError(f"{function!r} is no plain function")
        if function not in self._copies:
            names = _names(function.__code__)
            found = {name: function.__globals__[name] for name in names if name in function.__globals__}
            surroundings = {name: self._translate(value, names) for name, value in found.items()}
            surroundings["float"] = self.real
            code = self._code(function.__code__)
            cells = (cell.cell_contents for cell in function.__closure__ or ())
            closure = tuple(CellType(self._translate(value, names)) for value in cells)
            copy = FunctionType(code, surroundings, function.__name__, function.__defaults__, closure)
            self._copies[function] = device(copy)
        return self._copies[function]

    def _translate(self, value: Any, names: set[str]) -> Any:
        """The value of a global name or an enclosed variable of a formula in its copy."""
        if isinstance(value, float):
            return self.real(value)
        if isinstance(value, FunctionType):
            primitive = value.__module__ == plain.__name__
            return self._primitives[value.__name__] if primitive else self(value)
        if isinstance(value, ModuleType):
            module = ModuleType(value.__name__)
            for name in names & vars(value).keys():
                setattr(module, name, self._translate(vars(value)[name], set()))
            return module
        return value

    def _code(self, code: CodeType) -> CodeType:
        return code.replace(co_consts=tuple(self._constant(value) for value in code.co_consts))

    def _constant(self, value: Any) -> Any:
        if isinstance(value, float):
            return self.real(value)
        if isinstance(value, tuple):
            return tuple(self._constant(item) for item in value)
        return value


def _names(code: CodeType) -> set[str]:
    return set(code.co_names)
