"""Streams that people may read: what they can show, and writing that never fails."""

import io
import os
import sys
from typing import Any

COLUMNS = 100  # of a notebook's output


class Output:
    """A stream such as standard output, which may be missing, lack methods, be closed, or fail at any time.

    A write that fails does not end a fit: nothing more is written after it. Interrupts are not caught.
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
        """Width of a line that can be redrawn; None if lines cannot be redrawn."""
        try:
            if self._stream.isatty():
                return _columns(self._stream)
        except Exception:  # the stream cannot tell
            pass
        return COLUMNS if is_notebook(self._stream) else None


def _columns(terminal: Any) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    except (OSError, ValueError, AttributeError):  # not a real terminal
        return COLUMNS


def is_notebook(stream: Any) -> bool:
    """Return whether a stream is shown by a notebook, which handles "\\r" like a terminal."""
    if any(kind.__module__.partition(".")[0] == "ipykernel" for kind in type(stream).__mro__):
        return True
    # Other kernels have their own classes of streams; captured text and files are not shown by them.
    if isinstance(stream, io.StringIO | io.TextIOWrapper) or stream is None:
        return False
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return getattr(get_shell() if callable(get_shell) else None, "kernel", None) is not None
