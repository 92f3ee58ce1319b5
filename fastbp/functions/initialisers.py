"""Initial weights, drawn from a NumPy RandomState so that scikit-learn's draws can be reproduced.

Each piece of a maxout layer is drawn as a separate layer: a unit's delta goes to one of its pieces, so that
the number of units is the fan-out, and orthogonal pieces are orthogonal for any number of them.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from fastbp.functions.activations import LEAK
from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Initialiser:
    """``draw(rng, n_in, n_out, activation, pieces) -> (coefs (n_in, n_out), intercepts (n_out,))``, float64.

    A maxout unit takes the maximum of `pieces` linear functions, one of which is drawn; else `pieces` is 1.
    """

    name: str
    formula: str
    draw: Callable[[np.random.RandomState, int, int, str, int], tuple[np.ndarray, np.ndarray]]


def glorot(rng, n_in, n_out, activation, pieces=1):
    # Glorot and Bengio 2010, equation 16; scikit-learn's factor for the logistic function, and its order of
    # draws.
    bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)


# The gain g of an activation f is 1 / sqrt(E f(z)^2) for a standard normal z: if layers multiply their inputs
# by weights of variance g^2 / m, the units' inputs z have variance 1 in every layer. For relu and leaky_relu
# it is that of He, Zhang, Ren, Sun 2015, equations 10 and 15; the others are the same expectation. The
# constants of selu are chosen to make it 1 (Klambauer, Unterthiner, Mayr, Hochreiter 2017).
GAINS = {
    "identity": 1.0,
    "logistic": 1.846229,
    "tanh": 1.592537,
    "relu": np.sqrt(2.0),
    "leaky_relu": np.sqrt(2.0 / (1.0 + LEAK**2)),
    "elu": 1.245198,
    "selu": 1.0,
    "gelu": 1.533530,
    "gelu_tanh": 1.533581,
    "silu": 1.676532,
    "mish": 1.486848,
    "softplus": 1.041867,
    "softsign": 2.337533,
    "hard_sigmoid": 1.897840,
    "hard_tanh": 1.392036,
    "relu6": 1.414214,
}


@cache
def maxout_gain(pieces: int) -> float:
    """Gain of maxout, the maximum of independent standard normal numbers; 1 for one or two of them."""
    z = np.linspace(-12.0, 12.0, 4801)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    # The maximum is below z if all are. The integrand is smooth and vanishes at the ends: a plain sum is its
    # integral to the last digits.
    second_moment = (z[1] - z[0]) * float(np.sum(z**2 * pieces * ndtr(z) ** (pieces - 1) * density))
    return second_moment**-0.5


def he(rng, n_in, n_out, activation, pieces=1):
    # He, Zhang, Ren, Sun 2015: for rectifiers, equation 15 where they leak; the same for maxout.
    rectifier = "leaky_relu" if activation == "leaky_relu" else "relu"
    gain = maxout_gain(pieces) if activation == "maxout" else GAINS[rectifier]
    return rng.standard_normal((n_in, n_out)) * (gain / np.sqrt(n_in)), np.zeros(n_out)


def lecun(rng, n_in, n_out, activation, pieces=1):
    # LeCun, Bottou, Orr, Mueller 1998, section 4.6; needed by selu.
    return rng.standard_normal((n_in, n_out)) / np.sqrt(n_in), np.zeros(n_out)


_one_at_a_time = threading.Lock()


def orthogonal(rng, n_in, n_out, activation, pieces=1):
    # Saxe, McClelland, Ganguli 2013: the factor Q of a normal matrix, with signs that make it uniform
    # (Mezzadri 2007). LAPACK's bits depend on its number of threads: it gets one.
    tall = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    with _one_at_a_time, threadpool_limits(1, "blas"):
        q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    gain = maxout_gain(pieces) if activation == "maxout" else GAINS.get(activation, 1.0)
    return np.ascontiguousarray(q if n_in >= n_out else q.T) * gain, np.zeros(n_out)


def uniform(rng, n_in, n_out, activation, pieces=1):
    # The common heuristic, Glorot and Bengio 2010, equation 1.
    bound = 1.0 / np.sqrt(n_in)
    return rng.uniform(-bound, bound, (n_in, n_out)), np.zeros(n_out)


def normal(rng, n_in, n_out, activation, pieces=1):
    return rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)


def zeros(rng, n_in, n_out, activation, pieces=1):
    return np.zeros((n_in, n_out)), np.zeros(n_out)


INITIALISERS: Registry[Initialiser] = Registry("initialiser")
INITIALISERS.add(Initialiser("glorot", "U(-b, b), b = sqrt(6 / (m + n))", glorot))
INITIALISERS.add(
    Initialiser("he", "N(0, 2 / ((1 + a^2) m)), a the slope of leaky_relu, else 0; maxout: N(0, g^2 / m)", he)
)
INITIALISERS.add(Initialiser("lecun", "N(0, 1 / m)", lecun))
INITIALISERS.add(Initialiser("orthogonal", "g Q, orthonormal rows or columns", orthogonal))
INITIALISERS.add(Initialiser("uniform", "U(-b, b), b = 1 / sqrt(m)", uniform))
INITIALISERS.add(Initialiser("normal", "N(0, 1)", normal))
INITIALISERS.add(Initialiser("zeros", "0", zeros))
