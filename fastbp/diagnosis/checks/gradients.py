"""Checks of how activations and gradients change from layer to layer, and of the steps that come of them."""

import numpy as np

from fastbp.diagnosis import probe
from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding
from fastbp.diagnosis.rows import Rows

MOST_ROWS = 200  # of the statistics, as many as a usual batch
N_STEPS = 10  # before the one whose size is measured
# Ratios from end to end: 0.04 to 1 for healthy networks of two to five layers of relu or tanh, 0.004 for two
# of logistic units, which learn slower; Glorot and Bengio (2010) want them near one. float32 rounds sums at
# 1e-7 of their terms.
TIMES, MANY_TIMES = 1e3, 1e6
# Update of a layer's weights over the weights, norms, of one step: about 1e-3 (notes of CS231n, Karpathy).
# Adam's first step is the rate over the weights: 0.004 to 0.08 for healthy networks at 1e-3 to 1e-2, a third
# of that after ten steps.
SMALL_STEP, LARGE_STEP = 1e-5, 0.5


def layer_sizes(case: Case) -> tuple[list[float], list[float]]:
    """Spread of each layer's activations over the rows, and size of the gradient at each layer's outputs.

    Of hidden layers and the output, as training begins. The gradients are those of the weights over
    the size of the layer's inputs, so that the scale of X does not count.
    """
    train = case.split[0]
    rows: Rows = train.take(np.arange(min(len(train), MOST_ROWS)))
    model = case.initial_with_outputs
    outputs = model.activations(rows.X)
    gradients = probe.without_penalties(model).loss_and_gradients(rows.X, rows.y, rows.weight).coefs
    first = 1.0 if case.options.input_scaling is not None else _size(rows.X)
    inputs = [first, *(_size(output) for output in outputs[:-1])]
    spread = [float(np.std(output.astype(np.float64), axis=0).mean()) for output in outputs]
    back = [
        _size(gradient) / size if size > 0 else 0.0 for gradient, size in zip(gradients, inputs, strict=True)
    ]
    return spread, back


def _size(values) -> float:
    values = values if isinstance(values, np.ndarray) else values.toarray()
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _sizes(case: Case) -> tuple[list[float], list[float]]:
    need(len(case.options.hidden) > 1, "there are fewer than two hidden layers")
    found = case.shared("layer_sizes", lambda: layer_sizes(case))
    return found


def _told(sizes: list[float]) -> str:
    return " → ".join(f"{size:.1e}" for size in sizes)


@check(
    meaning="signals fade: activations towards the output, or gradients towards the input",
    figure="ratio of the sizes at both ends",
    threshold=f"below 1/{TIMES:,.0f} (serious: 1/{MANY_TIMES:,.0f})",
    remedy='`activation="relu"` or `"silu"`, `init="he"` (selu: `"lecun"`), `norm="layer"`, `residual=True`',
)
def vanishing_signals(case: Case) -> Finding | None:
    spread, back = _sizes(case)
    forward = (
        spread[-2] / spread[0] if spread[0] > 0 else 1.0
    )  # the last hidden layer's; outputs have a scale
    backward = back[0] / back[-1] if back[-1] > 0 else 1.0
    ratio = min(forward, backward)
    if ratio >= 1 / TIMES:
        return None
    what = (
        f"gradients from the output to the first layer, by layer: {_told(back)}"
        if backward <= forward
        else f"activations from the first to the last hidden layer, by layer: {_told(spread[:-1])}"
    )
    return Finding(
        "serious" if ratio < 1 / MANY_TIMES else "warning",
        f"Signals vanish, {ratio:.1e} times the size: {what}. The far layers hardly learn.",
        ratio,
        'Set activation="relu" or "silu" with init="he", norm="layer" or residual=True, or take fewer '
        "layers.",
        {"activation": "relu", "init": "he", "norm": "layer"},
        {"activations": spread, "gradients": back},
    )


@check(
    meaning="signals grow: activations towards the output, or gradients towards the input",
    figure="ratio of the sizes at both ends",
    threshold=f"above {TIMES:,.0f} (serious: {MANY_TIMES:,.0f})",
    remedy='`init="glorot"` or "he", `norm="layer"`, `clip_norm=1.0`',
)
def exploding_signals(case: Case) -> Finding | None:
    spread, back = _sizes(case)
    forward = spread[-2] / spread[0] if spread[0] > 0 else 1.0
    backward = back[0] / back[-1] if back[-1] > 0 else 1.0
    ratio = max(forward, backward)
    if ratio <= TIMES:
        return None
    what = (
        f"gradients from the output to the first layer, by layer: {_told(back)}"
        if backward >= forward
        else f"activations from the first to the last hidden layer, by layer: {_told(spread[:-1])}"
    )
    return Finding(
        "serious" if ratio > MANY_TIMES else "warning",
        f"Signals explode, {ratio:.1e} times the size: {what}.",
        ratio,
        'Begin with smaller weights, init="glorot" or "he"; norm="layer" keeps the sizes, clip_norm=1.0 '
        "limits the steps.",
        {"init": "he", "norm": "layer", "clip_norm": 1.0},
        {"activations": spread, "gradients": back},
    )


@check(
    meaning="steps are far from a thousandth of the weights",
    figure="norm of a step over the norm of the weights, median of the layers",
    threshold=f"below {SMALL_STEP:.5f}, above {LARGE_STEP:g}",
    remedy="`learning_rate_init` by the range test",
)
def update_ratio(case: Case) -> Finding | None:
    need(case.options.is_stochastic, f"solver={case.options.solver!r} chooses its steps by a line search")
    copy = probe.copy_of(case.network, case.random_state, early_stopping=False)
    first, later = probe.update_ratios(copy, case.split[0], N_STEPS)
    sizes = [[ratio for ratio in ratios if np.isfinite(ratio) and ratio > 0] for ratios in (first, later)]
    need(all(sizes), "the first steps move nothing, or are not finite")
    # A layer of few weights, or of zeros, may move far; weights that have jumped are large and move less.
    largest, smallest = float(np.median(sizes[0])), float(np.median(sizes[1]))
    if smallest >= SMALL_STEP and largest <= LARGE_STEP:
        return None
    small = smallest < SMALL_STEP
    worst, ratios = (smallest, later) if small else (largest, first)
    try:
        rate = case.range_test.suggestion
    except Exception:
        rate = None
    change = {} if rate is None else {"learning_rate_init": float(f"{rate:.1g}")}
    return Finding(
        "warning",
        f"A step changes the weights of a layer by {worst:.1e} of their norm, by layer {_told(ratios)}. "
        "About "
        "1e-3 is usual: " + ("training hardly moves." if small else "training jumps."),
        worst,
        ("Raise" if small else "Lower")
        + " learning_rate_init"
        + ("." if rate is None else f"; the range test suggests {rate:.1g}."),
        change,
        {"layers": ratios},
    )
