"""``verbose=True`` on every kind of standard output: the fit trains, whatever becomes of what it tells."""

import io
import os
import sys
import types

import data
import pytest
from helpers import assert_same_bits

from fastbp import BPClassifier
from fastbp.engines.output import Output
from fastbp.training.progress import Bar

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0}
LINES = "Iteration 1, loss = "


class WriteAlone:
    """All that ``print`` needs."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Failing(WriteAlone):
    """Fails at a write: the first, or one in the middle."""

    def __init__(self, error, successes=0):
        super().__init__()
        self.error, self.successes, self.calls = error, successes, 0

    def write(self, text):
        self.calls += 1
        if self.calls > self.successes:
            raise self.error
        super().write(text)


class FailingTerminal(Failing):
    def isatty(self):
        return True


class FailingFlush(WriteAlone):
    def isatty(self):
        return True

    def flush(self):
        raise OSError("no space left on device")


class CannotSay(WriteAlone):
    def isatty(self):
        raise ValueError("I/O operation on closed file")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def broken_pipe():
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", buffering=1)


UNENCODABLE = UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range(128)")
STREAMS = {
    "none": lambda: None,
    "write alone": WriteAlone,
    "closed": closed,
    "no stream at all": object,
    "bytes": io.BytesIO,
    "broken pipe": lambda: Failing(BrokenPipeError()),
    "broken pipe later": lambda: Failing(BrokenPipeError(), 3),
    "unencodable": lambda: Failing(UNENCODABLE),
    "value error": lambda: Failing(ValueError("closed")),
    "attribute error": lambda: Failing(AttributeError("write")),
    "terminal that fails": lambda: FailingTerminal(OSError()),
    "terminal that fails later": lambda: FailingTerminal(OSError(), 1),
    "flush that fails": FailingFlush,
    "cannot say what it is": CannotSay,
}


@pytest.mark.parametrize("verbose", [True, 2])
@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"tol": 1e9}], ids=str)
@pytest.mark.parametrize("stream", STREAMS)
def test_it_trains(stream, params, verbose, monkeypatch):
    X, y = data.iris()
    silent = BPClassifier(**PARAMS, **params).fit(X, y)
    monkeypatch.setattr(sys, "stdout", STREAMS[stream]())
    assert_same_bits(BPClassifier(**PARAMS, **params, verbose=verbose).fit(X, y), silent)


def test_a_pipe_whose_reader_has_gone(monkeypatch):
    X, y = data.iris()
    pipe = broken_pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    BPClassifier(**PARAMS, verbose=True).fit(X, y)
    with pytest.raises(OSError):
        pipe.close()  # what was kept for it is the pipe's


def test_lines_need_nothing_but_write(monkeypatch):
    X, y = data.iris()
    stream = WriteAlone()
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=True).fit(X, y)
    assert stream.text.startswith(LINES) and stream.text.endswith("\n")


def test_silence_after_a_failure(monkeypatch):
    X, y = data.iris()
    stream = Failing(OSError(), 2)
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=True).fit(X, y)
    assert stream.calls == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_program_from_within_a_stream_does(error):
    output = Output(Failing(error()))
    with pytest.raises(error):
        output.write("")


# Notebooks


class OutStream(WriteAlone):
    """Of ipykernel: no terminal, but "\\r" goes back to the beginning of the line."""

    def isatty(self):
        return False

    def flush(self):
        pass


class OutStreamOfAnotherKernel(OutStream):
    pass


OutStream.__module__ = "ipykernel.iostream"


class ShellOfANotebook:
    kernel = object()


@pytest.fixture
def in_a_notebook(monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = ShellOfANotebook
    monkeypatch.setitem(sys.modules, "IPython", ipython)


@pytest.mark.parametrize("kind", [OutStream, OutStreamOfAnotherKernel])
def test_one_bar_in_a_notebook(kind, in_a_notebook, monkeypatch):
    X, y = data.iris()
    stream = kind()
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=True, early_stopping=True).fit(X, y)
    assert stream.text.count("\n") == 1 and stream.text.endswith(" s left\n")
    assert stream.text.startswith("\repoch 1/4 [")
    assert "validation" in stream.text


def test_a_notebook_without_ipython_in_sight(monkeypatch):
    X, y = data.iris()
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    stream = OutStream()
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=True).fit(X, y)
    assert stream.text.count("\n") == 1
    assert "IPython" not in sys.modules


def test_lines_in_a_notebook_for_who_wants_them(in_a_notebook, monkeypatch):
    X, y = data.iris()
    stream = OutStream()
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=2).fit(X, y)
    assert stream.text.startswith(LINES)


def test_lines_where_a_notebook_catches_text(in_a_notebook, monkeypatch):
    X, y = data.iris()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    BPClassifier(**PARAMS, verbose=True).fit(X, y)
    assert stream.getvalue().startswith(LINES)


# The bar


@pytest.mark.parametrize("columns", [1, 10, 40, 80, 200])
def test_a_bar_is_one_line_however_narrow(columns):
    stream = WriteAlone()
    bar = Bar(10**6, Output(stream), columns)
    for number in range(1, 4):
        bar.epoch(number, 0.123456, 0.987654)
        bar.note("")
    bar.close()
    drawn = [line for part in stream.text.split("\n") for line in part.split("\r")]
    assert max(map(len, drawn)) <= columns - 1
    assert ("#" in stream.text or "." * 24 in stream.text) == (columns > 100)
