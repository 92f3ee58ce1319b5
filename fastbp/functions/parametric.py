"""Elementwise functions with parameters for each feature: scales, shifts, blends.

``value(z, p, q) -> a`` and ``backward(delta, z, p, q) -> (delta · ∂a/∂z, delta · ∂a/∂p, delta · ∂a/∂q)``;
for a function of one parameter, q is the same as p, and its derivative is not read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastbp.functions.activations import ACTIVATIONS, Activation, clip
from fastbp.functions.normalisation import standardise, standardise_backward
from fastbp.functions.primitives import fma, sqrt
from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Parametric:
    """One elementwise function with parameters.

    Attributes
    ----------
    name, formula : str
    value, backward : callable
        See the module's docstring.
    start : tuple of float
        Initial value of each parameter: one or two.
    learned : bool
        Whether training changes the parameters; else they come from the data, and the second and third result
        of `backward` are not read.
    """

    name: str
    formula: str
    value: Callable
    backward: Callable
    start: tuple[float, ...]
    learned: bool = True


def scale(z, p, q):
    return p * z


def scale_backward(delta, z, p, q):
    slope = delta * z
    return delta * p, slope, slope


def affine(z, p, q):
    # The last step of batch and of layer normalisation (Ioffe and Szegedy 2015, algorithm 1).
    return fma(p, z, q)


def affine_backward(delta, z, p, q):
    return delta * p, delta * z, delta


CLIP = 3.0
LARGEST = 1e9  # its square is finite in float32, and the result is CLIP


def robust(z, p, q):
    # Holzmüller, Grinsztajn, Steinwart 2024, section 3: t / sqrt(1 + (t / 3)²), t = q (z − p), at most 3 for
    # any outlier.
    t = clip((z - p) * q, -LARGEST, LARGEST)
    r = t * (1.0 / CLIP)
    return t / sqrt(fma(r, r, 1.0))


def robust_backward(delta, z, p, q):
    r = clip((z - p) * q, -LARGEST, LARGEST) * (1.0 / CLIP)
    s = 1.0 / sqrt(fma(r, r, 1.0))
    slope = delta * q * (s * s * s)
    return slope, slope, slope


def blended(entry: Activation) -> Parametric:
    """(1 − p) z + p f(z) of an activation f: between the identity and f, or beyond."""
    f, f_backward = entry.value, entry.backward

    def value(z, p, q):
        return fma(p, f(z) - z, z)

    def backward(delta, z, p, q):
        a = f(z)
        return fma(1.0 - p, delta, f_backward(p * delta, a)), delta * (a - z), delta

    def backward_from_input(delta, z, p, q):
        return fma(1.0 - p, delta, f_backward(p * delta, z)), delta * (f(z) - z), delta

    return Parametric(
        f"blended {entry.name}",
        f"(1 - p) z + p f(z), f the {entry.name}",
        value,
        backward_from_input if entry.from_input else backward,
        (1.0,),
    )


PARAMETRICS: Registry[Parametric] = Registry("parametric function")
PARAMETRICS.add(Parametric("scale", "p z", scale, scale_backward, (1.0,)))
PARAMETRICS.add(Parametric("affine", "p z + q", affine, affine_backward, (1.0, 0.0)))
PARAMETRICS.add(
    Parametric("robust", "t / sqrt(1 + (t / 3)^2), t = (z - p) q", robust, robust_backward, (0.0, 1.0), False)
)
PARAMETRICS.add(
    Parametric(
        "standardise", "(z - p) / sqrt(q + 1e-5)", standardise, standardise_backward, (0.0, 1.0), False
    )
)
for _entry in ACTIVATIONS:
    if _entry.hidden:
        PARAMETRICS.add(blended(_entry))
