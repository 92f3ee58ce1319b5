"""What a fit tells while it runs: nothing, scikit-learn's lines, or a progress bar."""

import io
import os
import sys
import time
from typing import Any

COLUMNS = 100  # of a notebook's output


class Output:
    """Standard output as it is: there may be none, it may lack methods, be closed, or fail at any time.

    What a fit has to tell is not worth its end: after a failure there is silence. Interrupts pass.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str, flush: bool = False) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            if flush and hasattr(self._stream, "flush"):
                self._stream.flush()
        except Exception:
            self._stream = None

    @property
    def columns(self) -> int | None:
        """Of a line that can be drawn again; None where lines stay."""
        try:
            if self._stream.isatty():
                return _columns(self._stream)
        except Exception:  # it cannot say
            pass
        return COLUMNS if is_notebook(self._stream) else None


def _columns(terminal: Any) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    except (OSError, ValueError, AttributeError):  # it looks like one
        return COLUMNS


def is_notebook(stream: Any) -> bool:
    """Whether a stream is shown by a notebook, which takes "\\r" as a terminal does."""
    if any(kind.__module__.partition(".")[0] == "ipykernel" for kind in type(stream).__mro__):
        return True
    # Other kernels have streams of their own; text that is caught or goes to a file is none of theirs.
    if isinstance(stream, io.StringIO | io.TextIOWrapper) or stream is None:
        return False
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return getattr(get_shell() if callable(get_shell) else None, "kernel", None) is not None


class Progress:
    """The silent one, and the interface of the others.

    Attributes
    ----------
    every_epoch : bool
        Whether it wants to hear of each epoch when it ends, and not only between chunks of work.
    """

    every_epoch = False

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        """Epoch `number` (from 1) has ended."""

    def note(self, text: str) -> None:
        """A line about the course of the fit, such as why it stops."""

    def close(self) -> None:
        """The fit has ended."""


class Lines(Progress):
    """The lines that scikit-learn's multi-layer perceptron prints."""

    every_epoch = True

    def __init__(self, output: Output) -> None:
        self._output = output

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        self.note(f"Iteration {number}, loss = {loss:.8f}")
        if score is not None:
            self.note(f"Validation score: {score:f}")

    def note(self, text: str) -> None:
        self._output.write(f"{text}\n")


class Bar(Progress):
    """One line that is drawn again and again: epochs, loss, validation score, time left."""

    WIDTH = 24
    SECONDS_BETWEEN_DRAWINGS = 0.05

    def __init__(self, n_epochs: int, output: Output, columns: int) -> None:
        self.n_epochs = n_epochs
        self.started = time.perf_counter()
        self.drawn_at = float("-inf")
        self.line = ""
        self.latest: tuple[int, float, float | None] | None = None
        self._output = output
        self._columns = columns - 1  # a line that fills them all may be followed by another

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        self.latest = (number, loss, score)
        now = time.perf_counter()
        if now - self.drawn_at >= self.SECONDS_BETWEEN_DRAWINGS:
            self.drawn_at = now
            self._draw()

    def note(self, text: str) -> None:
        self._write("")
        self._output.write(f"\r{text}\n")
        self._draw()

    def close(self) -> None:
        self._draw()
        if self.latest is not None:
            self._output.write("\n", flush=True)

    def _draw(self) -> None:
        if self.latest is None:
            return
        number, loss, score = self.latest
        elapsed = time.perf_counter() - self.started
        left = elapsed * (self.n_epochs - number) / number
        before = f"epoch {number}/{self.n_epochs} ["
        after = f"] loss {loss:.4g}"
        if score is not None:
            after += f", validation {score:.4f}"
        after += f", {elapsed:.1f} s, {left:.1f} s left"
        width = max(min(self.WIDTH, self._columns - len(before) - len(after)), 0)
        full = width * number // self.n_epochs
        self._write(f"{before}{'#' * full}{'.' * (width - full)}{after}"[: self._columns])

    def _write(self, line: str) -> None:
        # blanks cover what is left of a longer line before
        self._output.write("\r" + line.ljust(len(self.line)), flush=True)
        self.line = line


def make_progress(verbose: bool | int, n_epochs: int) -> Progress:
    """The bar on a terminal and in a notebook, lines elsewhere and for ``verbose >= 2``."""
    if not verbose:
        return Progress()
    output = Output(sys.stdout)
    columns = None if verbose >= 2 else output.columns
    return Lines(output) if columns is None else Bar(n_epochs, output, columns)
