"""The threads of a team run on cores of their own, and may run elsewhere afterwards."""

import os
import threading

import pytest

from fastbp.engines.cpu import cores
from fastbp.engines.cpu.cores import current_core, leave_cores

needs_affinity = pytest.mark.skipif(
    current_core() is None or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and a way to choose"
)


def on_a_thread(work):
    """What `work` returns on a thread of its own, whose affinity is nobody else's."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


@needs_affinity
def test_a_thread_leaves_a_core_that_is_taken_and_may_return():
    def work():
        allowed = os.sched_getaffinity(0)
        for _ in range(20):
            before = current_core()
            os.sched_setaffinity(0, {before})
            os.sched_setaffinity(0, allowed)
            leave_cores([before])
        return allowed, os.sched_getaffinity(0)

    before, after = on_a_thread(work)
    assert before == after


@needs_affinity
def test_a_thread_is_moved_off_the_core_before_it_computes(monkeypatch):
    moves = []
    monkeypatch.setattr(cores.os, "sched_setaffinity", lambda who, mask: moves.append(set(mask)))
    monkeypatch.setattr(cores, "_getcpu", lambda: min(os.sched_getaffinity(0)))
    allowed = os.sched_getaffinity(0)
    leave_cores([min(allowed)])
    assert moves == [allowed - {min(allowed)}, allowed]


def test_where_the_system_tells_nothing_or_forbids_it_nothing_happens(monkeypatch):
    def forbidden(*arguments):
        raise PermissionError

    monkeypatch.setattr(cores, "_getcpu", None)
    assert current_core() is None
    leave_cores([None, 0])
    monkeypatch.setattr(cores, "_getcpu", lambda: 0)
    monkeypatch.setattr(cores.os, "sched_getaffinity", forbidden, raising=False)
    leave_cores([0])


def test_a_thread_with_one_core_stays(monkeypatch):
    monkeypatch.setattr(cores, "_getcpu", lambda: 5)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda who: {5}, raising=False)
    monkeypatch.setattr(cores.os, "sched_setaffinity", lambda who, mask: 1 / 0, raising=False)
    leave_cores([5])
    leave_cores([4])
