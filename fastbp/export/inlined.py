"""exp, tanh and related functions, written out from ``fastbp.functions.scalar`` as lines of a program.

Compilers vectorise loops with such lines, but not those that call the C library. A formula is called with
texts in place of numbers, and each of its operations writes a line.
"""

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from fastbp.export.formulas import FormulaWriter
from fastbp.functions import primitives, scalar

NAMES = ("exp", "expm1", "tanh", "logistic", "softplus", "log1p_exp_neg", "normal_cdf", "normal_density")


class Text:
    """A number of the program: a name, a constant, or a comparison."""

    def __init__(self, writer: FormulaWriter, text: str) -> None:
        self.writer, self.text = writer, text

    def _apply(self, operator: str, a: Any, b: Any) -> "Text":
        return named(self.writer, f"{written(self.writer, a)} {operator} {written(self.writer, b)}")

    def __add__(self, other: Any) -> "Text":
        return self._apply("+", self, other)

    def __radd__(self, other: Any) -> "Text":
        return self._apply("+", other, self)

    def __sub__(self, other: Any) -> "Text":
        return self._apply("-", self, other)

    def __rsub__(self, other: Any) -> "Text":
        return self._apply("-", other, self)

    def __mul__(self, other: Any) -> "Text":
        return self._apply("*", self, other)

    def __rmul__(self, other: Any) -> "Text":
        return self._apply("*", other, self)

    def __truediv__(self, other: Any) -> "Text":
        return self._apply("/", self, other)

    def __rtruediv__(self, other: Any) -> "Text":
        return self._apply("/", other, self)

    def __neg__(self) -> "Text":
        return named(self.writer, f"-{self.text}")

    def __lt__(self, other: Any) -> "Text":
        return Text(self.writer, f"({self.text} < {written(self.writer, other)})")

    def __gt__(self, other: Any) -> "Text":
        return Text(self.writer, f"({self.text} > {written(self.writer, other)})")


def written(writer: FormulaWriter, value: Any) -> str:
    return value.text if isinstance(value, Text) else writer.number(float(value))


def named(writer: FormulaWriter, text: str) -> Text:
    """Write a line that gives a value a new name."""
    name = writer.new_name()
    writer.name(name, text)
    return Text(writer, name)


class Inliner:
    """Writes the functions of `NAMES` as lines of a writer."""

    def __init__(self, writer: FormulaWriter) -> None:
        self._writer = writer
        self._copies: dict[FunctionType, Callable] = {}

    def call(self, name: str, argument: str) -> str:
        """Write the lines of a function; return the name of its value."""
        function = self._copy(getattr(scalar, name))
        return written(self._writer, function(named(self._writer, argument)))

    def _copy(self, function: FunctionType) -> Callable:
        """A function whose primitives write lines."""
        if function.__module__ == primitives.__name__:
            return self._primitive(function.__name__)
        if function not in self._copies:
            names = set(function.__code__.co_names)
            around = {n: self._inner(v) for n, v in function.__globals__.items() if n in names}
            self._copies[function] = FunctionType(function.__code__, around, function.__name__)
        return self._copies[function]

    def _inner(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._copy(value)
        assert not isinstance(value, ModuleType)
        return value

    def _primitive(self, name: str) -> Callable:
        writer = self._writer

        def single(x: Any) -> bool:
            return writer.dtype.itemsize == 4

        def select(mask: Text, a: Any, b: Any) -> Text:
            return named(writer, writer.select(mask.text, written(writer, a), written(writer, b)))

        def call(*arguments: Any) -> Text:
            texts = [written(writer, one) for one in arguments]
            return named(writer, f"{CALLS[name]}({', '.join(texts)})")

        def scale(x: Any, n: Any) -> Text:
            return named(writer, f"{written(writer, x)} * power_of_2({written(writer, n)})")

        known: dict[str, Callable] = {"single": single, "select": select, "scale": scale}
        return known.get(name, call)


CALLS = {"fma": "fma", "sqrt": "math.sqrt", "absolute": "abs", "rint": "rint"}
