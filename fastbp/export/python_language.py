"""Python as Numba compiles it, for programs and formulas."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from fastbp.export.inlined import NAMES, Inliner
from fastbp.export.steps import StepWriter

OF_MATH = ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sin", "cos", "erfc")


class PythonWriter(StepWriter):
    """Writes the body of a function of the constants ``w``, where ``F`` makes a number of the dtype.

    Attributes
    ----------
    parts : list of ndarray
        The constants, which follow one another in ``w``.
    """

    def __init__(self, dtype: np.dtype) -> None:
        super().__init__(dtype)
        self._inliner = Inliner(self)
        self.parts: list[np.ndarray] = []
        self._n_constants = 0

    def operation(self, op: str, *a: str) -> str:
        return self._inliner.call(op, a[0]) if op in NAMES else super().operation(op, *a)

    def number(self, value: float) -> str:
        return f"F({float(value)!r})"

    def function(self, name: str, *arguments: str) -> str:
        if name == "pow":
            return f"({arguments[0]} ** {arguments[1]})"
        if name == "fabs":
            return f"abs({arguments[0]})"
        module = "math" if name in OF_MATH else "np"
        return f"{module}.{name}({', '.join(arguments)})"

    def select(self, mask: str, a: str, b: str) -> str:
        return f"({a} if {mask} else {b})"

    def name(self, name: str, text: str, *, changes: bool = False, is_mask: bool = False) -> None:
        self.line(f"{name} = {text}")

    def put(self, place: str, text: str, operator: str = "=") -> None:
        self.line(f"{place} {operator} {text}")

    def remark(self, text: str) -> None:
        self.line(f"# {text}")

    def array(self, name: str, size: int) -> None:
        self.line(f"{name} = carray(stack({size}), {size})")

    @contextmanager
    def loop(self, variable: str, start: str, stop: str, step: int = 1) -> Iterator[None]:
        self.line(f"for {variable} in range({start}, {stop}{f', {step}' if step > 1 else ''}):")
        self.depth += 1
        yield
        self.depth -= 1

    def constants(self, values: np.ndarray) -> Callable[[str], str]:
        start = self._n_constants
        self.parts.append(np.asarray(values, self.dtype).ravel())
        self._n_constants += self.parts[-1].size
        return lambda index: f"w[{start} + {index}]"
