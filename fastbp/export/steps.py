"""The steps of a program as loops over small arrays, in any language of a `FormulaWriter`."""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from fastbp.export.formulas import FormulaWriter
from fastbp.export.program import Program, Step
from fastbp.functions.normalisation import EPSILON
from fastbp.plan.network import Kind

INPUTS_AT_A_TIME = 4  # of a dense layer: fewer loads and stores of its sums


class Buffers(NamedTuple):
    """Where the buffers of a program lie in few arrays.

    Attributes
    ----------
    places : list of int or None
        Of each step: the array that it writes. The program's inputs have no array.
    sources, others : list of int or None
        The arrays that it reads; None: the inputs.
    sizes : list of int
        Of each array.
    output : int or None
        The array with the outputs.
    """

    places: list[int]
    sources: list[int | None]
    others: list[int | None]
    sizes: list[int]
    output: int | None


IN_PLACE = (Kind.ELEMENTWISE, Kind.PARAMETRIC, Kind.ROW, Kind.ADD)


def allocate(program: Program) -> Buffers:
    """Place the buffers of a program, so that an array is used again when its values are not needed."""
    steps = program.steps
    last_read = {0: -1, program.output: len(steps)}
    for number, step in enumerate(steps):
        for buffer in (step.source, step.other):
            if buffer is not None:
                last_read[buffer] = max(number, last_read.get(buffer, -1))
    array: dict[int, int | None] = {0: None}
    sizes: list[int] = []
    free: list[int] = []
    places: list[int] = []
    sources: list[int | None] = []
    others: list[int | None] = []
    for number, step in enumerate(steps):
        source, other = array[step.source], None if step.other is None else array[step.other]
        is_last_use = step.kind in IN_PLACE and last_read[step.source] == number
        if source is not None and (step.target == step.source or is_last_use):
            place = source
        elif free:
            place = free.pop()
        else:
            place = len(sizes)
            sizes.append(0)
        sizes[place] = max(sizes[place], step.n_out)
        places.append(place)
        sources.append(source)
        others.append(other)
        array[step.target] = place
        needed = {array[buffer] for buffer in array if last_read.get(buffer, -1) > number}
        for used in {source, other} - {None, place} - needed:
            assert used is not None
            free.append(used)
    return Buffers(places, sources, others, sizes, array[program.output])


