"""A team of threads is complete before it computes, whatever keeps a thread from coming."""

import _thread
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import weakref

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_array_equal

from fastbp import BPClassifier
from fastbp.engines.cpu import engine, step, threads, workers
from fastbp.engines.cpu.threads import Threads

WIDE = {"hidden_layer_sizes": (131, 67), "batch_size": 150, "max_iter": 2, "random_state": 0, **EVERY_EPOCH}


def digits():
    X, y = data.digits()
    return X[:400], y[:400]


@pytest.fixture
def no_workers_yet(monkeypatch):
    """The process has no idle workers: each thread of a team is started anew."""
    monkeypatch.setattr(workers, "_idle", [])


def everything(model, X, y):
    """A fit, predictions and gradients."""
    model.fit(X, y)
    inside = model.loss_and_gradients(X, y)
    return [*model.coefs_, *model.intercepts_, model.predict_proba(X), *inside.coefs]


def run_program(text, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- Complete teams


def test_every_thread_of_a_team_runs_the_kernel_at_once():
    """They would wait for one another for ever otherwise; the result is that of thread 0."""
    barrier = threading.Barrier(3, timeout=60)
    seen = []

    def kernel(thread, n_threads):
        if not n_threads:
            return None
        barrier.wait()
        seen.append((thread, n_threads))
        assert threading.get_ident() != threading.main_thread().ident
        return 10 + thread

    team = Threads(3, 3)
    for _ in range(3):
        assert team.run(kernel, "at once") == 10
    assert sorted(seen) == [(0, 3)] * 3 + [(1, 3)] * 3 + [(2, 3)] * 3


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
@pytest.mark.parametrize("n_started", [0, 1, 2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_more_threads_can_be_started(n_started, solver, error, no_workers_yet, monkeypatch):
    """The limits of a container, RLIMIT_NPROC, little memory: those that came compute, if only the caller."""
    X, y = digits()
    expected = everything(BPClassifier(**WIDE, solver=solver, n_jobs=1), X, y)
    start, started = workers._thread.start_new_thread, []

    def limited(*arguments):
        if len(started) == n_started:
            raise error
        started.append(start(*arguments))

    monkeypatch.setattr(workers._thread, "start_new_thread", limited)
    found = everything(BPClassifier(**WIDE, solver=solver, n_jobs=4), X, y)
    assert len(started) == n_started
    for one, other in zip(expected, found, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("culprit", [0, 1, 2])
@pytest.mark.parametrize("function", ["train", "loss_and_gradient", "predict"])
def test_a_thread_that_fails_on_its_way_to_the_kernel_is_not_waited_for(function, culprit, monkeypatch):
    """An error of Python's in one thread: the others compute without it, and the bits are the same."""
    X, y = digits()
    expected = everything(BPClassifier(**WIDE, n_jobs=1), X, y)
    module = engine if function == "predict" else step
    whole, failures, local = getattr(module, function), [], threading.local()

    def failing(*arguments):
        n_threads = arguments[1] if module is step else local.n_threads
        thread = arguments[0] if module is step else local.thread
        if n_threads == 3 and thread == culprit:
            failures.append(thread)
            raise MemoryError
        return whole(*arguments)

    class Noted(Threads):
        """Its threads know their numbers."""

        def run(self, kernel, name, wanted=None):
            def noting(thread, n_threads):
                local.thread, local.n_threads = thread, n_threads
                return kernel(thread, n_threads)

            return super().run(noting, name, wanted)

    monkeypatch.setattr(engine, "Threads", Noted)
    monkeypatch.setattr(module, function, failing)
    found = everything(BPClassifier(**WIDE, n_jobs=3), X, y)
    assert failures
    for one, other in zip(expected, found, strict=True):
        assert_array_equal(one, other)
    assert threads._busy == 0


def test_an_error_after_the_kernel_is_no_reason_to_compute_again(monkeypatch):
    """The steps have been made: to make them again would be another fit."""
    X, y = digits()
    whole = step.train

    def failing(*arguments):
        done = whole(*arguments)
        if arguments[:2] == (1, 2):
            raise MemoryError
        return done

    monkeypatch.setattr(step, "train", failing)
    with pytest.raises(MemoryError):
        BPClassifier(**WIDE, n_jobs=2).fit(X, y)


def test_compilation_fails_where_the_user_sees_it(monkeypatch):
    def broken(*arguments):
        raise TypeError("cannot be compiled")

    monkeypatch.setattr(threads, "_loaded", set())
    monkeypatch.setattr(step, "train", broken)
    X, y = digits()
    with pytest.raises(TypeError, match="cannot be compiled"):
        BPClassifier(**WIDE, n_jobs=2).fit(X, y)


# --- Coroutines in the place of threads

COROUTINES = """
    import _thread, threading

    # What gevent and eventlet do: a "thread" runs when the only thread of the system waits for something.
    pending = []

    def start(function, arguments=(), kwargs={}):
        pending.append((function, arguments, kwargs))
        return len(pending)

    BEFORE
    for module, names in (
        (_thread, ["start_new_thread", "start_new", "start_joinable_thread"]),
        (threading, ["_start_new_thread", "_start_joinable_thread"]),
    ):
        for name in names:
            if hasattr(module, name):
                setattr(module, name, start)
    AFTER
    import numpy as np

    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(400, 64)), rng.randint(0, 5, 400)
    params = dict(hidden_layer_sizes=(131, 67), batch_size=150, max_iter=2, random_state=0, tol=0)
    import warnings
    warnings.simplefilter("ignore")
    for solver in ("adam", "lbfgs"):
        several = BPClassifier(**params, solver=solver, n_jobs=3).fit(X, y)
        one = BPClassifier(**params, solver=solver, n_jobs=1).fit(X, y)
        assert all((a == b).all() for a, b in zip(one.coefs_, several.coefs_))
        inside = several.loss_and_gradients(X, y)
        assert np.isfinite(inside.loss)
        several.predict_proba(X)
    assert not pending
    print("trained")
"""


@pytest.mark.parametrize("patched_first", [True, False])
def test_threads_that_are_coroutines(patched_first):
    """After ``monkey.patch_all()``, before or after fastbp is imported."""
    imports = "from fastbp import BPClassifier; import fastbp.engines.cpu.engine"
    program = COROUTINES.replace("AFTER" if patched_first else "BEFORE", imports)
    assert run_program(program.replace("BEFORE", "").replace("AFTER", "")) == "trained\n"


# --- The end of the process

AT_EXIT = """
    import atexit, threading, time, warnings
    import numpy as np
    from concurrent.futures import ThreadPoolExecutor
    from fastbp import BPClassifier

    warnings.simplefilter("error")
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(400, 64)), rng.randint(0, 5, 400)
    params = dict(hidden_layer_sizes=(131, 67), batch_size=150, max_iter=3, random_state=0)
    params |= dict(tol=0, n_iter_no_change=np.inf, schedule="cosine")

    def fit():
        while not threading._SHUTTING_DOWN:
            time.sleep(0.01)
        models = [BPClassifier(**params, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 3)]
        assert [model.n_iter_ for model in models] == [3, 3]
        assert all((a == b).all() for a, b in zip(*(model.coefs_ for model in models)))
        assert models[0].predict(X).shape == y.shape
        BPClassifier((131,), solver="lbfgs", max_iter=10**6, max_fun=10**6, tol=1, n_jobs=3).fit(X, y)
        print("done")

    BEFORE
    START
"""


@pytest.mark.parametrize(
    "start",
    [
        "atexit.register(fit)",
        "threading.Thread(target=fit).start()",
        "executor = ThreadPoolExecutor(1); executor.submit(fit); executor.submit(fit)",
    ],
    ids=["atexit", "thread", "executor"],
)
@pytest.mark.parametrize("before", ["", "BPClassifier(**params, n_jobs=3).fit(X, y)"], ids=["first", "later"])
def test_fits_after_the_main_thread_has_ended(start, before):
    """They finish, as scikit-learn's do: the end of the main thread is no interrupt."""
    program = AT_EXIT.replace("BEFORE", before).replace("START", start)
    assert run_program(program) == "done\n" * start.count("fit")


# --- What is kept


def test_the_process_keeps_no_more_workers_than_it_has_used_at_once():
    X, y = digits()
    BPClassifier(**WIDE, n_jobs=3).fit(X, y)
    n_idle = len(workers._idle)
    for _ in range(20):
        BPClassifier(**WIDE, n_jobs=3).fit(X, y).predict(X)
    assert len(workers._idle) == n_idle


def test_an_idle_worker_holds_no_arrays_of_a_fit():
    big = np.zeros(1000)
    gone = weakref.ref(big)

    def kernel(thread, n_threads, big=big):
        return big[0]

    Threads(2, 2).run(kernel, "holds")
    del big, kernel
    gc.collect()
    for _ in range(1000):  # a worker lets go of its job when it waits again
        if gone() is None:
            break
        threading.Event().wait(0.01)
    assert gone() is None


def a_signal():
    """What the terminal sends; it wakes a thread that waits."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


SIGNALS = [_thread.interrupt_main, *([a_signal] if hasattr(signal, "pthread_kill") else [])]


@pytest.mark.parametrize("press", SIGNALS)
def test_interrupts_in_a_run_give_the_budget_back(press):
    """Ctrl-C, and again during the clean-up: what is raised comes when all threads have ended."""
    team, ended = Threads(None, 2), []
    team._limit = team.n_threads = 2
    at_work, may_end, waiting = (threading.Event() for _ in range(3))

    def kernel(thread, n_threads):
        if n_threads:
            at_work.set()
            may_end.wait(60)
            ended.append(thread)

    def press_twice():
        at_work.wait(60)
        for _ in range(2):
            press()
            waiting.wait(0.05)
        may_end.set()

    presser = threading.Thread(target=press_twice)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        team.run(kernel, "interrupted")
    presser.join()
    assert sorted(ended) == [0, 1]
    assert threads._busy == 0
