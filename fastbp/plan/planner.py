"""Planning of networks: the one place where names become codes and sizes become offsets.

What cannot be trained is refused here, by the parameter's name.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastbp.functions.activations import (
    ACTIVATIONS,
    GROUP_ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    ROW_ACTIVATIONS,
)
from fastbp.functions.loss_lookup import find_loss
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.values import shown
from fastbp.plan.network import Kind, NetworkPlan, Op


def network_plan(
    *,
    n_inputs: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    activation: str | Sequence[str],
    out_activation: str,
    loss: str,
    constants: tuple[float, ...] | None = None,
    fit_intercept: bool,
    dtype: np.dtype,
    dropout: float | Sequence[float] = 0.0,
    input_dropout: float = 0.0,
    input_noise: float = 0.0,
    residual: bool = False,
    robust_inputs: bool = False,
    input_scales: bool = False,
    blend: bool = False,
    norm: str | None = None,
    rate_factors: tuple[float, float, float, float] | None = None,
    maxout_pieces: int = 2,
) -> NetworkPlan:
    """Plan a network.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden_layer_sizes : sequence of int
        May be empty: then the network is a linear model with an output activation.
    activation : str or sequence of str
        A name, or one for each hidden layer.
    out_activation : str
        A resolved name, never "auto".
    loss : str
        The user's name of the loss.
    constants : tuple of float or None
        Parameters of the loss, as `Loss.constants` returns them; None: defaults.
    dropout : float or sequence of float
        Share of the units that are dropped, for all hidden layers or for each.
    input_dropout, input_noise : float
        Share of the inputs that are dropped; standard deviation of the noise added to them.
    residual : bool
        Whether each hidden layer except the first adds its inputs to its outputs if their numbers are equal.
    robust_inputs, input_scales, blend : bool
        Whether inputs are robustly scaled and smoothly clipped; whether they are multiplied by learned
        factors; whether hidden units learn a blend of their activation with the identity.
    norm : {"batch", "layer"} or None
        Normalisation of hidden layers, before their activation.
    rate_factors : tuple of float or None
        Factors of the learning rate: of weights, of biases and of parametric ops; that of weights is divided
        by the layer's number of inputs to the power of the fourth. None: one rate for all.
    maxout_pieces : int
        Linear outputs for each unit of a maxout layer: those of unit j are its columns k·j … k·j + k - 1.
    fit_intercept : bool
    dtype : float32 or float64

    Raises
    ------
    ValueError
        For an unknown name or a combination that cannot be trained; names the parameter.
    """
    dtype = np.dtype(dtype)
    names = hidden_activations(activation, len(hidden_layer_sizes))
    refuse_output(out_activation)
    if out_activation not in OUTPUT_ACTIVATIONS and out_activation not in ACTIVATIONS:
        known = ["auto", *OUTPUT_ACTIVATIONS]
        raise ValueError(f"out_activation={out_activation!r} is unknown; choose one of {known}.")
    entry = find_loss(loss, out_activation)
    constants = entry.constants({}) if constants is None else constants

    ops: list[Op] = []
    widths = [n_inputs]
    offset, source = 0, 0
    rates = [dropout] * len(names) if isinstance(dropout, int | float) else list(dropout)
    if len(rates) != len(names):
        raise ValueError(
            f"dropout={dropout!r} names {len(rates)} rates for {len(names)} hidden layers; give one number "
            "for all, or a list with one for each."
        )

    def grow(kind: Kind, code: int, **more) -> None:
        """Append an op that reads the last buffer and writes a new one."""
        nonlocal source
        ops.append(Op(kind, code, source, len(widths), widths[source], widths[source], **more))
        widths.append(widths[source])
        source = ops[-1].target

    def own_rates(weights: float, biases: float) -> int:
        """Append the factors of an op's learning rates to the constants; return their index."""
        nonlocal constants
        if rate_factors is None:
            return 0
        constants += (weights, biases)
        return len(constants) - 2

    def add_parametric(name: str, **more) -> None:
        nonlocal offset
        entry = PARAMETRICS[name]
        cols = len(entry.start) * widths[source]
        factor = rate_factors[2] if rate_factors else 1.0
        grow(
            Kind.PARAMETRIC,
            PARAMETRICS.code(name),
            offset=offset,
            rows=1,
            cols=cols,
            other=len(widths) + 1,
            learned=int(entry.learned),
            constants=own_rates(factor, factor),
            **more,
        )
        widths.append(cols)
        offset += cols

    def add_noise(name: str, strength: float) -> None:
        nonlocal constants
        if strength > 0:
            grow(Kind.NOISE, NOISES.code(name), constants=len(constants))
            constants += NOISES[name].constants(strength)

    if robust_inputs:
        add_parametric("robust")
    if input_scales:
        add_parametric("scale")
    add_noise("gaussian", float(input_noise))
    add_noise("dropout", float(input_dropout))
    for layer, (name, n_out) in enumerate(
        zip([*names, out_activation], [*hidden_layer_sizes, n_outputs], strict=True)
    ):
        target = len(widths)
        is_hidden = layer < len(names)
        # Batch normalisation subtracts the mean, and any bias with it.
        bias = int(fit_intercept and not (is_hidden and norm == "batch"))
        width = n_out * pieces_of(name, maxout_pieces)
        n_in = widths[source]
        block = dict(offset=offset, rows=n_in + bias, cols=width)
        dense = Op(Kind.DENSE, 0, source, target, n_in, width, bias, **block)
        if rate_factors is not None:
            of_weights = rate_factors[0] * dense.n_in ** -rate_factors[3]
            dense = replace(dense, constants=own_rates(of_weights, rate_factors[1]))
        offset += dense.rows * dense.cols
        widths.append(width)
        ops.append(dense)
        before, source = source, target
        if is_hidden and norm is not None:
            if norm == "batch":
                add_parametric("standardise", sync=1)
            else:
                grow(Kind.ROW, ROW_ACTIVATIONS.code("layer_norm"))
            add_parametric("affine")
        if blend and is_hidden:
            if name in GROUP_ACTIVATIONS:
                raise ValueError(
                    f"parametric_activation=True blends a unit's input with its activation, but units of "
                    f"{name!r} have several inputs: choose another activation."
                )
            add_parametric(f"blended {name}")
        elif name != "identity":
            merged = not is_hidden and name == entry.merged_with
            op = _activation(name, source, len(widths), width, n_out, merged)
            ops.append(op)
            if op.target != op.source:
                widths.append(n_out)
                source = op.target
        if is_hidden:
            add_noise("dropout", float(rates[layer]))
            if residual and layer > 0 and widths[before] == n_out:
                grow(Kind.ADD, 0, other=before)
    ops.append(Op(Kind.LOSS, LOSSES.code(entry.name), source, source, n_outputs, n_outputs))
    return NetworkPlan(
        tuple(ops),
        n_inputs,
        n_outputs,
        entry.n_targets(n_outputs),
        entry.class_targets,
        dtype,
        offset,
        tuple(widths),
        constants,
        rate_factors is not None,
    )


