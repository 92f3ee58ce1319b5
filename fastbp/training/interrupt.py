"""Ctrl-C as a flag that the training loop reads between chunks of work.

A KeyboardInterrupt is raised between any two bytecodes, such as in the middle of a solver's bookkeeping.
While a fit runs in the main thread, the signal therefore only sets a flag; the second one is raised as usual.
In other threads no signal arrives. The end of the main thread is not an interruption: threads, executors and
atexit functions finish their work before the interpreter exits.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interruption:
    """Context manager; `pending` tells whether the fit should end now."""

    def __init__(self) -> None:
        self._requested = False
        self._installed = False

    @property
    def pending(self) -> bool:
        return self._requested

    def check(self) -> None:
        """Raise KeyboardInterrupt, at a point that the caller has chosen, if one is pending."""
        if self.pending:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        # A handler that someone else has installed is kept.
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            try:
                signal.signal(signal.SIGINT, self._on_signal)
                self._installed = True
            except ValueError:
                pass  # the main thread of a sub-interpreter may not
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
