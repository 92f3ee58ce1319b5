"""Exported networks: how large and how fast, and are they right for every combination?

    python bench/export.py                       # C files and Numba functions: bytes and µs a row
    python bench/export.py --product             # every combination of functions against predict, in C
    python bench/export.py --product --every 20  # a twentieth of them

The first table has the time of a row by `to_c` (one float32 file, called in a loop of C), by `to_numba`
(called in a loop that Numba compiles), and by `predict_proba` of one row and of all rows; the size of the
file and of its machine code; and the seconds that `to_numba` and the first call took. emlearn, where it is
installed, converts the same network of scikit-learn's (`pip install emlearn`); m2cgen has no multi-layer
perceptrons. The second table has two programs whose inner loop calls a network: an ordinary differential
equation with a learned right-hand side (Runge-Kutta), and random paths with a learned drift, one after
another beside all paths at a time with `predict`.

--product compiles output × activation × norm × residual × input scaling × parametric activation × dtype, as
`tests/exported.py` lists them, and compares with `predict_proba`, `decision_function` or `predict`. The exit
code is 1 if one differs by more than 1e-5 in float32 or 1e-12 in float64, of the value or of a tenth of the
largest. Where float32 is off, other weights decide; what is off with three draws has failed.
"""

import argparse
import contextlib
import ctypes
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import peers  # noqa: F401  (finds the fastbp of this checkout)
from measure import progress
from report import machine, number, positive, table

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
import exported
import numpy as np
from sklearn.neural_network import MLPClassifier

from fastbp import BPRegressor, from_sklearn

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
MAX_DRAWS = 3  # of weights: in float32 a sum of large numbers may be nearly zero
AT_A_TIME = 200  # networks of a C file
SHAPES = {"4-16-3": (4, (16,), 3), "64-64-10": (64, (64,), 10), "30-128-128-128-2": (30, (128,) * 3, 2)}
ROWS, SECONDS = 2000, 0.2
LEVELS = ("-O2", "-O3 -march=native")
LOOP = """
void all_rows(const float *x, float *out, long n) {
    for (long i = 0; i < n; ++i) model_predict_proba(x + i * MODEL_N_INPUTS, out + i * MODEL_N_OUTPUTS);
}
"""
EMLEARN_LOOP = """
void all_rows(const float *x, float *out, long n) {
    for (long i = 0; i < n; ++i) eml_net_predict_proba(&peer, x + i * %d, %d, out + i * %d, %d);
}
"""


def main() -> int:
    args = parse_arguments()
    warnings.simplefilter("ignore")
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        print("no C compiler found", file=sys.stderr)
        return 2
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}")
    if args.product:
        return product(compiler, args.every)
    print("\n" + sizes_and_times(compiler, args.markdown))
    print("\n" + programs(args.markdown))
    return 0


# --- Times


def best(call) -> float:
    """The least seconds of a call, after a first one."""
    call()
    least, end = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
    return float(least)


def sizes_and_times(compiler: str, markdown: bool) -> str:
    rows = []
    for name, (n_in, layers, n_out) in SHAPES.items():
        progress(name)
        rng = np.random.RandomState(0)
        X, y = rng.normal(size=(ROWS, n_in)).astype(np.float32), np.arange(ROWS) % n_out
        peer = MLPClassifier(layers, activation="relu", max_iter=2, random_state=0).fit(X, y)
        model = from_sklearn(peer)
        expected = model.predict_proba(X)
        for level in LEVELS:
            file, binary, seconds = of_c(compiler, model.to_c(dtype="float32") + LOOP, level, X, expected)
            rows.append([name, f"to_c {level}", number(1e6 * seconds), f"{file:,}", f"{binary:,}", ""])
        if found := of_emlearn(compiler, peer, X, expected):
            file, binary, seconds = found
            cells = [number(1e6 * seconds), f"{file:,}", f"{binary:,}", ""]
            rows.append([name, f"emlearn {LEVELS[-1]}", *cells])
        start = time.perf_counter()
        f = model.to_numba()
        f(X[:1])
        compilation, out = time.perf_counter() - start, np.empty((ROWS, expected.shape[1]), np.float32)
        check(f(X), expected)
        seconds = best(lambda f=f, X=X, out=out: f(X, out)) / ROWS
        rows.append([name, "to_numba", number(1e6 * seconds), "", "", number(compilation)])
        one = best(lambda model=model, X=X: model.predict_proba(X[:1]))
        rows.append([name, "predict_proba, one row", number(1e6 * one), "", "", ""])
        many = best(lambda model=model, X=X: model.predict_proba(X)) / ROWS
        rows.append([name, f"predict_proba, {ROWS} rows", number(1e6 * many), "", "", ""])
        slow = best(lambda peer=peer, X=X: peer.predict_proba(X[:1]))
        rows.append([name, "scikit-learn, one row", number(1e6 * slow), "", "", ""])
    progress("")
    return table(["network", "", "µs a row", "bytes of C", "of code", "s to compile"], rows, markdown)


