"""How many threads a fit gets: the machine, the environment, the other fits of the process."""

import os
import subprocess
import sys

import data
import joblib
import pytest

from fastbp import BPClassifier
from fastbp.engines.cpu import batches, engine, threads
from fastbp.engines.cpu.threads import Threads, available_threads, useful_threads


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """What has been asked of the machine is forgotten before and after; no team is at work."""
    for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        monkeypatch.delenv(name, raising=False)
    threads._cores.cache_clear()
    assert threads._busy == 0
    yield
    threads._cores.cache_clear()
    assert threads._busy == 0


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda *args, **kwargs: 8)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


# --- The machine and the environment


def test_all_cores_by_default(eight_cores):
    assert available_threads(None) == 8


@pytest.mark.parametrize(
    ("wish", "threads"),
    [
        *[("3", 3), ("1", 1), ("8", 8), ("64", 8), ("", 8), ("0", 8), ("-2", 8), ("3,2", 3), (" 4 ", 4)],
        *[(garbage, 8) for garbage in ("many", "²", "3.5", "4 threads", ",", "\u0665x", "9" * 30)],
    ],
)
def test_omp_num_threads(wish, threads, eight_cores, monkeypatch):
    """OpenMP's list is of one number for each level of nesting."""
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert available_threads(None) == threads


def test_omp_num_threads_is_looked_up_at_each_fit(eight_cores, monkeypatch):
    for wish in (5, 2, 7):
        monkeypatch.setenv("OMP_NUM_THREADS", str(wish))
        assert available_threads(None) == wish


def test_a_number_is_taken_at_its_word(eight_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [available_threads(n) for n in (1, 2, 5, 100)] == [1, 2, 5, 100]


def test_negative_numbers_count_from_the_cores():
    n = joblib.cpu_count()
    assert available_threads(-1) == n == joblib.effective_n_jobs(-1)
    assert available_threads(-2) == max(1, n - 1)
    assert available_threads(-n) == 1
    assert available_threads(-n - 5) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this platform")
def test_affinity():
    """Also where it changes between two fits of a process."""
    cores = os.sched_getaffinity(0)
    before = available_threads(None)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert available_threads(None) == 1
    finally:
        os.sched_setaffinity(0, cores)
    assert available_threads(None) == before
    assert before <= len(cores)


def test_limit_of_joblib(monkeypatch):
    available_threads(None)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert available_threads(None) == 1


@pytest.mark.parametrize("garbage", ["", "many", "2.5", "²"])
def test_a_limit_of_joblibs_that_is_no_number_counts_for_nothing(garbage, monkeypatch):
    cores = available_threads(None)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", garbage)
    assert available_threads(None) == available_threads(-1) == cores
    X, y = data.iris()
    BPClassifier((5,), max_iter=1, n_jobs=-1).fit(X, y)


def test_quota_of_a_container(monkeypatch):
    """joblib reads it: its count is what counts, not the machine's."""
    monkeypatch.setattr(joblib, "cpu_count", lambda *args, **kwargs: 1)
    assert available_threads(None) == 1


def inner_threads():
    return os.environ.get("OMP_NUM_THREADS"), available_threads(None)


def test_workers_of_loky_share_the_cores():
    """joblib tells each how many threads are its share."""
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(inner_threads)() for _ in range(4))
    assert found == [("1", 1)] * 4


# --- Teams


@pytest.mark.parametrize(
    ("flops", "registers", "threads"),
    [(0, 100, 1), (1e6, 100, 1), (1e7, 100, 5), (1e12, 100, 100), (1e12, 1, 1), (1e12, 0, 1)],
)
def test_small_work_stays_on_one_thread(flops, registers, threads):
    assert useful_threads(flops, registers) == threads


@pytest.mark.parametrize(("n_parameters", "threads"), [(0, 1), (100_000, 1), (2_000_000, 10)])
def test_weights_of_a_large_network_are_shared_whatever_the_rows(n_parameters, threads):
    assert useful_threads(1e7, 1, n_parameters) == threads


def widths(*teams):
    """How many threads each team gets for a run while those before it run."""
    if not teams:
        return []
    first, *others = teams
    found = []

    def kernel(thread, n_threads):
        if thread == 0 and n_threads:
            found.extend([n_threads, *widths(*others)])

    first.run(kernel, "widths")
    return found


def test_one_budget_for_the_process(eight_cores):
    teams = [Threads(None, useful) for useful in (3, 1, 100, 100)]
    # A team counts beyond its first thread, whose caller waits for it anyway.
    assert widths(*teams) == [3, 1, 6, 1]
    assert widths(*teams[:2], Threads(None, 4), Threads(None, 4)) == [3, 1, 4, 3]
    assert widths(teams[3]) == [8]  # nothing is held between two runs


def test_explicit_numbers_ignore_the_budget_but_count(eight_cores):
    assert widths(Threads(None, 8), Threads(5, 100), Threads(5, 2), Threads(None, 100)) == [8, 5, 2, 1]
    assert widths(Threads(None, 8), Threads(-1, 100), Threads(-2, 100)) == [8, 8, 7]


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_error_in_a_kernel_is_raised(culprit):
    def kernel(thread, n_threads):
        if n_threads and thread <= culprit:
            raise KeyError(thread)

    with pytest.raises(KeyError):
        Threads(2, 2).run(kernel, "raises")


def test_a_fit_that_fails_gives_its_threads_back(eight_cores, monkeypatch):
    """Memory may run out at any time; every later fit would be slower."""
    X, y = data.digits()

    def fail(*args, **kwargs):
        raise MemoryError

    model = BPClassifier((200,), max_iter=1).fit(X, y)
    places = (
        (batches, "plan_arena", model.fit),
        (engine, "plan_arena", lambda X, y: model.predict_proba(X)),
        (engine, "predict", lambda X, y: model.predict_proba(X)),
    )
    for module, name, call in places:
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(module, name, fail)
            call(X, y)
        assert threads._busy == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_while_a_team_is_at_work():
    """In a process of its own: the child has the whole budget, and no lock or thread of its parent."""
    program = """
import os, sys, threading
from fastbp.engines.cpu import threads
from fastbp.engines.cpu.threads import Threads

at_work, may_end = threading.Event(), threading.Event()

def wait(thread, n_threads):
    if n_threads and thread == 0:
        at_work.set()
        may_end.wait()

parent = threading.Thread(target=Threads(4, 4).run, args=(wait, "wait"))
parent.start()
at_work.wait()
with threads._lock:
    child = os.fork()
    if child == 0:
        assert threads._busy == 0
        seen = []
        Threads(3, 3).run(lambda thread, n_threads: seen.append(n_threads), "see")
        assert seen == [0, 3, 3, 3]
        assert threads._busy == 0
        os._exit(7)
may_end.set()
parent.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7, done.stderr


def test_fits_leave_the_budget_as_it_was():
    X, y = data.digits()
    for n_jobs in (None, 2, 3):
        BPClassifier((100,), max_iter=1, n_jobs=n_jobs).fit(X, y).predict_proba(X)
    with pytest.raises(ValueError, match="non-finite"):
        BPClassifier((100,), max_iter=2, solver="sgd", learning_rate_init=1e300, n_jobs=2).fit(X * 1e200, y)
    assert threads._busy == 0
