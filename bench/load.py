"""What else the machine may be doing while a fit is timed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

NONE, BUSY, BLAS = "none", "busy", "blas"
LOADS = {
    NONE: "a quiet machine",
    BUSY: "another process computes on the last core all the time",
    BLAS: "each fit comes right after a matrix product of NumPy's, not timed, in the same process",
}
SPIN = "while True: pass"


@contextlib.contextmanager
def around(load: str) -> Iterator[None]:
    """Keep the last core busy meanwhile if `load` is BUSY; BLAS is each worker's own affair."""
    if load != BUSY:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", SPIN], start_new_session=True) as spinner:
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(spinner.pid, {max(os.sched_getaffinity(0))})
            yield
        finally:
            spinner.kill()
