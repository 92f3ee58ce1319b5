"""Normalisation of a layer's values: mean 0 and variance 1, over the features of a row or over the batch."""

from fastbp.functions.primitives import fma, get, put, sqrt

EPSILON = 1e-5  # added to variances
MOMENTUM = 0.1  # share of a batch in the running statistics


def moments(row, n):
    """Return the mean of a row, and 1 / sqrt(variance + EPSILON)."""
    mean = get(row, 0)
    for j in range(1, n):
        mean = mean + get(row, j)
    mean = mean * (1.0 / float(n))
    d = get(row, 0) - mean
    squares = d * d
    for j in range(1, n):
        d = get(row, j) - mean
        squares = fma(d, d, squares)
    return mean, 1.0 / sqrt(squares * (1.0 / float(n)) + EPSILON)


def layer_norm(row, n):
    # Ba, Kiros, Hinton 2016, equation 3; gain and bias are a separate op.
    mean, factor = moments(row, n)
    for j in range(n):
        put(row, j, (get(row, j) - mean) * factor)


def layer_norm_backward(delta, z, n):
    # With a = (z - mean) r: r (delta - mean(delta) - a mean(delta a)).
    mean, factor = moments(z, n)
    total, inner = get(delta, 0) * 0.0, get(delta, 0) * 0.0
    for j in range(n):
        total = total + get(delta, j)
        inner = fma(get(delta, j), (get(z, j) - mean) * factor, inner)
    total, inner = total * (1.0 / float(n)), inner * (1.0 / float(n))
    for j in range(n):
        put(delta, j, factor * (get(delta, j) - total - (get(z, j) - mean) * factor * inner))


def standardise(z, p, q):
    # Ioffe and Szegedy 2015, algorithm 1: p and q are mean and variance, of the batch in training.
    return (z - p) / sqrt(q + EPSILON)


def standardise_backward(delta, z, p, q):
    # In prediction p and q are constants.
    slope = delta / sqrt(q + EPSILON)
    return slope, slope, slope