class StepWriter(FormulaWriter):
    """Writes the steps of programs."""

    # --- The language

    @abstractmethod
    def loop(self, variable: str, start: str, stop: str, step: int = 1) -> AbstractContextManager[None]:
        """A loop; its lines are written within the context."""

    def block(self) -> AbstractContextManager[None]:
        """A scope for the names within."""
        return nullcontext()

    @abstractmethod
    def remark(self, text: str) -> None:
        """Write a comment."""

    @abstractmethod
    def array(self, name: str, size: int) -> None:
        """Write the declaration of an array."""

    @abstractmethod
    def put(self, place: str, text: str, operator: str = "=") -> None:
        """Write an assignment."""

    @abstractmethod
    def constants(self, values: np.ndarray) -> Callable[[str], str]:
        """Keep the numbers of an array with the program; return the text of an element by its index."""

    # --- Programs

    def program(self, program: Program, x: str, out: str) -> None:
        """Write the lines that compute the array `out` from the array `x`, which may be the same."""
        buffers = allocate(program)
        for number, size in enumerate(buffers.sizes):
            self.array(f"b{number}", size)

        def name(place: int | None) -> str:
            return x if place is None else f"b{place}"

        for step, place, source, other in zip(
            program.steps, buffers.places, buffers.sources, buffers.others, strict=True
        ):
            self.remark(_about(step))
            with self.block():
                self._step(step, name(source), name(place), name(other))
        self.copy(name(buffers.output), out, program.n_outputs)

    def copy(self, source: str, target: str, size: int) -> None:
        with self.loop("j", "0", str(size)):
            self.put(f"{target}[j]", f"{source}[j]")

    def _step(self, step: Step, source: str, target: str, other: str) -> None:
        if step.kind == Kind.DENSE:
            self._dense(step, source, target)
        elif step.kind == Kind.ADD:
            with self.loop("j", "0", str(step.n_out)):
                self.put(f"{target}[j]", f"{source}[j] + {other}[j]")
        elif step.kind in (Kind.ELEMENTWISE, Kind.PARAMETRIC):
            parameters = [self.constants(row) for row in step.parameters]
            if step.kind == Kind.PARAMETRIC and len(parameters) == 1:
                parameters *= 2  # formulas of one parameter get it twice
            with self.loop("j", "0", str(step.n_out)):
                self.name("z", f"{source}[j]")
                found = self.formula(step.function.value, "z", *(at("j") for at in parameters))
                self.put(f"{target}[j]", found)
        elif step.kind == Kind.GROUP and step.function.name == "maxout":
            self._maxout(step, source, target)
        elif step.kind == Kind.ROW and step.function.name in ROWS:
            if source != target:
                self.copy(source, target, step.n_in)
            ROWS[step.function.name](self, target, step.n_out)
        else:
            raise ValueError(f"{step.function.name!r} cannot be exported: it is not written out anywhere.")

    def _dense(self, step: Step, source: str, target: str) -> None:
        """target = bias + source @ weights; sums along the inputs, a few at a time."""
        assert step.weights is not None
        n_in, n_out = step.n_in, step.n_out
        weight = self.constants(step.weights)
        bias = None if step.bias is None else self.constants(step.bias)
        with self.loop("j", "0", str(n_out)):
            self.put(f"{target}[j]", self.number(0.0) if bias is None else bias("j"))
        whole = n_in - n_in % INPUTS_AT_A_TIME
        if whole:
            self._sums(source, target, weight, n_out, ("0", str(whole), INPUTS_AT_A_TIME))
        if n_in > whole:
            self._sums(source, target, weight, n_out, (str(whole), str(n_in), 1))

    def _sums(self, source: str, target: str, weight: Callable, n_out: int, inputs: tuple) -> None:
        start, stop, together = inputs
        with self.loop("i", start, stop, together):
            for k in range(together):
                self.name(f"x{k}", f"{source}[i + {k}]" if k else f"{source}[i]")
            with self.loop("j", "0", str(n_out)):
                rows = [f"(i + {k}) * {n_out} + j" if k else f"i * {n_out} + j" for k in range(together)]
                products = [f"x{k} * {weight(row)}" for k, row in enumerate(rows)]
                self.put(f"{target}[j]", " + ".join(products), "+=")

    def _maxout(self, step: Step, source: str, target: str) -> None:
        k = step.n_in // step.n_out
        with self.loop("j", "0", str(step.n_out)):
            self.name("most", f"{source}[j * {k}]", changes=True)
            with self.loop("i", "1", str(k)):
                self.name("z", f"{source}[j * {k} + i]")
                # only NaN differs from itself, and it stays
                self.put("most", self.select("(z > most)", "z", self.select("(z == z)", "most", "z")))
            self.put(f"{target}[j]", "most")

    # --- Functions of rows, in place

    def softmax(self, row: str, n: int) -> None:
        self.name("most", f"{row}[0]", changes=True)
        with self.loop("j", "1", str(n)):
            self.put("most", self.select(f"({row}[j] > most)", f"{row}[j]", "most"))
        self.name("total", self.number(0.0), changes=True)
        with self.loop("j", "0", str(n)):
            self.put(f"{row}[j]", self.operation("exp", f"{row}[j] - most"))
            self.put("total", f"{row}[j]", "+=")
        with self.loop("j", "0", str(n)):
            self.put(f"{row}[j]", f"{row}[j] / total")

    def increasing(self, row: str, n: int) -> None:
        self.name("level", f"{row}[0]", changes=True)
        with self.loop("j", "1", str(n)):
            self.name("z", f"{row}[j]")
            self.put("level", self.operation("softplus", "z"), "+=")
            self.put(f"{row}[j]", "level")

    def layer_norm(self, row: str, n: int) -> None:
        self.name("mean", self.number(0.0), changes=True)
        with self.loop("j", "0", str(n)):
            self.put("mean", f"{row}[j]", "+=")
        self.put("mean", f"mean * {self.number(1.0 / n)}")
        self.name("squares", self.number(0.0), changes=True)
        with self.loop("j", "0", str(n)):
            self.put("squares", f"({row}[j] - mean) * ({row}[j] - mean)", "+=")
        variance = f"squares * {self.number(1.0 / n)} + {self.number(EPSILON)}"
        self.name("factor", f"{self.number(1.0)} / {self.function('sqrt', variance)}")
        with self.loop("j", "0", str(n)):
            self.put(f"{row}[j]", f"({row}[j] - mean) * factor")


ROWS: dict[str, Callable[[StepWriter, str, int], None]] = {
    "softmax": StepWriter.softmax,
    "increasing": StepWriter.increasing,
    "layer_norm": StepWriter.layer_norm,
}


def _about(step: Step) -> str:
    """A step in words."""
    if step.kind == Kind.DENSE:
        return f"dense, {step.n_in} to {step.n_out}"
    return "sum with an earlier layer" if step.kind == Kind.ADD else step.function.name
