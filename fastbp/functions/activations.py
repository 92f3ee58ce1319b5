"""Activation functions: each with its derivative as a function of its own output, or of its input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastbp.functions import scalar
from fastbp.functions.normalisation import layer_norm, layer_norm_backward
from fastbp.functions.primitives import absolute, fma, get, put, select
from fastbp.functions.registry import Registry


class OnnxOperator(NamedTuple):
    """The ONNX operator that is a function; without one, exports write the formula out."""

    name: str
    attributes: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True)
class Activation:
    """An elementwise function a = f(z).

    Attributes
    ----------
    name : str
    formula : str
        For the documentation.
    value : callable
        ``value(z) -> a``.
    backward : callable
        ``backward(delta, a) -> delta · f′(z)``, the chain rule through f, from the output a; or
        ``backward(delta, z)`` where `from_input`.
    hidden : bool
        Whether hidden layers may use it; all may be used for the output.
    from_input : bool
        Whether `backward` takes z, because the output does not determine the derivative.
    onnx : OnnxOperator or None
    """

    name: str
    formula: str
    value: Callable
    backward: Callable
    hidden: bool = True
    from_input: bool = False
    onnx: OnnxOperator | None = None


@dataclass(frozen=True)
class RowActivation:
    """A function of all values of one row.

    ``value(row, n)`` and ``backward(delta, a, n)`` work in place on `row` and on `delta`.

    Attributes
    ----------
    output : bool
        Whether users may choose it, for the output layer.
    from_input : bool
        Whether `backward` takes the input of `value` instead of its result.
    onnx : OnnxOperator or None
    """

    name: str
    formula: str
    value: Callable
    backward: Callable
    output: bool = True
    from_input: bool = False
    onnx: OnnxOperator | None = None


@dataclass(frozen=True)
class GroupActivation:
    """A function of the k linear outputs of one unit, for hidden layers only.

    ``value(z, k) -> a``; ``backward(delta, z, into, k)`` writes the derivatives with respect to z to `into`.
    """

    name: str
    formula: str
    value: Callable
    backward: Callable


def identity(z):
    return z


def identity_backward(delta, a):
    return delta


def logistic_backward(delta, a):
    return delta * (a * (1.0 - a))


def tanh_backward(delta, a):
    return delta * (1.0 - a * a)


def relu(z):
    # A comparison with NaN is false: NaN must reach the loss, where training stops.
    return select(z < 0.0, 0.0, z)


def relu_backward(delta, a):
    return select(a > 0.0, delta, 0.0)


def exp_backward(delta, a):
    return delta * a


def clip(z, low, high):
    """Return `z` limited to [low, high]; NaN stays NaN."""
    return select(z < low, low, select(z > high, high, z))


LEAK = 0.01


def leaky_relu(z):
    return select(z < 0.0, LEAK * z, z)


def leaky_relu_backward(delta, a):
    return select(a > 0.0, delta, LEAK * delta)


def elu(z):
    # Clevert, Unterthiner, Hochreiter 2015, with alpha 1.
    return select(z < 0.0, scalar.expm1(select(z < 0.0, z, 0.0)), z)


def elu_backward(delta, a):
    return select(a > 0.0, delta, delta * (a + 1.0))


# Klambauer, Unterthiner, Mayr, Hochreiter 2017, equation 14.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def selu(z):
    return SELU_SCALE * select(z < 0.0, SELU_ALPHA * scalar.expm1(select(z < 0.0, z, 0.0)), z)


def selu_backward(delta, a):
    return delta * select(a > 0.0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA)


def gelu(z):
    # Hendrycks and Gimpel 2016: z times the normal distribution's cumulative probability.
    return z * scalar.normal_cdf(z)


def gelu_backward(delta, z):
    return delta * fma(z, scalar.normal_density(z), scalar.normal_cdf(z))


ROOT_2_OVER_PI, CUBIC = 0.7978845608028654, 0.044715


def gelu_tanh(z):
    # Approximation of gelu by tanh, section 2 of the same paper.
    return 0.5 * z * (1.0 + scalar.tanh(ROOT_2_OVER_PI * fma(CUBIC * z * z, z, z)))


def gelu_tanh_backward(delta, z):
    t = scalar.tanh(ROOT_2_OVER_PI * fma(CUBIC * z * z, z, z))
    inner = ROOT_2_OVER_PI * fma(3.0 * CUBIC * z, z, 1.0)
    return delta * (0.5 * (1.0 + t) + 0.5 * z * ((1.0 - t) * (1.0 + t)) * inner)


def silu(z):
    # Elfwing, Uchibe, Doya 2017; also called swish.
    return z * scalar.logistic(z)


def silu_backward(delta, z):
    p = scalar.logistic(z)
    return delta * (p * fma(z, 1.0 - p, 1.0))


def mish(z):
    # Misra 2019: z tanh(ln(1 + e^z)); with e = e^z the tanh is e(e + 2) / (e(e + 2) + 2).
    e = scalar.exp(select(z > 20.0, 20.0, z))
    n = e * (e + 2.0)
    return z * (n / (n + 2.0))


def mish_backward(delta, z):
    e = scalar.exp(select(z > 20.0, 20.0, z))
    n = e * (e + 2.0)
    t = n / (n + 2.0)
    # d tanh(s)/dz with s = ln(1 + e): (1 − t²)·e / (1 + e), and 1 − t = 2 / (n + 2)
    slope = 2.0 / (n + 2.0) * (1.0 + t) * (e / (1.0 + e))
    return delta * fma(z, slope, t)


def softplus_backward(delta, a):
    return -delta * scalar.expm1(-a)


def softsign(z):
    return z / (1.0 + absolute(z))


def softsign_backward(delta, a):
    rest = 1.0 - absolute(a)
    return delta * (rest * rest)


def hard_sigmoid(z):
    # Slope 1/6, as in PyTorch and Keras 3.
    return clip(fma(z, 1.0 / 6.0, 0.5), 0.0, 1.0)


def hard_sigmoid_backward(delta, a):
    return select(a > 0.0, select(a < 1.0, delta * (1.0 / 6.0), 0.0), 0.0)


def hard_tanh(z):
    return clip(z, -1.0, 1.0)


def hard_tanh_backward(delta, a):
    return select(absolute(a) < 1.0, delta, 0.0)


def relu6(z):
    return clip(z, 0.0, 6.0)


def relu6_backward(delta, a):
    return select(a > 0.0, select(a < 6.0, delta, 0.0), 0.0)


def softmax(row, n):
    largest = get(row, 0)
    for j in range(1, n):
        z = get(row, j)
        largest = select(z > largest, z, largest)
    e = scalar.exp(get(row, 0) - largest)
    put(row, 0, e)
    total = e
    for j in range(1, n):
        e = scalar.exp(get(row, j) - largest)
        put(row, j, e)
        total = total + e
    for j in range(n):
        put(row, j, get(row, j) / total)


def softmax_backward(delta, a, n):
    inner = get(delta, 0) * get(a, 0)
    for j in range(1, n):
        inner = inner + get(delta, j) * get(a, j)
    for j in range(n):
        put(delta, j, get(a, j) * (get(delta, j) - inner))


def increasing(row, n):
    # f_0 = z_0, f_k = f_(k-1) + ln(1 + e^z_k)
    f = get(row, 0)
    for j in range(1, n):
        f = f + scalar.softplus(get(row, j))
        put(row, j, f)


def increasing_backward(delta, a, n):
    # f_k moves with z_0 … z_k; the derivative of softplus is 1 − e^−s with s = f_k − f_(k-1).
    later = get(delta, 0) * 0.0
    for i in range(n):
        j = n - 1 - i
        later = later + get(delta, j)
        if j > 0:
            put(delta, j, -later * scalar.expm1(get(a, j - 1) - get(a, j)))
        else:
            put(delta, j, later)


def maxout(z, k):
    # Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, section 3.
    largest = get(z, 0)
    for i in range(1, k):
        x = get(z, i)
        # Only NaN differs from itself; it must reach the loss, where training stops.
        largest = select(x > largest, x, select(x == x, largest, x))
    return largest


def maxout_backward(delta, z, into, k):
    # The first maximum takes all of delta; later ones get nothing.
    largest = maxout(z, k)
    for i in range(k):
        wins = get(z, i) == largest
        put(into, i, select(wins, delta, 0.0))
        delta = select(wins, 0.0, delta)


def index_of_largest(row, n, zero):
    """Return the index of the first maximum of a row, as a float; `zero` is 0 in the row's type."""
    largest, index = get(row, 0), zero
    for j in range(1, n):
        z = get(row, j)
        more = z > largest
        largest = select(more, z, largest)
        index = select(more, float(j), index)
    return index