def check(found, expected, tolerance: float = 1e-5) -> None:
    if not exported.error(found, expected) < tolerance:
        raise ArithmeticError("the export computes something else than predict_proba")


def of_c(
    compiler: str, text: str, level: str, X, expected, includes=(), tolerance=1e-5
) -> tuple[int, int, float]:
    """Bytes of the source, bytes of code and constants, seconds a row."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.c").write_text(text, encoding="utf-8")
        options = [*level.split(), "-std=c99", "-fPIC", *(f"-I{one}" for one in includes)]
        subprocess.run([compiler, *options, "-c", "net.c"], cwd=folder, check=True)
        subprocess.run([compiler, "-shared", "net.o", "-lm", "-o", "net.so"], cwd=folder, check=True)
        size = Path(folder, "net.o").stat().st_size
        if shutil.which("size"):
            done = subprocess.run(["size", "net.o"], cwd=folder, capture_output=True, text=True, check=True)
            size = sum(map(int, done.stdout.splitlines()[1].split()[:2]))
        function = ctypes.CDLL(str(Path(folder, "net.so"))).all_rows
        out = np.empty((len(X), expected.shape[1]), np.float32)

        def call():
            function(X.ctypes, out.ctypes, ctypes.c_long(len(X)))

        call()
        check(out, expected, tolerance)
        return len(text), size, best(call) / len(X)


def of_emlearn(compiler: str, peer, X, expected):
    """The same for scikit-learn's network as emlearn converts it; None where that fails."""
    try:
        import emlearn
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it leaves files where it runs
        emlearn.convert(peer, method="inline", dtype="float").save(file=f"{folder}/peer.h", name="peer")
        text = Path(folder, "peer.h").read_text(encoding="utf-8")
    n_in, n_out = X.shape[1], expected.shape[1]
    text += EMLEARN_LOOP % (n_in, n_in, n_out, n_out)
    try:
        # it writes weights with six decimals
        return of_c(compiler, text, LEVELS[-1], X, expected, [emlearn.includedir], tolerance=1e-3)
    except (ArithmeticError, subprocess.CalledProcessError) as error:
        print(f"emlearn: {error}", file=sys.stderr)
        return None


