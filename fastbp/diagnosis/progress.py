"""Progress bar of a long diagnosis."""

import sys
import time

from fastbp.engines.output import Output
from fastbp.training.progress import _RedrawnLine

SECONDS_IN_SILENCE = 2.0  # most diagnoses have ended then


class Progress:
    """Silent progress, and the interface of the other."""

    def step(self, text: str) -> None:
        """Report what is done next."""

    def check(self, number: int) -> None:
        """Report that so many checks are done."""

    def close(self) -> None:
        """End the output."""


class Bar(_RedrawnLine, Progress):
    """One redrawn line: checks done, what is going on, time left; not before some seconds have passed."""

    def __init__(self, n_total: int, output: Output, columns: int) -> None:
        super().__init__(n_total, output, columns)
        self._number = 0
        self._text = ""

    def step(self, text: str) -> None:
        self._text = text
        self._show()

    def check(self, number: int) -> None:
        self._number = number
        self._show()

    def _show(self) -> None:
        if time.perf_counter() - self.started >= SECONDS_IN_SILENCE:
            self._report(self._number, self._text)

    def _texts(self) -> tuple[int, str, str]:
        assert self.latest is not None
        number, text = self.latest
        return number, f"check {number}/{self.n_total}", text


def make_progress(verbose: bool, n_checks: int) -> Progress:
    """Return the bar in a terminal or a notebook, else silence."""
    output = Output(sys.stdout)
    columns = output.columns if verbose else None
    return Progress() if columns is None else Bar(n_checks, output, columns)
