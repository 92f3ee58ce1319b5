"""Random changes of the values of a buffer, in training only.

``value(z, u, p) -> a`` and ``backward(delta, u, p) -> delta``, where u is uniform in (0, 1), drawn
independently for each step, row and feature, and the same in both directions.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastbp.functions import scalar
from fastbp.functions.primitives import select
from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Noise:
    """One kind of noise.

    Attributes
    ----------
    name, formula : str
    value, backward : callable
        See the module's docstring.
    constants : callable
        ``constants(strength) -> p``.
    """

    name: str
    formula: str
    value: Callable
    backward: Callable
    constants: Callable[[float], tuple[float, ...]]


def dropout(z, u, p):
    # Srivastava et al. 2014, with the scale of prediction moved into training ("inverted").
    return select(u < p[0], 0.0, z * p[1])


def dropout_backward(delta, u, p):
    return select(u < p[0], 0.0, delta * p[1])


def dropout_constants(strength):
    return strength, 1.0 / (1.0 - strength)


def gaussian(z, u, p):
    return z + p[0] * scalar.normal_quantile(u)


def gaussian_backward(delta, u, p):
    return delta


def gaussian_constants(strength):
    return (strength,)


NOISES: Registry[Noise] = Registry("noise")
NOISES.add(
    Noise("dropout", "0 with probability p, else z / (1 - p)", dropout, dropout_backward, dropout_constants)
)
NOISES.add(Noise("gaussian", "z + N(0, p^2)", gaussian, gaussian_backward, gaussian_constants))
