"""Formulas written out from their expression graphs, in C or in Python: the syntax of both is nearly one."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from fastbp.functions.symbolic.expression import COMPARISONS, LEAVES, Node, in_order, variable
from fastbp.functions.symbolic.tracing import trace

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}
# Operations whose text has their argument twice: it gets a name first.
NAMED_ARGUMENTS = ("softplus", "mod", "normal_density")


class FormulaWriter(ABC):
    """The syntax of a language, for numbers of one dtype, and the lines written so far.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.lines: list[str] = []
        self.depth = 0
        self._n_names = 0

    # --- The language

    @abstractmethod
    def number(self, value: float) -> str:
        """A constant of the dtype."""

    @abstractmethod
    def function(self, name: str, *arguments: str) -> str:
        """A call of a function of C's math.h."""

    @abstractmethod
    def select(self, mask: str, a: str, b: str) -> str:
        """`a` where `mask` holds, else `b`."""

    @abstractmethod
    def name(self, name: str, text: str, *, changes: bool = False, is_mask: bool = False) -> None:
        """Write a line that gives a value a name; `changes`: the name gets other values later."""

    # --- Formulas

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text if text else "")

    def new_name(self) -> str:
        """A name that no other value has."""
        self._n_names += 1
        return f"t{self._n_names}"

    def formula(self, function: Callable, *arguments: str) -> str:
        """Write the lines of a registered formula of numbers; return the text of its result.

        Parameters
        ----------
        function : callable
            Such as the `value` of an activation.
        *arguments : str
            Texts of its arguments: names, elements of arrays or constants, which may stand several times.
        """
        names = [f"a{i}" for i in range(len(arguments))]
        (result,) = trace(function, *map(variable, names))
        return self.expression(result, dict(zip(names, arguments, strict=True)))

    def expression(self, result: Node, inputs: Mapping[str, str]) -> str:
        """Write the lines of an expression; return the text of its result."""
        order = in_order([result])
        uses = Counter(arg for one in order for arg in one.args)
        texts: dict[Node, str] = {}
        for one in order:
            text = self._text(one, texts, inputs)
            named = one is not result and (uses[one] > 1 or self._wants_name(one, order))
            if named and one.op not in LEAVES:
                name = self.new_name()
                self.name(name, bare(text), is_mask=one.is_mask)
                text = name
            texts[one] = text
        return texts[result]

    def _wants_name(self, one: Node, order: list[Node]) -> bool:
        return any(user.op in NAMED_ARGUMENTS and one in user.args for user in order)

    def _text(self, one: Node, texts: Mapping[Node, str], inputs: Mapping[str, str]) -> str:
        if one.op == "constant":
            return self.number(float(one.value))
        if one.op == "input":
            return inputs[one.value]
        return self.operation(one.op, *(texts[arg] for arg in one.args))

    def operation(self, op: str, *a: str) -> str:
        """The text of an operation of ``fastbp.functions.symbolic.expression`` on texts.

        Raises
        ------
        ValueError
            If it has no text, as reductions of rows.
        """
        if op in OPERATORS:
            return f"({a[0]} {OPERATORS[op]} {a[1]})"
        if op in COMPARISONS:
            return f"({a[0]} {SIGNS[op]} {a[1]})"
        if op == "select":
            return self.select(*a)
        if op == "neg":
            return f"(-{a[0]})"
        if op == "fma":
            return f"({a[0]} * {a[1]} + {a[2]})"
        if op in ("sqrt", "rint", "exp", "expm1", "log", "tanh", "sin", "cos", "floor"):
            return self.function(op, *a)
        if op == "absolute":
            return self.function("fabs", *a)
        if op == "power":
            return self.function("pow", *a)
        return self._composed(op, *a)

    def _composed(self, op: str, *a: str) -> str:
        one, half = self.number(1.0), self.number(0.5)
        if op == "logistic":
            return f"({one} / ({one} + {self.function('exp', f'(-{a[0]})')}))"
        if op == "log1p_exp_neg":
            return self.function("log1p", self.function("exp", f"(-{a[0]})"))
        if op == "softplus":
            largest = self.select(f"({a[0]} > {self.number(0.0)})", a[0], self.number(0.0))
            rest = self.function("log1p", self.function("exp", f"(-{self.function('fabs', a[0])})"))
            return f"({largest} + {rest})"
        if op == "normal_cdf":
            return f"({half} * {self.function('erfc', f'({a[0]} * {self.number(-math.sqrt(0.5))})')})"
        if op == "normal_density":
            factor = self.number(1.0 / math.sqrt(2.0 * math.pi))
            square = f"{self.number(-0.5)} * {a[0]} * {a[0]}"
            return f"({factor} * {self.function('exp', square)})"
        if op == "mod":
            return f"({a[0]} - {a[1]} * {self.function('floor', f'{a[0]} / {a[1]}')})"
        raise ValueError(f"the operation {op!r} of a formula cannot be written out")


def bare(text: str) -> str:
    """Without parentheses around the whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and place < len(text) - 1:
            return text
    return text[1:-1]