def programs(markdown: bool) -> str:
    """Programs whose inner loop calls a network, with `to_numba` and with `predict`."""
    import numba

    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, size=(2000, 2))
    pendulum = BPRegressor((32, 32), activation="tanh", max_iter=5, random_state=0)
    pendulum.fit(X, np.c_[X[:, 1], -np.sin(X[:, 0])])
    f = pendulum.to_numba()

    @numba.njit
    def rk4(y, steps, h):
        a, b, c, d = np.empty(2), np.empty(2), np.empty(2), np.empty(2)
        for _ in range(steps):
            f(y, a)
            f(y + h / 2 * a, b)
            f(y + h / 2 * b, c)
            f(y + h * c, d)
            y = y + h / 6 * (a + 2 * b + 2 * c + d)
        return y

    def rk4_predict(y, steps, h):
        for _ in range(steps):
            a = pendulum.predict(y[None])[0]
            b = pendulum.predict((y + h / 2 * a)[None])[0]
            c = pendulum.predict((y + h / 2 * b)[None])[0]
            d = pendulum.predict((y + h * c)[None])[0]
            y = y + h / 6 * (a + 2 * b + 2 * c + d)
        return y

    drift = BPRegressor((32,), activation="tanh", max_iter=5, random_state=0).fit(X, -X[:, 0])
    g = drift.to_numba()

    @numba.njit
    def monte_carlo(draws):
        """The mean end of paths dy = g(y, t) dt + dW; a path ends where it leaves (-2, 2)."""
        n, steps = draws.shape
        x, total = np.empty(2), 0.0
        for i in range(n):
            x[0] = 0.5
            for k in range(steps):
                x[1] = k / steps
                x[0] += g(x) / steps + draws[i, k]
                if abs(x[0]) > 2.0:
                    break
            total += x[0]
        return total / n

    def monte_carlo_predict(draws):
        """All paths at a time."""
        n, steps = draws.shape
        y = np.full(n, 0.5)
        for k in range(steps):
            alive = np.abs(y) <= 2.0
            slope = drift.predict(np.c_[y[alive], np.full(alive.sum(), k / steps)])
            y[alive] += slope / steps + draws[alive, k]
        return y.mean()

    draws = rng.normal(scale=0.1, size=(2000, 100))
    start = np.array([1.0, 0.0])
    if not np.allclose(rk4(start, 50, 0.05), rk4_predict(start, 50, 0.05), 1e-9):
        raise ArithmeticError("the solvers differ")
    if not np.isclose(monte_carlo(draws), monte_carlo_predict(draws), 1e-9):
        raise ArithmeticError("the means of the paths differ")
    solved = best(lambda: rk4(start, 200, 0.05)), best(lambda: rk4_predict(start, 200, 0.05))
    drawn = best(lambda: monte_carlo(draws)), best(lambda: monte_carlo_predict(draws))
    rows = [["RK4, 200 steps, 2-32-32-2", *solved], ["2,000 paths of 100 steps, 2-32-1", *drawn]]
    shown = [[name, number(1e3 * own), number(1e3 * other), number(other / own)] for name, own, other in rows]
    return table(["program", "ms with to_numba", "ms with predict", "ratio"], shown, markdown)


# --- The product


def product(compiler: str, every: int) -> int:
    cases = exported.product()[::every]
    print(f"{len(cases):,} combinations", flush=True)
    worst: dict[str, tuple[float, dict]] = {}
    failed, redrawn, start = [], 0, time.perf_counter()
    for first in range(0, len(cases), AT_A_TIME):
        progress(f"{first:,} of {len(cases):,}, {len(failed)} failed")
        for chosen, error in errors_of(compiler, cases[first : first + AT_A_TIME], first):
            dtype, draw = chosen["dtype"], 1
            while dtype == "float32" and draw < MAX_DRAWS and not error < TOLERANCE[dtype]:
                ((_, error),) = errors_of(compiler, [chosen], first + draw * len(cases))
                draw, redrawn = draw + 1, redrawn + 1
            worst[dtype] = max(worst.get(dtype, (0.0, chosen)), (error, chosen), key=lambda one: one[0])
            if not error < TOLERANCE[dtype]:
                failed.append((error, chosen))
    progress("")
    for dtype, (error, chosen) in worst.items():
        print(f"{dtype}: largest error {error:.2g}, of {chosen}")
    for error, chosen in failed[:20]:
        print(f"failed by {error:.2g}: {chosen}")
    seconds = time.perf_counter() - start
    print(f"{len(failed)} of {len(cases):,} failed, {redrawn} draws anew, in {seconds:.0f} s")
    return int(bool(failed))


def errors_of(compiler: str, cases: list[dict], seed: int):
    """Yield each combination with its error."""
    models = [exported.make(chosen, seed + i) for i, chosen in enumerate(cases)]
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(model.to_c(name=f"m{i}") for i, model in enumerate(models))
        Path(folder, "all.c").write_text(text, encoding="utf-8")
        options = ["-O0", "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, "all.c", "-lm", "-o", "all.so"], cwd=folder, check=True)
        library = ctypes.CDLL(str(Path(folder, "all.so")))
    for i, (chosen, model) in enumerate(zip(cases, models, strict=True)):
        X = exported.rows(chosen["dtype"])
        expected = exported.scores(model, X)
        out = np.empty_like(expected)
        function = library[f"m{i}_{model._prediction().method}"]
        for x, into in zip(X, out, strict=True):
            function(x.ctypes, into.ctypes)
        yield chosen, exported.error(out, expected)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", action="store_true", help="check every combination instead of times")
    parser.add_argument("--every", type=positive(int), default=1, metavar="N", help="only each N-th of them")
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
