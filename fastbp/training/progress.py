"""Progress reports of a fit: none, scikit-learn's lines, or a progress bar."""

import sys
import time
from typing import Any

from fastbp.engines.output import Output


class Progress:
    """Silent progress, and the interface of the others.

    Attributes
    ----------
    every_epoch : bool
        Whether it is called after each epoch, and not only between chunks of work.
    """

    every_epoch = False

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        """Report the end of epoch `number` (from 1)."""

    def note(self, text: str) -> None:
        """Report a line about the course of the fit, such as why it stops."""

    def close(self) -> None:
        """End the output with the fit."""


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


class _RedrawnLine:
    """One line with a bar, drawn again and again."""

    WIDTH = 24
    SECONDS_BETWEEN_DRAWINGS = 0.05

    def __init__(self, n_total: int, output: Output, columns: int) -> None:
        self.n_total = n_total
        self.started = time.perf_counter()
        self.drawn_at = float("-inf")
        self.line = ""
        self.latest: tuple | None = None  # of its subclass's own
        self._output = output
        self._columns = columns - 1  # a line of full width may wrap

    def _texts(self) -> tuple[int, str, str]:
        """How much of the total is done, and the texts before and after the bar."""
        raise NotImplementedError

    def _report(self, *latest: Any) -> None:
        self.latest = latest
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
        done, before, after = self._texts()
        elapsed = time.perf_counter() - self.started
        left = f", {elapsed * (self.n_total - done) / done:.1f} s left" if done else ""
        before, after = f"{before} [", f"] {after}, {elapsed:.1f} s{left}"
        width = max(min(self.WIDTH, self._columns - len(before) - len(after)), 0)
        full = width * done // self.n_total
        self._write(f"{before}{'#' * full}{'.' * (width - full)}{after}"[: self._columns])

    def _write(self, line: str) -> None:
        # blanks overwrite the rest of a longer previous line
        self._output.write("\r" + line.ljust(len(self.line)), flush=True)
        self.line = line


class Bar(_RedrawnLine, Progress):
    """One redrawn line: epochs, loss, validation score, time left."""

    def epoch(self, number: int, loss: float, score: float | None = None) -> None:
        self._report(number, loss, score)

    def _texts(self) -> tuple[int, str, str]:
        assert self.latest is not None
        number, loss, score = self.latest
        validation = "" if score is None else f", validation {score:.4f}"
        return number, f"epoch {number}/{self.n_total}", f"loss {loss:.4g}{validation}"


class FleetProgress:
    """Progress of many networks: silent, and the interface of the other."""

    def report(self, n_networks: int, n_epochs: int) -> None:
        """Report how many networks have ended, and the epochs of all networks together."""

    def close(self) -> None:
        """End the output."""


class PartOfFleet(FleetProgress):
    """Progress of some of the networks of a larger whole, which is shown on.

    Parameters
    ----------
    whole : FleetProgress
    n_before, epochs_before : int
        Networks that have ended before, and their epochs.
    """

    def __init__(self, whole: FleetProgress, n_before: int, epochs_before: int) -> None:
        self._whole, self._n_before, self._epochs_before = whole, n_before, epochs_before

    def report(self, n_networks: int, n_epochs: int) -> None:
        self._whole.report(self._n_before + n_networks, self._epochs_before + n_epochs)


class FleetBar(_RedrawnLine, FleetProgress):
    """One redrawn line: networks, epochs of all together, time left.

    Parameters
    ----------
    n_networks : int
    n_epochs : int or None
        Of each network, at most. The bar then grows by the epochs of networks that are trained together,
        not only when one of them has ended.
    """

    def __init__(self, n_networks: int, output: Output, columns: int, n_epochs: int | None = None) -> None:
        self._n_networks, self._n_epochs = n_networks, n_epochs or 1
        super().__init__(n_networks * self._n_epochs, output, columns)

    def report(self, n_networks: int, n_epochs: int) -> None:
        self._report(n_networks, n_epochs)

    def _texts(self) -> tuple[int, str, str]:
        assert self.latest is not None
        n_networks, n_epochs = self.latest
        done = n_networks * self._n_epochs
        if self._n_epochs > 1:
            done = min(max(done, n_epochs), self.n_total)
        return done, f"network {n_networks}/{self._n_networks}", f"{n_epochs} epochs"


def make_progress(verbose: bool | int, n_epochs: int) -> Progress:
    """Return the bar in a terminal or a notebook, lines elsewhere and for ``verbose >= 2``."""
    if not verbose:
        return Progress()
    output = Output(sys.stdout)
    columns = None if verbose >= 2 else output.columns
    return Lines(output) if columns is None else Bar(n_epochs, output, columns)


def make_fleet_progress(verbose: bool | int, n_networks: int, n_epochs: int | None = None) -> FleetProgress:
    """Return the bar in a terminal or a notebook, else silence."""
    output = Output(sys.stdout)
    columns = output.columns if verbose else None
    return FleetProgress() if columns is None else FleetBar(n_networks, output, columns, n_epochs)
