"""C99, for programs and formulas."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from string import ascii_letters, digits

import numpy as np

from fastbp.export.formulas import bare
from fastbp.export.steps import StepWriter

PER_LINE = 8  # numbers of a table


class CWriter(StepWriter):
    """Writes the body of C functions, and tables of constants.

    Parameters
    ----------
    dtype : numpy.dtype
    prefix : str
        Begins all names of the file.

    Attributes
    ----------
    tables : list of str
        Lines that declare the constants.
    n_constants : int
    """

    def __init__(self, dtype: np.dtype, prefix: str) -> None:
        super().__init__(dtype)
        self.is_single = self.dtype == np.float32
        self.type = "float" if self.is_single else "double"
        self.prefix = prefix
        self.tables: list[str] = []
        self.n_constants = 0
        self._n_tables = 0

    def number(self, value: float) -> str:
        with np.errstate(over="ignore", under="ignore"):
            value = float(self.dtype.type(value))
        if np.isnan(value):
            return "NAN"
        if np.isinf(value):
            return "INFINITY" if value > 0 else "(-INFINITY)"
        text = f"{value:.9g}" if self.is_single else f"{value:.17g}"
        if not set(text) & set(".e"):
            text += ".0"
        text += "f" * self.is_single
        return f"({text})" if text.startswith("-") else text

    def function(self, name: str, *arguments: str) -> str:
        return f"{name}{'f' * self.is_single}({', '.join(map(bare, arguments))})"

    def select(self, mask: str, a: str, b: str) -> str:
        return f"({mask} ? {a} : {b})"

    def name(self, name: str, text: str, *, changes: bool = False, is_mask: bool = False) -> None:
        self.line(f"{'' if changes else 'const '}{'int' if is_mask else self.type} {name} = {text};")

    def put(self, place: str, text: str, operator: str = "=") -> None:
        self.line(f"{place} {operator} {bare(text)};")

    def remark(self, text: str) -> None:
        self.line(f"/* {comment(text)} */")

    def array(self, name: str, size: int) -> None:
        self.line(f"{self.type} {name}[{size}];")

    @contextmanager
    def loop(self, variable: str, start: str, stop: str, step: int = 1) -> Iterator[None]:
        change = f"++{variable}" if step == 1 else f"{variable} += {step}"
        with self.braces(f"for (size_t {variable} = {start}; {variable} < {stop}; {change})"):
            yield

    @contextmanager
    def braces(self, before: str = "") -> Iterator[None]:
        """A block after a head such as that of a function."""
        self.line(f"{before} {{".strip())
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    @contextmanager
    def block(self) -> Iterator[None]:
        with self.braces():
            yield

    def constants(self, values: np.ndarray) -> Callable[[str], str]:
        flat = np.ascontiguousarray(values, self.dtype).ravel()
        name = f"{self.prefix}_w{self._n_tables}"
        self._n_tables += 1
        self.n_constants += flat.size
        self.tables.append(f"static const {self.type} {name}[{flat.size}] = {{")
        numbers = [bare(self.number(value)) for value in flat.tolist()]
        rows = [numbers[i : i + PER_LINE] for i in range(0, len(numbers), PER_LINE)]
        self.tables.extend(f"    {', '.join(row)}," for row in rows)
        self.tables.append("};")
        return lambda index: f"{name}[{index}]"


def string(text: str) -> str:
    """A string literal: UTF-8, all but plain characters as octal escapes."""
    plain = (ascii_letters + digits + " _-.,:;+*/=()[]<>@#%&|!'~^{}$").encode()
    data = text.encode("utf-8", "surrogatepass")
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in data) + '"'


def comment(text: str) -> str:
    """A text that ends no comment and has no lines."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("*/", "* /").replace("/*", "/ *").replace("??/", "? ?/")
