"""What do formulas of a user's own cost beside built-in ones of the same formula?

    python bench/own_formulas.py [--processes 8] [--rounds 15] [--dtype float32] [--json own.json]

For each function a large and a small network are trained with the built-in one and with one's own, in one
thread, rounds interleaved, in several processes that load their kernels from the cache. The losses at the end
must agree to rounding, or the exit code is 1. Reported is the time over that of the built-in: the median over
processes of the median over rounds, and the slowest process.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
from report import machine, positive, table

from fastbp import Activation, BPClassifier, BPRegressor, Loss, Schedule, Solver

# Size -> rows, features, hidden layers, rows of a batch, epochs.
SIZES = {
    "large": (4096, 50, (128, 128), 128, 4),
    "small": (150, 4, (16,), 32, 20),
}
CLASSES = 10
LARGEST_DIFFERENCE = 1e-3  # of the losses, relative: after some epochs roundings have grown


def logistic(z):
    return 1 / (1 + np.exp(-z))


def huber(f, y, delta):
    d = np.abs(f - y)
    return np.sum(np.where(d < delta, d * d / 2, delta * (d - delta / 2)))


def clipped_difference(f, y, delta):
    return np.clip(f - y, -delta, delta)


def cross_entropy(f, y):
    shifted = f - np.max(f)
    return np.log(np.sum(np.exp(shifted))) - np.sum(y * shifted)


def softmax_less_target(f, y):
    e = np.exp(f - np.max(f))
    return e / np.sum(e) - y


def adam_step(w, g, m, v, rate, b1, c1, b2, c2, epsilon):
    m = b1 * m + c1 * g
    v = b2 * v + c2 * (g * g)
    return w - rate * (m / (np.sqrt(v) + epsilon)), m, v


def adam_coefficients(rate, step, b1, b2, epsilon):
    return rate * (1 - b2**step) ** 0.5 / (1 - b1**step), b1, 1 - b1, b2, 1 - b2, epsilon


def rmsprop_step(w, g, s, rate, rho, epsilon):
    s = rho * s + g * g * (1 - rho)
    return w - rate * (g / (np.sqrt(s) + epsilon)), s


ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
# Name -> estimator, parameter, built-in, one's own.
PAIRS = {
    "activation tanh": (
        BPClassifier,
        "activation",
        "tanh",
        Activation("own_tanh", np.tanh, lambda a: 1 - a * a, of="output"),
    ),
    "activation relu": (
        BPClassifier,
        "activation",
        "relu",
        Activation("own_relu", lambda z: np.maximum(0, z), lambda a: np.where(a > 0, 1.0, 0.0), of="output"),
    ),
    "activation silu": (
        BPClassifier,
        "activation",
        "silu",
        Activation(
            "own_silu", lambda z: z * logistic(z), lambda z: logistic(z) * (z * (1 - logistic(z)) + 1)
        ),
    ),
    "activation silu, derived": (
        BPClassifier,
        "activation",
        "silu",
        Activation("own_silu", lambda z: z * logistic(z)),
    ),
    "loss huber": (
        BPRegressor,
        "loss",
        "huber",
        Loss("own_huber", huber, clipped_difference, params={"delta": 1.0}),
    ),
    "loss huber, derived": (
        BPRegressor,
        "loss",
        "huber",
        Loss("own_huber", huber, params={"delta": 1.0}),
    ),
    "loss cross-entropy": (
        BPClassifier,
        "loss",
        "log_loss",
        Loss("own_entropy", cross_entropy, softmax_less_target, merged_with="softmax", tasks="classifier"),
    ),
    "solver adam": (
        BPClassifier,
        "solver",
        "adam",
        Solver("own_adam", adam_step, n_states=2, params=ADAM, coefficients=adam_coefficients),
    ),
    "solver rmsprop": (
        BPClassifier,
        "solver",
        "rmsprop",
        Solver("own_rmsprop", rmsprop_step, n_states=1, params={"rho": 0.99, "epsilon": 1e-8}),
    ),
    "schedule cosine": (
        BPClassifier,
        "schedule",
        "cosine",
        Schedule("own_cosine", lambda x, epoch: (1 + np.cos(np.pi * x)) / 2),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=positive(int), default=8)
    parser.add_argument("--rounds", type=positive(int), default=15)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sample", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sample:
        print(json.dumps(sample(args.rounds, args.dtype)))
        return 0
    command = [sys.executable, __file__, "--sample", "--dtype", args.dtype]
    results = []
    for i in range(args.processes + 1):  # the first fills the cache
        given = [*command, "--rounds", str(args.rounds if i else 1)]
        answer = subprocess.run(given, capture_output=True, text=True, check=True).stdout
        results.append(json.loads(answer))
    rows, wrong = [], []
    for name in results[0]:
        ratios = [statistics.median(result[name]["ratios"]) for result in results[1:]]
        losses = results[-1][name]["losses"]
        if not np.isclose(*losses, rtol=LARGEST_DIFFERENCE, atol=0):
            wrong.append(f"{name}: losses {losses}")
        rows.append([name, f"{statistics.median(ratios):.3f}", f"{max(ratios):.3f}"])
    about = machine()
    print(f"{about['cpu']}, Python {about['python']}, {args.dtype}, {args.processes} processes, one thread\n")
    print(table(["own over built-in", "median", "slowest process"], rows, markdown=True))
    print("\n".join(wrong))
    if args.json:
        args.json.write_text(json.dumps({"machine": about, "results": results[1:]}, indent=1))
    return 1 if wrong else 0


def sample(rounds: int, dtype: str) -> dict:
    """Return ratios of the rounds, and both losses, for each pair."""
    warnings.simplefilter("ignore")
    rng = np.random.RandomState(0)
    found = {}
    for (size, shape), name in itertools.product(SIZES.items(), PAIRS):
        n_rows, n_features, hidden, batch, epochs = shape
        estimator, parameter, built_in, own = PAIRS[name]
        X = rng.normal(size=(n_rows, n_features)).astype(dtype)
        y = np.arange(n_rows) % CLASSES
        if estimator is BPRegressor:
            y = X @ rng.normal(size=(n_features, CLASSES)) / 10
        common = {"batch_size": batch, "max_iter": epochs, "random_state": 0, "n_jobs": 1, "dtype": dtype}
        models = [
            estimator(hidden, **{parameter: one}, **common, tol=0, n_iter_no_change=np.inf)
            for one in (built_in, own)
        ]
        ratios = []
        for i in range(rounds + 1):
            seconds = [0.0, 0.0]
            for which in (0, 1) if i % 2 else (1, 0):
                started = time.perf_counter()
                models[which].fit(X, y)
                seconds[which] = time.perf_counter() - started
            ratios.append(seconds[1] / seconds[0])
        found[f"{size}, {name}"] = {"ratios": ratios[1:], "losses": [model.loss_ for model in models]}
    return found


if __name__ == "__main__":
    sys.exit(main())