ACTIVATIONS: Registry[Activation] = Registry("activation")
ACTIVATIONS.add(Activation("identity", "z", identity, identity_backward, onnx=OnnxOperator("Identity")))
ACTIVATIONS.add(
    Activation(
        "logistic", "1 / (1 + exp(-z))", scalar.logistic, logistic_backward, onnx=OnnxOperator("Sigmoid")
    )
)
ACTIVATIONS.add(Activation("tanh", "tanh(z)", scalar.tanh, tanh_backward, onnx=OnnxOperator("Tanh")))
ACTIVATIONS.add(Activation("relu", "max(0, z)", relu, relu_backward, onnx=OnnxOperator("Relu")))
ACTIVATIONS.add(Activation("exp", "exp(z)", scalar.exp, exp_backward, hidden=False, onnx=OnnxOperator("Exp")))
ACTIVATIONS.add(
    Activation(
        "leaky_relu",
        "max(z, z / 100)",
        leaky_relu,
        leaky_relu_backward,
        onnx=OnnxOperator("LeakyRelu", (("alpha", LEAK),)),
    )
)
ACTIVATIONS.add(Activation("elu", "z, or exp(z) - 1 for z < 0", elu, elu_backward, onnx=OnnxOperator("Elu")))
ACTIVATIONS.add(
    Activation(
        "selu",
        "1.0507 z, or 1.0507 * 1.6733 (exp(z) - 1) for z < 0",
        selu,
        selu_backward,
        onnx=OnnxOperator("Selu", (("alpha", SELU_ALPHA), ("gamma", SELU_SCALE))),
    )
)
ACTIVATIONS.add(
    Activation("gelu", "z Phi(z)", gelu, gelu_backward, from_input=True, onnx=OnnxOperator("Gelu"))
)
ACTIVATIONS.add(
    Activation(
        "gelu_tanh",
        "z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3)))",
        gelu_tanh,
        gelu_tanh_backward,
        from_input=True,
        onnx=OnnxOperator("Gelu", (("approximate", "tanh"),)),
    )
)
ACTIVATIONS.add(
    Activation("silu", "z / (1 + exp(-z))", silu, silu_backward, from_input=True, onnx=OnnxOperator("Swish"))
)
ACTIVATIONS.add(
    Activation(
        "mish", "z tanh(log(1 + exp(z)))", mish, mish_backward, from_input=True, onnx=OnnxOperator("Mish")
    )
)
ACTIVATIONS.add(
    Activation(
        "softplus", "log(1 + exp(z))", scalar.softplus, softplus_backward, onnx=OnnxOperator("Softplus")
    )
)
ACTIVATIONS.add(
    Activation("softsign", "z / (1 + |z|)", softsign, softsign_backward, onnx=OnnxOperator("Softsign"))
)
ACTIVATIONS.add(
    Activation(
        "hard_sigmoid",
        "min(max(z / 6 + 1/2, 0), 1)",
        hard_sigmoid,
        hard_sigmoid_backward,
        onnx=OnnxOperator("HardSigmoid", (("alpha", 1.0 / 6.0), ("beta", 0.5))),
    )
)
ACTIVATIONS.add(Activation("hard_tanh", "min(max(z, -1), 1)", hard_tanh, hard_tanh_backward))
ACTIVATIONS.add(Activation("relu6", "min(max(z, 0), 6)", relu6, relu6_backward))

ROW_ACTIVATIONS: Registry[RowActivation] = Registry("row activation")
ROW_ACTIVATIONS.add(
    RowActivation(
        "softmax",
        "exp(z_k) / sum_j exp(z_j)",
        softmax,
        softmax_backward,
        onnx=OnnxOperator("Softmax", (("axis", -1),)),
    )
)
ROW_ACTIVATIONS.add(
    RowActivation(
        "increasing", "f_0 = z_0, f_k = f_(k-1) + log(1 + exp(z_k))", increasing, increasing_backward
    )
)
ROW_ACTIVATIONS.add(
    RowActivation(
        "layer_norm",
        "(z_k - mean(z)) / sqrt(var(z) + 1e-5)",
        layer_norm,
        layer_norm_backward,
        output=False,
        from_input=True,
    )
)
OUTPUT_ACTIVATIONS = [*ACTIVATIONS.names(), *(entry.name for entry in ROW_ACTIVATIONS if entry.output)]

GROUP_ACTIVATIONS: Registry[GroupActivation] = Registry("group activation")
GROUP_ACTIVATIONS.add(GroupActivation("maxout", "max(z_1, ..., z_k)", maxout, maxout_backward))
