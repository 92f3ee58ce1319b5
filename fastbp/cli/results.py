"""What commands print: text for people as they go, or one JSON object at the end."""

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np


class Results:
    """Results of a command, on standard output; notes and warnings go to standard error.

    Parameters
    ----------
    as_json : bool
        Whether to print the values as JSON, and no text.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.stream: TextIO = sys.stdout  # the command itself may be run with another one
        self.errors: TextIO = sys.stderr
        self.values: dict[str, Any] = {}
        self.warnings: list[str] = []

    def add(self, **values: Any) -> None:
        """Add values to the JSON object."""
        self.values |= values

    def line(self, text: str = "") -> None:
        """Print a line of text, unless JSON is wanted."""
        if not self.as_json:
            self._print(text)

    def _print(self, text: str) -> None:
        """Print while somebody reads: a model is trained and saved although `head` has seen enough."""
        try:
            print(text, file=self.stream, flush=True)
        except BrokenPipeError:
            close_pipe(self.stream)

    def note(self, text: str, kind: str = "note") -> None:
        """Print a line on standard error, and add it to the JSON object as a warning."""
        if text not in self.warnings:
            self.warnings.append(text)
            print(f"{kind}: {text}", file=self.errors, flush=True)

    def close(self, **values: Any) -> None:
        """Print the JSON object, if it is wanted."""
        if self.as_json:
            found = self.values | values | {"warnings": self.warnings}
            self._print(json.dumps(plain(found), indent=2, ensure_ascii=False))


def close_pipe(stream: TextIO) -> None:
    """Have a stream that nobody reads any more write to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: numbers that are not finite become null, other objects text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def size_text(n_bytes: int) -> str:
    """Return a number of bytes with its unit."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"


def listed(names: Any, most: int = 10) -> str:
    """Return names in quotation marks, the first of them if there are many."""
    names = list(names)
    text = ", ".join(repr(str(name)) for name in names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text