def _activation(name: str, buffer: int, next_buffer: int, width: int, n_out: int, merged: bool) -> Op:
    """Return the op of an activation: in place, or into the next buffer if its derivative needs its input."""
    training = int(not merged)
    if name in GROUP_ACTIVATIONS:
        return Op(Kind.GROUP, GROUP_ACTIVATIONS.code(name), buffer, next_buffer, width, n_out)
    if name in ROW_ACTIVATIONS:
        return Op(Kind.ROW, ROW_ACTIVATIONS.code(name), buffer, buffer, width, width, training=training)
    target = next_buffer if ACTIVATIONS[name].from_input and not merged else buffer
    return Op(Kind.ELEMENTWISE, ACTIVATIONS.code(name), buffer, target, width, width, training=training)


def hidden_activations(activation: str | Sequence[str], n_layers: int) -> list[str]:
    """Return the activation of each hidden layer, or raise ValueError."""
    names = [activation] * n_layers if isinstance(activation, str) else list(activation)
    for name in [activation] if isinstance(activation, str) else names:
        refuse_hidden(name)
    if len(names) != n_layers:
        raise ValueError(
            f"activation={activation!r} names {len(names)} activations for {n_layers} hidden layers; give "
            "one name for all, or a list with one for each."
        )
    return names


def is_hidden_activation(name: object) -> bool:
    """Return whether hidden layers may have an activation, listed in its registry or not."""
    return name in GROUP_ACTIVATIONS or (name in ACTIVATIONS and ACTIVATIONS[str(name)].hidden)


def refuse_hidden(activation: object) -> None:
    """Raise ValueError for anything except an activation of hidden layers."""
    if not is_hidden_activation(activation):
        known = [entry.name for entry in ACTIVATIONS if entry.hidden] + GROUP_ACTIVATIONS.names()
        raise ValueError(
            f"activation={shown(activation)} is unknown for hidden layers; choose one of {known}."
        )


def pieces_of(activation: str, maxout_pieces: int) -> int:
    """Return the number of linear outputs per unit of a layer with that activation."""
    return maxout_pieces if activation in GROUP_ACTIVATIONS else 1


def refuse_output(out_activation: object) -> None:
    """Raise ValueError for an activation that is not for the output layer."""
    if isinstance(out_activation, str) and out_activation in GROUP_ACTIVATIONS:
        raise ValueError(
            f"out_activation={out_activation!r} is not for the output layer: it takes the largest of several "
            "linear outputs, and a loss has one for each target; choose it as activation, for hidden layers."
        )
