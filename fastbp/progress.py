"""What a fit tells while it runs: nothing, scikit-learn's lines, or a progress bar."""

import sys
import time
from typing import TextIO


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

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        print(f"Iteration {number}, loss = {loss:.8f}")
        if score is not None:
            print(f"Validation score: {score:f}")

    def note(self, text: str) -> None:
        print(text)


class Bar(Progress):
    """One line that is drawn again and again: epochs, loss, validation score, time left."""

    WIDTH = 24
    SECONDS_BETWEEN_DRAWINGS = 0.05

    def __init__(self, n_epochs: int, stream: TextIO) -> None:
        self.n_epochs = n_epochs
        self.stream = stream
        self.started = time.perf_counter()
        self.drawn_at = float("-inf")
        self.line = ""
        self.latest: tuple[int, float, float | None] | None = None

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        self.latest = (number, loss, score)
        now = time.perf_counter()
        if now - self.drawn_at >= self.SECONDS_BETWEEN_DRAWINGS:
            self.drawn_at = now
            self._draw()

    def note(self, text: str) -> None:
        self._write("")
        self.stream.write("\r" + text + "\n")
        self._draw()

    def close(self) -> None:
        self._draw()
        if self.latest is not None:
            self.stream.write("\n")
            self.stream.flush()

    def _draw(self) -> None:
        if self.latest is None:
            return
        number, loss, score = self.latest
        elapsed = time.perf_counter() - self.started
        left = elapsed * (self.n_epochs - number) / number
        full = self.WIDTH * number // self.n_epochs
        text = f"epoch {number}/{self.n_epochs} [{'#' * full}{'.' * (self.WIDTH - full)}] loss {loss:.4g}"
        if score is not None:
            text += f", validation {score:.4f}"
        self._write(f"{text}, {elapsed:.1f} s, {left:.1f} s left")

    def _write(self, line: str) -> None:
        # blanks cover what is left of a longer line before
        self.stream.write("\r" + line.ljust(len(self.line)))
        self.stream.flush()
        self.line = line


def make_progress(verbose: bool | int, n_epochs: int) -> Progress:
    """The bar where standard output is a terminal, lines elsewhere and for ``verbose >= 2``."""
    if not verbose:
        return Progress()
    if verbose < 2 and sys.stdout.isatty():
        return Bar(n_epochs, sys.stdout)
    return Lines()
