"""Losses of a row written as Python functions: a loop over the outputs for each round of reductions."""

from collections.abc import Sequence
from types import FunctionType

from fastbp.functions.symbolic.expression import FUNCTIONS, LENGTH, POWER, REDUCTIONS, Node, in_order
from fastbp.functions.symbolic.python_code import OF_REGISTERS, Writer, made, text_of

START = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}
UPDATE = {"sum": "{0} + {1}", "max": "select({1} > {0}, {1}, {0})", "min": "select({1} < {0}, {1}, {0})"}
COSTLY = {*FUNCTIONS, *POWER}


def row_loss(value: Node, gradient: Node, z: Node, y: Node, parameters: Sequence[Node]) -> FunctionType:
    """Write a loss as ``fastbp.functions.losses`` has them: ``row(z, y, delta, n, weight, p)``.

    Parameters
    ----------
    value : Node
        A number.
    gradient : Node
        Derivatives by the elements of `z`: a row, or one number for all.
    z, y : Node
        The rows of outputs and of targets.
    parameters : sequence of Node
        The inputs that p holds, in order.
    """
    return _RowWriter(value, gradient, z, y, parameters).function()


class _RowWriter:
    def __init__(self, value: Node, gradient: Node, z: Node, y: Node, parameters: Sequence[Node]) -> None:
        self.value, self.gradient, self.z, self.y = value, gradient, z, y
        self.order = in_order([value, gradient])
        self.level = self._levels()
        self.put_at = self.level[gradient] + 1  # the loop that writes the gradient
        self.writer = Writer([value, gradient], {})
        self.body: list[str] = []
        self.kept = self._worth_keeping()
        self._name_inputs(parameters)

    def _levels(self) -> dict[Node, int]:
        """The loop after which each node is known: 0 before all loops. Rows: what they need is known then."""
        level: dict[Node, int] = {}
        for one in self.order:
            level[one] = max((level[arg] for arg in one.args), default=0) + (one.op in REDUCTIONS)
        return level

    def _worth_keeping(self) -> Node | None:
        """A costly element that the last loop needs again: it is kept where the gradient will stand."""
        for one in self.order:
            if one.is_row and one.op in COSTLY and self.level[one] + 1 < self.put_at:
                loops = {loop for loop in range(1, self.put_at + 1) if one in in_order(self._of_loop(loop))}
                if self.put_at in loops and len(loops) > 1:
                    return one
        return None

    def _name_inputs(self, parameters: Sequence[Node]) -> None:
        for one in self.order:
            if one.op == "input" and not one.is_row:
                place = "float(n)" if one.value == LENGTH else f"p[{list(parameters).index(one)}]"
                self.writer.names[one] = f"input_{one.value}"
                self.body.append(f"input_{one.value} = like(weight, {place})")

    def _reductions(self, loop: int) -> list[Node]:
        return [one for one in self.order if one.op in REDUCTIONS and self.level[one] == loop]

    def _of_loop(self, loop: int) -> list[Node]:
        """What a loop computes for each element."""
        found = [one.args[0] for one in self._reductions(loop)]
        return [*found, self.gradient] if loop == self.put_at else found

    def function(self) -> FunctionType:
        is_kept = False
        for loop in range(1, max(*self.level.values(), self.put_at) + 1):
            is_kept = self._write_loop(loop, is_kept)
        self.body += self.writer.lines([self.value])
        self.body.append(f"return weight * {self.writer.text(self.value)}")
        return made("row", ("z", "y", "delta", "n", "weight", "p"), self.body, OF_REGISTERS)

    def _write_loop(self, loop: int, is_kept: bool) -> bool:
        wanted, reductions = self._of_loop(loop), self._reductions(loop)
        self.body += self.writer.lines(_numbers_of(wanted))
        for i, one in enumerate(reductions):
            self.writer.names[one] = f"{one.op}_{loop}_{i}"
            self.body.append(f"{one.op}_{loop}_{i} = like(weight, {text_of(START[one.op])})")
        outside = dict(self.writer.names)
        names = self.writer.names
        inside = ["z_j = get(z, j)", "y_j = get(y, j)"]
        names[self.z], names[self.y] = "z_j", "y_j"
        if is_kept and self.kept is not None and loop <= self.put_at:
            names[self.kept] = "kept"
            inside.append("kept = get(delta, j)")
        inside += self.writer.lines(wanted)
        if not is_kept and self.kept in names and self.kept is not None:
            inside.append(f"put(delta, j, {names[self.kept]})")
            is_kept = True
        for one in reductions:
            update = UPDATE[one.op].format(outside[one], self.writer.text(one.args[0]))
            inside.append(f"{outside[one]} = {update}")
        if loop == self.put_at:
            inside.append(f"put(delta, j, weight * {self.writer.text(self.gradient)})")
        text = "\n".join(inside)
        inside = [line for line in inside if not line.startswith("y_j") or text.count("y_j") > 1]
        self.body += ["for j in range(n):", *(f"    {line}" for line in inside)]
        self.writer.names = outside  # elements are those of this loop only
        return is_kept


def _numbers_of(rows: Sequence[Node]) -> list[Node]:
    """The numbers that elements of rows are computed from, written before the loop."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(rows)
    while stack:
        one = stack.pop()
        if one in seen:
            continue
        seen.add(one)
        if one.is_row or one.is_mask:
            stack.extend(one.args)
        elif not one.is_constant:
            found[one] = None
    return sorted(found, key=lambda one: one.serial)
