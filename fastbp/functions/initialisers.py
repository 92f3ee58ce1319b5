"""Initial weights, drawn from a NumPy RandomState so that scikit-learn's draws can be repeated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Initialiser:
    """``draw(rng, n_in, n_out, activation) -> (coefs (n_in, n_out), intercepts (n_out,))`` in float64."""

    name: str
    formula: str
    draw: Callable[[np.random.RandomState, int, int, str], tuple[np.ndarray, np.ndarray]]


def glorot(rng, n_in, n_out, activation):
    # Glorot and Bengio 2010, equation 16; scikit-learn's factor for the logistic function, and its order.
    bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)


def he(rng, n_in, n_out, activation):
    return rng.standard_normal((n_in, n_out)) * np.sqrt(2.0 / n_in), np.zeros(n_out)


def lecun(rng, n_in, n_out, activation):
    return rng.standard_normal((n_in, n_out)) / np.sqrt(n_in), np.zeros(n_out)


def normal(rng, n_in, n_out, activation):
    return rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)


def zeros(rng, n_in, n_out, activation):
    return np.zeros((n_in, n_out)), np.zeros(n_out)


INITIALISERS: Registry[Initialiser] = Registry("initialiser")
INITIALISERS.add(Initialiser("glorot", "U(-b, b), b = sqrt(6 / (m + n))", glorot))
INITIALISERS.add(Initialiser("he", "N(0, 2 / m)", he))
INITIALISERS.add(Initialiser("lecun", "N(0, 1 / m)", lecun))
INITIALISERS.add(Initialiser("normal", "N(0, 1)", normal))
INITIALISERS.add(Initialiser("zeros", "0", zeros))
