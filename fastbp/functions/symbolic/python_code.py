"""Expressions written as Python functions in the language of ``fastbp.functions``, for every engine.

The functions that are made here count as this module's, by which the cache of kernels knows their globals.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from fastbp.functions import primitives, scalar
from fastbp.functions.symbolic.expression import FUNCTIONS, SCALAR_ONLY, FormulaError, Node, in_order

SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
}
PRIMITIVES = ("select", "fma", "sqrt", "absolute", "rint", "like", "get", "put")
INFINITY, NAN = float("inf"), float("nan")

# What the functions refer to by name.
OF_REGISTERS: dict[str, Any] = {
    **{name: getattr(primitives, name) for name in PRIMITIVES},
    **{name: getattr(scalar, name) for name in FUNCTIONS},
    "INFINITY": INFINITY,
    "NAN": NAN,
}
# Plain numbers, once a step or once an epoch: Python's own functions.
OF_NUMBERS: dict[str, Any] = {"math": math, "INFINITY": INFINITY, "NAN": NAN}


def text_of(value: float) -> str:
    """A float as source."""
    if math.isfinite(value):
        return repr(value)
    return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"


class Writer:
    """Writes one line for each operation; each is computed once.

    Parameters
    ----------
    wanted : sequence of Node
        All that will be written, to see which products belong to one sum only: these are fused with it.
    names : mapping of Node to str
        What inputs are called.
    """

    def __init__(self, wanted: Sequence[Node], names: Mapping[Node, str]) -> None:
        self.names = dict(names)
        uses = Counter(arg for one in in_order(wanted) for arg in one.args)
        uses.update(wanted)
        self._once = {one for one, n in uses.items() if n == 1}
        self._n = 0

    def lines(self, results: Iterable[Node]) -> list[str]:
        """Assignments after which `text` knows the results, without those that were written before."""
        found: list[str] = []
        for one in self._left(results):
            if one.op in ("constant", "input") or one.is_mask:
                continue
            self._n += 1
            found.append(f"v{self._n} = {self._operation(one)}")
            self.names[one] = f"v{self._n}"
        return found

    def _left(self, results: Iterable[Node]) -> list[Node]:
        """Operations not yet written, without those that are fused with the next, in order."""
        order: dict[Node, None] = {}
        stack = [(result, False) for result in reversed(list(results))]
        while stack:
            one, is_ready = stack.pop()
            if one in order or one in self.names:
                continue
            if is_ready:
                order[one] = None
            else:
                stack.append((one, True))
                stack.extend((arg, False) for arg in reversed(self._operands(one)))
        return list(order)

    def _operands(self, one: Node) -> tuple[Node, ...]:
        fused = self._fused(one)
        return one.args if fused is None else fused[1]

    def _fused(self, one: Node) -> tuple[str, tuple[Node, ...]] | None:
        """A sum with a product that nothing else needs: the form of the fma, and its three operands."""
        if one.op not in ("add", "sub") or one.is_constant:
            return None
        a, b = one.args
        if self._is_product(a):
            return ("fma({}, {}, {})" if one.op == "add" else "fma({}, {}, -{})"), (*a.args, b)
        if self._is_product(b):
            return ("fma({}, {}, {})" if one.op == "add" else "fma(-{}, {}, {})"), (*b.args, a)
        return None

    def _is_product(self, one: Node) -> bool:
        return one.op == "mul" and one in self._once and one not in self.names

    def text(self, one: Node) -> str:
        """The name of a result, or a constant."""
        if one.is_constant:
            return text_of(one.value) if one.value >= 0 else f"({text_of(one.value)})"
        if one.is_mask:
            return f"{self.text(one.args[0])} {SIGNS[one.op]} {self.text(one.args[1])}"
        return self.names[one]

    def _operation(self, one: Node) -> str:
        fused = self._fused(one)
        if fused is not None:
            form, operands = fused
            return form.format(*map(self.text, operands))
        texts = list(map(self.text, one.args))
        if one.op in SIGNS:
            return f"{texts[0]} {SIGNS[one.op]} {texts[1]}"
        if one.op == "neg":
            return f"-{texts[0]}"
        if one.op == "power":
            return f"exp({texts[1]} * log({texts[0]}))"
        if one.op == "select" and one.args[1].is_constant and one.args[2].is_constant:
            # a choice of two numbers is as wide as what is compared
            wide = next(self.text(arg) for arg in one.args[0].args if not arg.is_constant)
            texts[1] = f"like({wide}, {texts[1]})"
        if one.op in SCALAR_ONLY:
            raise FormulaError(
                f"{one.op} is for schedules and coefficients only, not for what each weight or unit computes."
            )
        return f"{one.op}({', '.join(texts)})"


class NumberWriter(Writer):
    """The same for plain numbers."""

    FORMS = {
        "select": "({1} if {0} else {2})",
        "absolute": "abs({})",
        "fma": "{} * {} + {}",
        "floor": "math.floor({})",
        "power": "{} ** {}",
        "mod": "{} % {}",
        "rint": "round({})",
        "logistic": "1.0 / (1.0 + math.exp(-{}))",
        "softplus": "math.log1p(math.exp({}))",
        "log1p_exp_neg": "math.log1p(math.exp(-{}))",
        "normal_cdf": "0.5 * math.erfc(-{} * 0.7071067811865476)",
        "normal_density": "0.3989422804014327 * math.exp(-0.5 * ({}) ** 2)",
    }

    def _fused(self, one: Node) -> None:
        return None

    def _operation(self, one: Node) -> str:
        texts = list(map(self.text, one.args))
        if one.op in SIGNS:
            return f"{texts[0]} {SIGNS[one.op]} {texts[1]}"
        if one.op == "neg":
            return f"-{texts[0]}"
        return self.FORMS.get(one.op, f"math.{one.op}({{}})").format(*texts)


def made(name: str, arguments: Sequence[str], body: Sequence[str], known: Mapping[str, Any]) -> FunctionType:
    """Return the function with these lines."""
    source = "\n".join([f"def {name}({', '.join(arguments)}):", *(f"    {line}" for line in body)])
    namespace = {**known, "__name__": __name__}
    exec(compile(source, "<formula>", "exec"), namespace)
    function = namespace[name]
    function.__doc__ = source  # to be looked at
    return function


def function_of(
    name: str,
    arguments: Sequence[str],
    results: Sequence[Node],
    *,
    names: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    wide: bool = True,
) -> FunctionType:
    """Write expressions of numbers as a function.

    Parameters
    ----------
    name : str
    arguments : sequence of str
        Its parameters.
    results : sequence of Node
        What it returns: one number, or a tuple.
    names : mapping of str to str
        What the inputs are called in the function, as ``{"rate": "c[0]"}``; others keep their names.
    before : sequence of str
        Lines to begin with.
    wide : bool, default=True
        For vector registers; else for plain numbers.
    """
    inputs = [one for one in in_order(results) if one.op == "input"]
    called = {one: (names or {}).get(one.value, one.value) for one in inputs}
    writer = (Writer if wide else NumberWriter)(results, called)
    body = [*before, *writer.lines(results)]
    texts = [writer.text(one) for one in results]
    if wide:  # a constant result is as wide as the first argument
        texts = [
            f"like({arguments[0]}, {text})" if one.is_constant else text
            for one, text in zip(results, texts, strict=True)
        ]
    body.append(f"return {', '.join(texts)}")
    return made(name, arguments, body, OF_REGISTERS if wide else OF_NUMBERS)
