"""Ctrl-C as a flag that the training loop reads between chunks of work.

A KeyboardInterrupt is raised between two byte codes, wherever the interpreter happens to be: in the middle of
a solver's bookkeeping, for instance. While a fit runs in the main thread, the signal therefore only sets a
flag; the second one is raised as usual. In another thread no signal arrives. That the main thread has ended
is no interruption: threads, executors and atexit functions finish what they do before the interpreter ends.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interruption:
    """Context manager; `pending` says whether the fit shall end now."""

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
        # Whoever installed a handler of their own keeps it.
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
