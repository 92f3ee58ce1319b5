"""Threads that the process keeps, each of which runs one job after another.

They are threads of the operating system, also where a library for coroutines (gevent, eventlet) has put its
own in the place of Python's: two coroutines of one thread would wait for each other at a barrier for ever.
Nobody joins them: one that waits for a job holds up neither the end of the process nor a fork, and jobs may
come until the process ends, from atexit functions and executors at work then, too.
"""

import _thread as _patched
import os
from collections.abc import Callable
from types import ModuleType


def _system_threads() -> ModuleType:
    """The module `_thread` as Python made it: a second instance, whatever has been done to the first."""
    spec = _patched.__spec__
    assert spec is not None and spec.loader is not None
    module = spec.loader.create_module(spec)
    assert module is not None
    spec.loader.exec_module(module)
    return module


_thread = _system_threads()
allocate_lock = _thread.allocate_lock

Job = Callable[["Worker"], None]

_idle: list["Worker"] = []  # its append and pop are atomic

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not survive a fork


class Worker:
    """A thread that waits for a job, runs it, and waits for the next."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._wake = allocate_lock()
        self._wake.acquire()
        _thread.start_new_thread(self._serve, ())

    def start(self, job: "Job") -> None:
        """Let the thread call ``job(worker)``, which must not raise and ends by ``worker.rest()``."""
        self._job = job
        self._wake.release()

    def rest(self) -> None:
        """The thread is about to be free for another job."""
        _idle.append(self)

    def _serve(self) -> None:
        while True:
            self._wake.acquire()
            job, self._job = self._job, None
            assert job is not None
            job(self)
            del job  # and with it the arrays of a fit


def recruit() -> Worker | None:
    """A worker that is free, a new one where there is none; None where no thread can be started.

    That may be forbidden or impossible: by the limits of a container, for lack of memory, at the end of the
    process.
    """
    try:
        return _idle.pop()
    except IndexError:
        pass
    try:
        return Worker()
    except (RuntimeError, MemoryError):
        return None
