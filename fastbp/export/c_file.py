"""A model as one C99 file: weights, the networks, and functions that predict."""

import re
from textwrap import wrap

import numpy as np

from fastbp.export.c_language import CWriter, comment, string
from fastbp.export.prediction import ABOVE, EACH, ONLY, Member, Prediction
from fastbp.export.scores import has_std, write_means_and_stds, write_scores
from fastbp.export.steps import allocate

RESERVED = """
auto break case char const continue default do double else enum extern float for goto if inline int long main
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
WIDTH = 100  # columns of comments


def c_source(prediction: Prediction, name: str = "model") -> str:
    """Return the text of the file.

    Parameters
    ----------
    prediction : Prediction
    name : str
        Begins the names of all functions and constants.

    Raises
    ------
    ValueError
        If `name` is no identifier of C, or if the model has a function that is not written out.
    """
    if (
        not isinstance(name, str)
        or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
        or name in RESERVED.split()
    ):
        raise ValueError(
            f"name={name!r} must be an identifier of C: letters, digits and underscores, no keyword."
        )
    return _File(prediction, name).text()


class _File:
    """The parts of a file."""

    def __init__(self, prediction: Prediction, name: str) -> None:
        self.prediction = prediction
        self.name = name
        self.writer = CWriter(prediction.dtype, name)
        self.type = self.writer.type

    def text(self) -> str:
        of_members = [self._member(number, one) for number, one in enumerate(self.prediction.members)]
        self._scores(of_members)
        if self.prediction.choice is not None:
            self._labels(of_members)
        functions, self.writer.lines = self.writer.lines, []
        self._example()
        example, upper = self.writer.lines, self.name.upper()
        lines = [
            *self._header(),
            f"#ifndef {upper}_INCLUDED",
            f"#define {upper}_INCLUDED",
            "",
            "#include <math.h>",
            "#include <stddef.h>",
            "",
            f"#define {upper}_N_INPUTS {self.prediction.n_inputs}",
            f"#define {upper}_N_OUTPUTS {self.prediction.n_outputs}",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            *self._declarations(),
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#ifndef {upper}_DECLARATIONS_ONLY",
            "",
            *self._class_table(),
            *self.writer.tables,
            "",
            *functions,
            f"#ifdef {upper}_MAIN",
            *example,
            "#endif",
            "#endif",
            "#endif",
        ]
        return "\n".join(lines) + "\n"

    # --- Functions

    def _member(self, number: int, member: Member) -> str:
        """Write the functions of a network and of its head; return what their names begin with."""
        prefix = f"{self.name}_" + (f"member{number}_" if len(self.prediction.members) > 1 else "")
        for part, program in (("network", member.network), ("head", member.head)):
            if program is not None:
                arguments = f"const {self.type} *x, {self.type} *out"
                with self.writer.braces(f"static void {prefix}{part}({arguments})"):
                    self.writer.program(program, "x", "out")
                self.writer.line("")
        return prefix

    def _call(self, prefix: str, member: Member, out: str) -> None:
        """Write the call of a member."""
        if member.head is None:
            self.writer.line(f"{prefix}network(x, {out});")
            return
        with self.writer.block():
            self.writer.array("raw", member.network.n_outputs)
            self.writer.line(f"{prefix}network(x, raw);")
            self.writer.line(f"{prefix}head(raw, {out});")

    def _scores(self, of_members: list[str]) -> None:
        """The functions of scores or values, and of standard deviations."""
        w, prediction = self.writer, self.prediction

        def call(number: int, out: str) -> None:
            self._call(of_members[number], prediction.members[number], out)

        with w.braces(f"void {self.name}_{prediction.method}({self._arguments('out')})"):
            write_scores(w, prediction, call)
        w.line("")
        if has_std(prediction):
            with w.braces(f"void {self.name}_predict_std({self._arguments('mean', 'std')})"):
                write_means_and_stds(w, prediction, call)
            w.line("")

    def _labels(self, of_members: list[str]) -> None:
        """The function of the class, or of each label."""
        w, prediction = self.writer, self.prediction
        n, threshold = prediction.n_outputs, w.number(prediction.threshold)
        if prediction.by_network:
            n, call = prediction.members[0].network.n_outputs, f"{of_members[0]}network(x, score);"
        else:
            call = f"{self.name}_{prediction.method}(x, score);"
        if prediction.choice == EACH:
            with w.braces(f"void {self.name}_predict(const {self.type} *x, int *out)"):
                w.array("score", n)
                w.line(call)
                with w.loop("j", "0", str(n)):
                    w.put("out[j]", f"score[j] > {threshold}")
            w.line("")
            return
        with w.braces(f"int {self.name}_predict(const {self.type} *x)"):
            if prediction.choice == ONLY:
                w.line("(void)x;")
                w.line("return 0;")
            else:
                w.array("score", n)
                w.line(call)
                if prediction.choice == ABOVE:
                    w.line(f"return score[{n - 1}] > {threshold};")
                else:
                    w.line("int largest = 0;")
                    with w.loop("j", "1", str(n)), w.braces("if (score[j] > score[largest])"):
                        w.put("largest", "(int)j")
                    w.line("return largest;")
        w.line("")
        of_text = self._kind_of_classes()[0]
        with w.braces(f"{_before_name(of_text)}{self.name}_class(int index)"):
            w.line(f"return {self.name}_classes[index];")
        w.line("")

    def _kind_of_classes(self) -> tuple[str, str, list[str]]:
        """The type that a class is returned in, that of the table's elements, and the elements."""
        classes = self.prediction.classes
        if all(isinstance(c, int) and -(2**53) < c < 2**53 for c in classes):
            small = all(-(2**31) < int(c) < 2**31 for c in classes)
            kind, end = ("long", "L") if small else ("long long", "LL")
            return kind, kind, [f"{int(c)}{end}" for c in classes]
        if all(isinstance(c, float) for c in classes):
            return "double", "double", [repr(c) for c in classes]
        return "const char *", "char *const", [string(str(c)) for c in classes]

    def _class_table(self) -> list[str]:
        if self.prediction.choice in (None, EACH):
            return []
        _, kind, elements = self._kind_of_classes()
        head = f"static const {kind} {self.name}_classes[{len(elements)}] = {{"
        return [head, *(f"    {element}," for element in elements), "};"]

    # --- Around the functions

    def _arguments(self, *outs: str) -> str:
        return ", ".join([f"const {self.type} *x", *(f"{self.type} *{out}" for out in outs)])

    def _declarations(self) -> list[str]:
        prediction, name = self.prediction, self.name
        lines = [f"void {name}_{prediction.method}({self._arguments('out')});"]
        if has_std(prediction):
            lines.append(f"void {name}_predict_std({self._arguments('mean', 'std')});")
        if prediction.choice == EACH:
            lines.append(f"void {name}_predict(const {self.type} *x, int *out);")
        elif prediction.choice is not None:
            of_text = self._kind_of_classes()[0]
            lines.append(f"int {name}_predict(const {self.type} *x);")
            lines.append(f"{_before_name(of_text)}{name}_class(int index);")
        return lines

    def _meanings(self) -> list[str]:
        """A line for each function."""
        prediction, name = self.prediction, self.name
        what = {
            "predict_proba": "the probabilities of the classes",
            "decision_function": "the scores of the classes, as decision_function returns them",
            "predict": "the predicted values, in the units of the targets",
        }[prediction.method]
        lines = [f"{name}_{prediction.method}(x, out): {what}, {prediction.n_outputs} to `out`."]
        if has_std(prediction):
            lines.append(f"{name}_predict_std(x, mean, std): means and standard deviations, as many to each.")
        if prediction.choice == EACH:
            lines.append(f"{name}_predict(x, out): for each label 1 or 0, {prediction.n_outputs} to `out`.")
        elif prediction.choice is not None:
            lines.append(
                f"{name}_predict(x): the index of the class; {name}_class(index), also "
                f"{name}_classes[index], is the class."
            )
        return lines

    def _stack(self) -> int:
        """Bytes of the arrays in the functions that are under way at a time."""
        members = self.prediction.members
        programs = [p for member in members for p in (member.network, member.head) if p is not None]
        numbers = max(sum(allocate(program).sizes) for program in programs)
        numbers += max(member.network.n_outputs for member in members)
        numbers += 3 * self.prediction.n_outputs
        if has_std(self.prediction):
            numbers += sum(member.n_outputs for member in members)
        return numbers * self.prediction.dtype.itemsize

    def _header(self) -> list[str]:
        prediction, name, upper = self.prediction, self.name, self.name.upper()
        numbers = self.writer.n_constants
        size = numbers * prediction.dtype.itemsize
        many = f"{len(prediction.members)} networks" if len(prediction.members) > 1 else "a network"
        described = [
            f"{prediction.model}, written by fastbp: {many} with {numbers} constants in {self.type}, "
            f"{size} bytes of read-only data; about {self._stack()} bytes of stack.",
            f"x points to {prediction.n_inputs} inputs in {self.type}.",
            *self._meanings(),
            "Nothing is allocated and nothing global is written: all functions may run in several threads at "
            "a time. `out` may be `x` where it is as long.",
        ]
        if prediction.feature_names:
            shown = ", ".join(f"{i}: {comment(one)}" for i, one in enumerate(prediction.feature_names))
            described.append(f"Inputs: {shown}.")
        described += [
            f"Compile: cc -O2 -std=c99 -c {name}.c; link with -lm. Faster: -O3 -march=native.",
            "Either compile this file and include it elsewhere after "
            f"`#define {upper}_DECLARATIONS_ONLY`, or include it once as it stands.",
            f"Try: cc -O2 -std=c99 -D{upper}_MAIN {name}.c -lm -o {name}, which reads rows of numbers.",
        ]
        lines = [line for text in described for line in wrap(text, WIDTH, break_long_words=False)]
        return ["/*", *(f" * {comment(line)}" for line in lines), " */"]

    def _example(self) -> None:
        w, prediction = self.writer, self.prediction
        n_in, n = prediction.n_inputs, prediction.n_outputs
        w.line("#include <stdio.h>")
        with w.braces("int main(void)"):
            w.line(f"{self.type} x[{n_in}], out[{n}];")
            with w.braces("for (;;)"):
                with w.loop("i", "0", str(n_in)):
                    w.line("double number;")
                    w.line('if (scanf("%lf", &number) != 1) return 0;')
                    w.line(f"x[i] = ({self.type})number;")
                w.line(f"{self.name}_{prediction.method}(x, out);")
                digits = 9 if prediction.dtype == np.float32 else 17
                with w.loop("j", "0", str(n)):
                    w.line(f"printf(\"%.{digits}g%c\", (double)out[j], j + 1 < {n} ? ' ' : '\\n');")


def _before_name(kind: str) -> str:
    """A type, as it stands before a name."""
    return kind if kind.endswith("*") else f"{kind} "
