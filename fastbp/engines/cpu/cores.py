"""On which core a thread runs.

A system wakes a thread where the one that wakes it runs, and may take 20 ms to see that another core is free:
on virtual machines nearly always. Until then two threads that meet at barriers are slower than one.
"""

import ctypes
import os
from collections.abc import Callable


def _find_getcpu() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return None


_getcpu = _find_getcpu()


def current_core() -> int | None:
    """The number of the core that the calling thread runs on; None where the system does not tell."""
    number = -1 if _getcpu is None else _getcpu()
    return number if number >= 0 else None


def leave_cores(taken: list[int | None]) -> None:
    """Move the calling thread to a core that is none of those, if it runs on one of them and has others.

    Afterwards it may run wherever it might before.
    """
    core = current_core()
    if core is None or core not in taken:
        return
    try:
        allowed = os.sched_getaffinity(0)
        if others := allowed - set(taken):
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)
    except OSError:  # it may be forbidden
        pass
