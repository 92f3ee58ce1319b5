"""Cases in processes of their own, which are watched: one that dies or does not come back is a finding."""

import contextlib
import faulthandler
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path

from . import oracles
from .make import make_case
from .run import Finding, Outcome, run

STACK_BEFORE = 2.0  # seconds before the limit at which a worker writes down where it is
MEMORY = 8 * 2**30  # bytes of address space: what asks for more gets a MemoryError, and the machine lives
TO_START = 600.0  # seconds for imports and for the kernels that every fit needs


def check(seed: int, numbers: Iterable[int], processes: int, limit: float) -> Iterator[tuple[int, Outcome]]:
    """Run cases; yield the number and the outcome of each when it has come.

    Parameters
    ----------
    limit : float
        Seconds that a case may take, the compilation of kernels that it is the first to need included.
    """
    left = iter(numbers)
    workers = [_Worker(seed, limit) for _ in range(processes)]
    try:
        while workers:
            for worker in list(workers):
                if worker.is_idle() and not worker.give(next(left, None)):
                    worker.end()
                    workers.remove(worker)
            wait([worker.connection for worker in workers], timeout=0.5)
            for place, worker in enumerate(workers):
                if worker.number is None and not worker.is_late():
                    worker.hear()
                elif (outcome := worker.hear()) is not None:
                    yield worker.finish(), outcome
                elif (fault := worker.fault()) is not None:
                    number = worker.number
                    worker.end()
                    workers[place] = _Worker(seed, limit)
                    if number is None:
                        raise RuntimeError(f"a worker could not start: {fault}")
                    yield number, Outcome([Finding(fault, -1)])
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that runs one case at a time, and what it is doing."""

    def __init__(self, seed: int, limit: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        handle, name = tempfile.mkstemp(prefix="fastbp-fuzz-stack-")
        os.close(handle)
        self.stack = Path(name)
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_work, args=(theirs, seed, limit, name), daemon=True)
        self.process.start()
        theirs.close()
        self.limit, self.number, self.is_ready = limit, None, False
        self.deadline = time.monotonic() + TO_START

    def is_idle(self) -> bool:
        return self.is_ready and self.number is None

    def is_late(self) -> bool:
        return time.monotonic() > self.deadline or not self.process.is_alive()

    def give(self, number: int | None) -> bool:
        """Hand over the next case; tell whether there was one."""
        if number is None:
            return False
        self.number, self.deadline = number, time.monotonic() + self.limit
        with contextlib.suppress(OSError):  # it has died meanwhile, which is seen next
            self.connection.send(number)
        return True

    def hear(self) -> Outcome | None:
        """What the process has sent, if anything; its first word says that it is ready."""
        try:
            if not self.connection.poll():
                return None
            found = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.is_ready = True
        return found if isinstance(found, Outcome) else None

    def finish(self) -> int:
        """The number of the case that has come to its end."""
        number, self.number = self.number, None
        assert number is not None
        return number

    def fault(self) -> str | None:
        """Why this case does not come to an end, if it does not."""
        if not self.process.is_alive():
            code = self.process.exitcode
            return f"crash: the process ends with code {code}{self._place()}"
        if time.monotonic() > self.deadline:
            return f"hang: no end after {self.limit:g} s{self._place()}"
        return None

    def _place(self) -> str:
        """The innermost line of the package on the stack that faulthandler wrote down."""
        for line in self.stack.read_text(errors="replace").splitlines():
            file, _, place = line.strip().removeprefix('File "').partition('", line ')
            if oracles.in_package(file):
                return f", at {file.removeprefix(oracles.PACKAGE)}:{place}"
        return ""

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.stack.unlink(missing_ok=True)


def _work(connection: Connection, seed: int, limit: float, stack: str) -> None:
    """Run the cases whose numbers come, until the connection ends."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # no limits on this system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    file = open(stack, "w")  # noqa: SIM115  (as long as the process)
    faulthandler.enable(file)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    run(make_case(0, 0))  # compiles what every fit needs
    connection.send("ready")
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            number = connection.recv()
            faulthandler.dump_traceback_later(max(limit - STACK_BEFORE, 0.1), file=file)
            outcome = run(make_case(seed, number))
            faulthandler.cancel_dump_traceback_later()
            connection.send(outcome)
