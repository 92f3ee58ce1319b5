"""Lessons: the textbook networks of back-propagation, each a short program that explains itself."""

import inspect
import warnings
from types import ModuleType
from typing import NamedTuple

from sklearn.exceptions import ConvergenceWarning

from fastbp.lessons import s1, s2, s3, s4, s5, s6, s7, s8, s9


class Lesson(NamedTuple):
    """A lesson: a module with a function `run`, which prints."""

    module: ModuleType

    @property
    def title(self) -> str:
        """Title of the lesson, from the module's docstring."""
        first = (self.module.__doc__ or "").splitlines()[0]
        title = first.partition(": ")[2].rstrip(".")
        return title[:1].upper() + title[1:]

    def run(self) -> None:
        """Run the lesson. That all epochs of its networks are made is on purpose, and no reason to warn."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.module.run()

    def code(self) -> str:
        """Return the source of the lesson, a program of its own."""
        return inspect.getsource(self.module)


LESSONS = [Lesson(module) for module in (s1, s2, s3, s4, s5, s6, s7, s8, s9)]
