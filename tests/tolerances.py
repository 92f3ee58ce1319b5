"""The tolerances of the suite, in one place, each with the reason for its size.

Every constant is a dict of keyword arguments for `numpy.testing.assert_allclose`.
"""

# Two float64 programs that do the same arithmetic in another order.
SAME_ARITHMETIC = {"rtol": 1e-9, "atol": 1e-11}

# The same in float32: 24 bits of mantissa, some hundred roundings behind one another.
SAME_ARITHMETIC_32 = {"rtol": 1e-3, "atol": 1e-4}

# A closed form that is worked out in the test against one evaluation in float64.
CLOSED_FORM = {"rtol": 1e-12, "atol": 1e-14}

# Weights against scikit-learn's after a few epochs. Adam divides by square roots of small numbers, so
# differences of rounding grow from step to step.
SKLEARN = {"rtol": 0, "atol": 1e-6}

# scikit-learn's float32 weights: both sides round, and adam amplifies it.
SKLEARN_32 = {"rtol": 0, "atol": 1e-3}

# Central differences with STEP in float64: truncation is of the order STEP², cancellation of 1e-16 / STEP.
STEP = 1e-5
CENTRAL_DIFFERENCES = {"rtol": 1e-6, "atol": 1e-8}

# Two different optimisers at the same optimum of a convex problem.
SAME_OPTIMUM = {"rtol": 1e-3, "atol": 1e-3}

# A compiled engine against the naive one in float64, by the dtype of the compiled one. After ten steps the
# roundings of float32 have gone through the network ten times, and through Adam's quotients.
ONE_STEP = {"float64": {"rtol": 1e-11, "atol": 1e-13}, "float32": {"rtol": 1e-4, "atol": 1e-5}}
TEN_STEPS = {"float64": {"rtol": 1e-9, "atol": 1e-11}, "float32": {"rtol": 1e-3, "atol": 1e-4}}
