"""Checks of the units of a trained network: dead, saturated, or doing the same."""

from collections.abc import Iterator

import numpy as np

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding
from fastbp.estimators.mlp import BackPropagation
from fastbp.plan.planner import hidden_activations

MOST_ROWS = 1000
# A unit whose output is the same for every row, up to rounding of float32.
CONSTANT = 1e-6
# Shares of the units of a layer. Healthy networks on six sets of sklearn.datasets have up to 34 % dead units
# (five layers of 32 relu units; with one layer, 24 %); "as much as 40 %" is the sign of a high learning rate
# in the notes of CS231n (Karpathy).
SOME_DEAD, MOST_DEAD = 0.5, 0.75
# Activations this near to an end of their range, in units of its width, have less than a tenth of the largest
# derivative of logistic and tanh.
NEAR_END = 0.02
ROWS_AT_END = 0.9  # share of the rows for which a unit must be there
# None in trained tanh and logistic networks on these sets (Glorot and Bengio 2010 show what many do).
SOME_SATURATED, MOST_SATURATED = 0.25, 0.75
SOME_TWINS = 0.1  # share of the units: one pair may be meant, or chance
TWINS = 1e-5  # distance of incoming weights over their norm; units drawn at random are never so near
RANGES = {
    "logistic": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
}


def hidden_outputs(case: Case) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield the number, from 1, the activation and the outputs of each hidden layer of the trained "
    "network."""
    network: BackPropagation = case.trained
    outputs = network.activations(case.rows.X[:MOST_ROWS])[:-1]
    names = hidden_activations(network._options().activations, len(outputs))
    for number, (name, output) in enumerate(zip(names, outputs, strict=True), start=1):
        yield number, name, output.astype(np.float64)


@check(
    meaning="units that give the same for every row",
    figure="largest share of them in a hidden layer",
    threshold=f"above {SOME_DEAD:.0%} (serious: {MOST_DEAD:.0%})",
    remedy='smaller learning rate, `activation="leaky_relu"` or "silu", `init="he"`, scaled inputs',
)
def dead_units(case: Case) -> Finding | None:
    need(case.options.hidden, "there are no hidden layers")
    shares, dead = {}, {}
    for number, _, output in hidden_outputs(case):
        constant = np.ptp(output, axis=0) <= CONSTANT * np.maximum(1.0, np.abs(output).max(axis=0))
        shares[number], dead[number] = float(constant.mean()), np.flatnonzero(constant).tolist()
    worst = max(shares, key=lambda number: shares[number])
    if shares[worst] <= SOME_DEAD:
        return None
    return Finding(
        "serious" if shares[worst] > MOST_DEAD else "warning",
        f"{len(dead[worst])} units of hidden layer {worst} ({shares[worst]:.0%}) give the same for every "
        "row, so that they neither tell anything nor learn.",
        shares[worst],
        'Lower learning_rate_init, or set activation="leaky_relu" (or "silu"), whose derivative does not '
        "vanish; scale the inputs; fewer units may do.",
        {"activation": "leaky_relu"},
        {"units": dead},
    )


@check(
    meaning="units of bounded activations at the end of their range, where the derivative vanishes",
    figure="largest share of them in a hidden layer",
    threshold=f"above {SOME_SATURATED:.0%} (serious: {MOST_SATURATED:.0%})",
    remedy="scaled inputs, smaller initial weights or learning rate, `norm`, `l2`",
)
def saturated_units(case: Case) -> Finding | None:
    shares = {}
    for number, name, output in hidden_outputs(case):
        adds_inputs = case.options.residual and number > 1  # if the widths are equal
        if name not in RANGES or adds_inputs or case.options.parametric_activation:
            continue
        low, high = RANGES[name]
        near = NEAR_END * (high - low)
        at_end = (output < low + near) | (output > high - near)
        shares[number] = float((at_end.mean(axis=0) > ROWS_AT_END).mean())
    need(shares, "the outputs of no hidden layer are bounded")
    worst = max(shares, key=lambda number: shares[number])
    if shares[worst] <= SOME_SATURATED:
        return None
    return Finding(
        "serious" if shares[worst] > MOST_SATURATED else "warning",
        f"{shares[worst]:.0%} of the units of hidden layer {worst} are at an end of their range for nearly "
        "all rows, where their gradient vanishes.",
        shares[worst],
        'Scale the inputs, begin with smaller weights (init="glorot") and a smaller learning_rate_init; '
        'norm="layer" or l2 keep the layer within its range.',
        {"init": "glorot", "norm": "layer"},
        {"layers": shares},
    )


@check(
    meaning="units with the same weights: they stay the same for ever",
    figure="largest share of units of a hidden layer that repeat another",
    threshold=f"above {SOME_TWINS:.0%}",
    remedy="random initial weights: `init` other than zeros, different columns of `coefs_init`",
)
def duplicate_units(case: Case) -> Finding | None:
    network = case.trained
    need(len(network.coefs_) > 1, "there are no hidden layers")
    shares = {}
    for number, (coef, intercept) in enumerate(
        zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True), start=1
    ):
        columns = np.vstack([coef, intercept]).T.astype(np.float64)
        if len(columns) < 2:
            continue
        size = max(float(np.linalg.norm(columns, axis=1).mean()), np.finfo(float).tiny)
        rounded = np.round(columns / (TWINS * size))
        shares[number] = float(1 - len(np.unique(rounded, axis=0)) / len(rounded))
    need(shares, "there is one unit in each hidden layer")
    worst = max(shares, key=lambda number: shares[number])
    if shares[worst] <= SOME_TWINS:
        return None
    return Finding(
        "serious",
        f"{shares[worst]:.0%} of the units of hidden layer {worst} have the weights of another: they get "
        "equal gradients and never part, so that the layer counts as a smaller one.",
        shares[worst],
        'Begin with random weights: init="glorot" (or "he"), and no equal columns in coefs_init.',
        {"init": "glorot"},
        {"layers": shares},
    )
