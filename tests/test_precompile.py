"""`python -m fastbp compile`: what it compiles, and how it ends.

Which kernels a process uses is asked by the names of their files, so that nothing depends on what the cache
holds already.
"""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numba
import pytest
from helpers import kernels

from fastbp import BPClassifier, precompile
from fastbp.__main__ import main
from fastbp.callbacks import StopWhen
from fastbp.engines import cache_folder, kernel_cache
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import SOLVERS

RECORD = """
import json, sys, warnings
from fastbp.engines import kernel_cache

names = set()
name = kernel_cache.KernelCache.file_name

def recorded(*arguments):
    found = name(*arguments)
    names.add(found)
    return found

kernel_cache.KernelCache.file_name = recorded
warnings.simplefilter("ignore")
"""
COMPILE = """
from fastbp.__main__ import main
assert main(["compile"]) == 0
"""
USUAL = """
import data
from fastbp import BPClassifier, BPEnsembleRegressor, BPRegressor, TabularClassifier, TabularRegressor
for dtype in ("float32", "float64"):
    X, y = data.digits()
    X, y = X[:200].astype(dtype), y[:200]
    BPClassifier(max_iter=2).fit(X, y).predict_proba(X)
    BPClassifier((5, 4), activation="tanh", early_stopping=True, max_iter=2).fit(X, y > 3).predict(X[:1])
    BPClassifier((5,), activation="logistic", solver="sgd", max_iter=2).fit(X, y).predict_log_proba(X)
    BPClassifier((5,), solver="lbfgs", alpha=1, max_iter=2).fit(X, y).score(X, y)
    BPClassifier(preset="tabular", max_iter=2).fit(X, y).transform(X)
    X, y = data.regression()
    X = X.astype(dtype)
    BPRegressor((), learning_rate="adaptive", solver="sgd", max_iter=2).fit(X, y, y**2).partial_fit(X, y)
    BPRegressor((3,), warm_start=True, batch_size=7, max_iter=2).fit(X, y).fit(X, y).score(X, y)
    BPRegressor(preset="tabular", max_iter=2).fit(X, y).predict(X)
    BPEnsembleRegressor(BPRegressor((4,), max_iter=2), n_jobs=1).fit(X, y).predict(X)
tables = {"effort": "fast", "n_jobs": 1, "random_state": 0}
TabularRegressor(**tables).fit(X, y).predict(X)
TabularClassifier(**tables).fit(X, y > 0).predict(X)
TabularClassifier(**tables).fit(X, (y > 0) + (y > 1)).predict(X)
"""
WHATEVER = """
import test_compilation
test_compilation.run_all(40, 5)
"""


def used(program):
    """The names of the files of all kernels that a program uses."""
    program = f"{RECORD}{program}\nprint(json.dumps(sorted(names)))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n{program}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_usual_fits_then_compile_nothing():
    compiled = used(COMPILE)
    assert len(compiled) > 50
    assert used(USUAL) <= compiled
    # Whatever else fits name are registered functions: the kernels that call them are all there.
    of_functions = ("engines.cpu.lowering.", "engines.cpu.ops.")
    assert not [name for name in used(WHATEVER) - compiled if not name.startswith(of_functions)]


def registered(monkeypatch):
    """Described functions and their types, of all that ``--all`` compiles by name; nothing is compiled."""
    from fastbp.engines.cpu import formulas

    found = []

    def address_of(function, types):
        found.append((kernel_cache.describe(function, kernel_cache.sources()), types))
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(formulas, "address_of", address_of)
        for piece in precompile.pieces(everything=True):
            if isinstance(piece.compile, partial):
                piece.compile.func.__wrapped__(*piece.compile.args)  # not what it remembers
    return found


def test_all_that_is_registered(monkeypatch):
    names = [piece.name for piece in precompile.pieces(everything=True)]
    assert len(set(names)) == len(names)
    found = registered(monkeypatch)
    functions = (
        len(ACTIVATIONS) + len(ROW_ACTIVATIONS) + len(GROUP_ACTIVATIONS) + len(PARAMETRICS) + len(NOISES)
    )
    per_dtype = 2 * functions + len(LOSSES) + (32 + 1) * len(SOLVERS) + 5
    assert len(found) == 2 * per_dtype + len(RATE_SCHEDULES)


@pytest.mark.last
def test_all_covers_what_the_session_has_compiled(monkeypatch):
    """Each function that was compiled to be called by address, but for formulas of a user's own."""
    found = registered(monkeypatch)
    for kernel in kernels():
        cached = isinstance(kernel._cache, kernel_cache.KernelCache)
        by_address = cached and kernel.targetoptions.get("no_cpython_wrapper")
        if by_address and kernel.py_func.__module__ in kernel_cache.sources():
            text = kernel_cache.describe(kernel.py_func, kernel_cache.sources())
            if "'fastbp.functions.symbolic.python_code'" in text:
                continue
            for types in kernel.overloads:
                assert (text, types) in found, kernel


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache, "faults", [])
    return tmp_path / "cache" / "fastbp" / f"kernels-{kernel_cache.stamp()}"


@pytest.fixture
def one_piece(monkeypatch):
    """In place of all: one kernel that no other test has compiled."""

    def set_piece(action):
        monkeypatch.setattr(
            precompile, "pieces", lambda everything: [precompile.Piece("the only one", action)]
        )

    def compile_one():
        from fastbp.engines.compiler import jit
        from fastbp.engines.cpu.blocks import row_pitch

        jit(row_pitch.py_func)(3, 4)

    set_piece(compile_one)
    return set_piece


def test_it_says_what_it_did(own_cache, one_piece, capsys):
    assert main(["compile"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("1/1 the only one\n1 kernels compiled in ")
    assert out.endswith(f" MB in {own_cache}\n")
    assert err == ""
    assert main(["compile"]) == 0
    assert "\n0 kernels compiled in " in capsys.readouterr().out


def test_one_line_in_a_terminal(own_cache, one_piece, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["compile", "--all"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\r1/1 the only one " in out


@pytest.mark.parametrize("where", ["NUMBA_CACHE_DIR", "nowhere", "sources"])
def test_where_nothing_can_be_written(where, own_cache, one_piece, capsys, monkeypatch):
    if where == "sources":
        monkeypatch.setattr(kernel_cache, "sources", dict)
    else:
        own_cache.parent.parent.touch()
    if where == "nowhere":
        monkeypatch.setattr(cache_folder, "candidates", lambda wish: [own_cache.parent])
    assert main(["compile"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "not used: " in err
    assert err.endswith("no folder to write to.\n")


def test_on_a_full_disk(own_cache, one_piece, capsys, monkeypatch):
    def write(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_folder, "write", write)
    assert main(["compile"]) == 1
    assert "1 could not be kept: [Errno 28] No space left on device" in capsys.readouterr().err


def fit():
    """A fit that is interrupted within."""
    model = BPClassifier((2,), max_iter=3)
    model.set_callbacks(StopWhen(lambda epoch: signal.raise_signal(signal.SIGINT)))
    model.fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    "action", [partial(signal.raise_signal, signal.SIGINT), fit], ids=["compiling", "fit"]
)
def test_interrupted(action, one_piece, capsys):
    one_piece(action)
    before = signal.getsignal(signal.SIGINT)
    assert main(["compile"]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "interrupted" in capsys.readouterr().err
