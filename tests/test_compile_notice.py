"""The line about the first compilation of a process: for people who wait, once, and only if it is true."""

import io
import multiprocessing
import sys

import numba
import pytest

from fastbp.engines import cache_folder, compile_notice, kernel_cache
from fastbp.engines.compiler import jit
from fastbp.engines.cpu.blocks import row_pitch


class Terminal(io.StringIO):
    def isatty(self):
        return True


class FailingTerminal(Terminal):
    def write(self, text):
        raise OSError("no space left on device")


class CannotSay(io.StringIO):
    def isatty(self):
        raise RuntimeError("who knows")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache of the test's own; the folder of this process' kernels."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return cache_folder.survey(numba.config.CACHE_DIR, kernel_cache.stamp())[0][0]


@pytest.fixture
def stderr(own_cache, monkeypatch):
    """Install a stream as standard error of a process that has not compiled anything yet."""

    def install(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(compile_notice, "_given", False)
        return stream

    return install


def compile_one():
    """Compile a kernel, or load it from the cache."""
    assert jit(row_pitch.py_func)(3, 4) == row_pitch(3, 4)


def test_one_line_in_a_terminal(stderr, own_cache):
    stream = stderr(Terminal())
    compile_one()
    line = f"fastbp: compiling kernels for this processor, once; they are kept in {own_cache}.\n"
    assert stream.getvalue() == line
    jit(row_pitch.py_func)(3.0, 4)
    assert stream.getvalue() == line


def test_one_line_in_a_notebook(stderr):
    kind = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    stream = stderr(kind())
    compile_one()
    assert stream.getvalue().count("\n") == 1


def test_no_line_for_a_kernel_from_the_cache(stderr):
    compile_one()
    stream = stderr(Terminal())
    compile_one()
    assert stream.getvalue() == ""


def test_no_line_in_captured_output(stderr):
    stream = stderr(io.StringIO())
    compile_one()
    assert stream.getvalue() == ""


def test_no_line_in_a_worker_process(stderr, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    stream = stderr(Terminal())
    compile_one()
    assert stream.getvalue() == ""


@pytest.mark.parametrize("kind", [FailingTerminal, CannotSay, lambda: None, object])
def test_a_stream_that_fails_changes_nothing(kind, stderr):
    stderr(kind())
    compile_one()


@pytest.mark.parametrize("where", ["nowhere", "sources"])
def test_it_promises_nothing_where_nothing_can_be_written(where, stderr, tmp_path, monkeypatch):
    if where == "sources":
        monkeypatch.setattr(kernel_cache, "sources", dict)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setattr(cache_folder, "candidates", lambda wish: [tmp_path / "file" / "fastbp"])
    stream = stderr(Terminal())
    compile_one()
    assert stream.getvalue().endswith("they cannot be kept for the next process.\n")


def test_no_line_about_what_the_command_reports(stderr, monkeypatch):
    from fastbp import precompile

    monkeypatch.setattr(kernel_cache, "faults", [])
    monkeypatch.setattr(precompile, "pieces", lambda everything: [precompile.Piece("one", compile_one)])
    stream = stderr(Terminal())
    assert precompile.run() == 0
    assert stream.getvalue() == ""
