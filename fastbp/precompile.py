"""``python -m fastbp compile``: compiles kernels into the cache before they are needed.

The kernels of common models are compiled by small fits; with `everything`, so are all registered functions,
so that no fit on the CPU has to compile anything.
"""

import itertools
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from scipy import sparse

from fastbp import BPClassifier, BPRegressor
from fastbp.engines import compile_notice, kernel_cache
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.step import StepOptions

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
N_ROWS = 40  # of the small fits: enough for the preset's validation split


class Piece(NamedTuple):
    """A set of kernels, and the call that compiles them."""

    name: str
    compile: Callable[[], object]


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, on which a fit would end early and keep its weights."""


def run(everything: bool = False) -> int:
    """Compile, report on standard output, and return the exit status.

    Parameters
    ----------
    everything : bool, default=False
        Whether to compile all registered functions.
    """
    folder, obstacles = kernel_cache.folder_to_write()
    for obstacle in obstacles:
        print(f"not used: {obstacle}", file=sys.stderr)
    if folder is None:
        print("Compiled kernels cannot be kept: there is no folder to write to.", file=sys.stderr)
        return 1
    compile_notice.suppress()  # the pieces are reported one by one
    before, started = _kernels(folder), time.perf_counter()
    try:
        with _interruptible(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _compile(pieces(everything), sys.stdout)
    except Interrupted:
        print("\ninterrupted; what is compiled is kept", file=sys.stderr)
        return 130
    seconds = time.perf_counter() - started
    after = _kernels(folder)
    print(
        f"{len(after.keys() - before.keys())} kernels compiled in {seconds:.1f} s; "
        f"{len(after)} of {sum(after.values()) / 1e6:.1f} MB in {folder}"
    )
    if kernel_cache.faults:
        print(f"{len(kernel_cache.faults)} could not be kept: {kernel_cache.faults[0]}", file=sys.stderr)
        return 1
    return 0


def pieces(everything: bool) -> list[Piece]:
    """List all pieces to compile, in order."""
    found = [piece for dtype in DTYPES for piece in _usual(dtype)]
    if everything:
        found += [piece for dtype in DTYPES for piece in _registered(dtype)]
        found += _schedules()
    return found


def _usual(dtype: np.dtype) -> Iterator[Piece]:
    """Yield small fits, with predictions and validation scores, of common models."""
    X = np.random.RandomState(0).standard_normal((N_ROWS, 4)).astype(dtype)
    classes, labels, values = np.arange(N_ROWS) % 3, np.arange(2 * N_ROWS).reshape(-1, 2) % 2, X[:, :2] + 1
    classifiers: dict[str, dict[str, Any]] = {
        "relu and adam": {},
        "tanh and sgd": {"activation": "tanh", "solver": "sgd"},
        "logistic and momentum": {"activation": "logistic", "solver": "sgd", "nesterovs_momentum": False},
        "identity and plain sgd": {"activation": "identity", "solver": "sgd", "momentum": 0},
        "lbfgs": {"solver": "lbfgs"},
    }
    regressors: dict[str, dict[str, Any]] = {
        "regression": {},
        "counts": {"loss": "poisson"},
    }
    if dtype == np.float32:  # the preset's dtype
        classifiers["preset"] = regressors["regression by preset"] = {"preset": "tabular"}
        regressors["regression of tables"] = {"preset": "tabular", "loss": "gaussian_nll"}
    else:  # of the linear models beside the networks of small tables
        classifiers["linear models of tables"] = {"solver": "lbfgs", "input_scaling": "robust"}
    for name, parameters in classifiers.items():
        yield _fit(f"{name}, {dtype}", BPClassifier(**parameters), X, classes)
    yield _fit(f"two classes, {dtype}", BPClassifier(early_stopping=True), X, classes > 0)
    yield _fit(f"several labels, {dtype}", BPClassifier(), X, labels)
    yield _fit(f"sparse rows, {dtype}", BPClassifier(), sparse.csr_array(X), classes)
    for name, parameters in regressors.items():
        yield _fit(f"{name}, {dtype}", BPRegressor(**parameters), X, abs(values))
    yield _block(f"several networks, {dtype}", X, classes)


def _fit(name: str, model: BPClassifier | BPRegressor, X, y) -> Piece:
    # Several batches per epoch, with shuffled rows.
    model.set_params(hidden_layer_sizes=(3,), batch_size=16, max_iter=2, random_state=0, n_jobs=1)

    def fit() -> None:
        model.fit(X, y).predict(X)
        model.loss_and_gradients(X, y)

    return Piece(name, fit)


def _block(name: str, X: np.ndarray, y: np.ndarray) -> Piece:
    def fit() -> None:
        models = [BPClassifier((3,), batch_size=16, max_iter=2, random_state=seed) for seed in range(4)]
        for outcome in fit_many([FitJob(model, X, y) for model in models], n_jobs=1):
            if isinstance(outcome, Exception):
                raise outcome

    return Piece(name, fit)


def _registered(dtype: np.dtype) -> Iterator[Piece]:
    """Yield all functions that a network may name."""
    from fastbp.engines.cpu import lowering
    from fastbp.engines.cpu.ops import elementwise, group, loss, noise, parametric, row
    from fastbp.engines.cpu.post_step import limit_norms_address
    from fastbp.engines.cpu.synced import synced_address

    def piece(kind: str, name: object, address: Callable, *arguments: object) -> Piece:
        return Piece(f"{kind} {name}, {dtype}", partial(address, *arguments, dtype))

    for name in ACTIVATIONS.names():
        yield piece("activation", name, elementwise.functions, name)
    for name in ROW_ACTIVATIONS.names():
        yield piece("activation", name, row.functions, name)
    for name in GROUP_ACTIVATIONS.names():
        yield piece("activation", name, group.functions, name)
    for name in PARAMETRICS.names():
        yield piece("parametric function", name, parametric.functions, name)
    for name in NOISES.names():
        yield piece("noise", name, noise.functions, name)
    for name in LOSSES.names():
        yield piece("loss", name, loss.function, name)
    yield piece("norm", "batch", synced_address)
    yield piece("norms", "of units", limit_norms_address)
    yield piece("batches", "in passes", lowering.accumulate)
    for l1 in (False, True):
        yield piece("norm of the gradient", "with l1" if l1 else "", lowering.squares, l1)
    for name in SOLVERS.names():
        yield piece("coefficients of", name, lowering.coefficients, name)
        for flags in itertools.product((False, True), repeat=len(StepOptions._fields)):
            options = StepOptions(*flags)
            wanted = [field for field, flag in options._asdict().items() if flag]
            yield piece("solver", " + ".join([name, *wanted]), lowering.update, name, options)


def _schedules() -> Iterator[Piece]:
    from fastbp.engines.cpu import lowering

    for name in RATE_SCHEDULES.names():
        yield Piece(f"schedule {name}", partial(lowering.schedule, name))


def _compile(todo: list[Piece], stream: TextIO) -> None:
    """Compile the pieces; show one redrawn line in a terminal, one line per piece elsewhere."""
    for number, (name, compile_it) in enumerate(todo, start=1):
        line = f"{number}/{len(todo)} {name}"
        stream.write(f"\r{line:<72}" if stream.isatty() else f"{line}\n")
        stream.flush()
        compile_it()
    if stream.isatty():
        stream.write("\r" + " " * 72 + "\r")


@contextmanager
def _interruptible() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kernels(folder: Path) -> dict[str, int]:
    """Sizes by name. Another process may replace files meanwhile."""
    found = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found[path.name] = path.stat().st_size
    return found
