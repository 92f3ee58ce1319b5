"""The registered functions as device functions: the only file of this engine that reads registries.

A kernel is compiled with the functions that a plan names and no others, so that neither its compilation nor
its registers grow with the registries. In the tables that it reads, codes count within this short list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fastbp.engines import control
from fastbp.engines.cuda.switch import make_switch
from fastbp.engines.cuda.target import device
from fastbp.engines.cuda.typed import Typed
from fastbp.functions import schedules
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS, index_of_largest
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.registry import Registry
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.step import StepOptions, penalised_gradient, regularised_step
from fastbp.plan.network import Kind, NetworkPlan, Op
from fastbp.plan.training import TrainingPlan

IDENTITY = 0  # the code of the first of each selection's activations


@dataclass(frozen=True)
class Selection:
    """The registered functions of a kernel, by name; equal selections share a kernel.

    Attributes
    ----------
    activations, row_activations : tuple of str
        An op's code is its activation's place here.
    loss : str or None
        None for prediction: such a kernel knows no gradients either.
    solver : str or None
        None where gradients are wanted, not steps.
    l1, decay, clip : bool
        Whether weights have an L1 penalty or decay, and gradients are cut off.
    schedule : str or None
        Of the learning rate; None for a rate that is constant within an epoch.
    noises, input_noises : tuple of str
        Of the hidden layers and of the inputs; an op's code is its noise's place here.
    adds : bool
        Whether layers add their inputs to their outputs.
    averages : bool
        Whether a running mean of the weights is kept.
    max_norm, clip_norm : bool
        Whether the norms of units have a limit, and the norm of the gradient.
    rate_factors : bool
        Whether layers learn at rates of their own.
    groups, parametrics : tuple of str
        An op's code is its function's place here.
    batch_norm : bool
        Whether layers are normalised by the moments of the batch.
    """

    activations: tuple[str, ...]
    row_activations: tuple[str, ...]
    loss: str | None = None
    solver: str | None = None
    l1: bool = False
    decay: bool = False
    clip: bool = False
    schedule: str | None = None
    noises: tuple[str, ...] = ()
    input_noises: tuple[str, ...] = ()
    adds: bool = False
    averages: bool = False
    max_norm: bool = False
    clip_norm: bool = False
    rate_factors: bool = False
    groups: tuple[str, ...] = ()
    parametrics: tuple[str, ...] = ()
    batch_norm: bool = False

    @property
    def draws(self) -> bool:
        """Whether there is noise of any kind."""
        return bool(self.noises or self.input_noises)

    @property
    def elements(self) -> bool:
        """Whether there are ops that no product takes along."""
        return bool(self.groups or self.parametrics)

    @property
    def step(self) -> StepOptions:
        """Parts of a step besides the solver's rule."""
        return StepOptions(self.l1, self.decay, self.clip, self.clip_norm, self.rate_factors)

    @property
    def n_states(self) -> int:
        """State values of a parameter."""
        return 0 if self.solver is None else SOLVERS[self.solver].n_states

    @property
    def n_moments(self) -> int:
        """Vectors as long as the parameters: the solver's states, then the mean of the weights."""
        return self.n_states + self.averages

    def code(self, op: Op) -> int:
        """Number of an op's function among the functions of its kind."""
        if op.kind == Kind.ROW:
            return self.row_activations.index(ROW_ACTIVATIONS.at(op.code).name)
        if op.kind == Kind.NOISE:
            return self.noises.index(NOISES.at(op.code).name)
        if op.kind == Kind.GROUP:
            return self.groups.index(GROUP_ACTIVATIONS.at(op.code).name)
        if op.kind == Kind.PARAMETRIC:
            return self.parametrics.index(PARAMETRICS.at(op.code).name)
        return self.activations.index(ACTIVATIONS.at(op.code).name)

    def input_code(self, op: Op) -> int:
        """Of a noise of the inputs."""
        return self.input_noises.index(NOISES.at(op.code).name)


def derivative_of(op: Op) -> int:
    """The buffer whose values an activation's derivative is a function of."""
    from_input = False
    if op.kind == Kind.ELEMENTWISE:
        from_input = ACTIVATIONS.at(op.code).from_input
    elif op.kind == Kind.ROW:
        from_input = ROW_ACTIVATIONS.at(op.code).from_input
    return op.source if from_input else op.target


def unfused(network: NetworkPlan) -> frozenset[int]:
    """Positions of the ops that no product takes along: all that lie between two dense layers, or before the
    first, where one of them has parameters of its own or makes one value of several.
    """
    found: set[int] = set()
    chain: list[int] = []
    for position, op in enumerate(network.ops):
        if op.kind not in (Kind.DENSE, Kind.LOSS):
            chain.append(position)
            continue
        if any(network.ops[i].kind in (Kind.PARAMETRIC, Kind.GROUP) for i in chain):
            found.update(chain)
        chain = []
    return frozenset(found)


def select_prediction(network: NetworkPlan) -> Selection:
    """For the outputs of all layers of a network."""
    activations = _activations([op for op in network.ops if op.prediction])
    return Selection(
        *activations, adds=_adds(network), groups=_groups(network), parametrics=_parametrics(network)
    )


def select_gradients(network: NetworkPlan) -> Selection:
    """For the loss of a network and its gradient."""
    activations, row_activations = _activations([op for op in network.ops if op.training])
    loss = LOSSES.at(network.ops[-1].code).name
    return Selection(
        activations,
        row_activations,
        loss,
        adds=_adds(network),
        groups=_groups(network),
        parametrics=_parametrics(network),
    )


def select_training(network: NetworkPlan, training: TrainingPlan) -> Selection:
    """For the steps of a solver."""
    plain = select_gradients(network)
    first, apart = network.ops.index(network.dense[0]), unfused(network)
    of_inputs = [op for position, op in enumerate(network.ops[:first]) if position not in apart]
    return Selection(
        plain.activations,
        plain.row_activations,
        plain.loss,
        training.solver,
        l1=training.l1 > 0,
        decay=training.weight_decay > 0,
        clip=bool(np.isfinite(training.clip_value)),
        schedule=training.rate_schedule if training.has_rate_schedule else None,
        noises=_noises([op for op in network.ops if op not in of_inputs]),
        input_noises=_noises(of_inputs),
        adds=plain.adds,
        averages=training.averages,
        max_norm=training.max_norm > 0,
        clip_norm=bool(np.isfinite(training.clip_norm)),
        rate_factors=network.has_rate_factors,
        groups=plain.groups,
        parametrics=plain.parametrics,
        batch_norm=any(op.sync for op in network.ops),
    )


def _adds(network: NetworkPlan) -> bool:
    return any(op.kind == Kind.ADD for op in network.ops)


def _groups(network: NetworkPlan) -> tuple[str, ...]:
    return _named(GROUP_ACTIVATIONS, Kind.GROUP, network.ops)


def _parametrics(network: NetworkPlan) -> tuple[str, ...]:
    return _named(PARAMETRICS, Kind.PARAMETRIC, network.ops)


def _noises(ops: Sequence[Op]) -> tuple[str, ...]:
    return _named(NOISES, Kind.NOISE, ops)


def _named(registry: Registry[Any], kind: Kind, ops: Sequence[Op]) -> tuple[str, ...]:
    """Names in the order of the registry."""
    codes = {op.code for op in ops if op.kind == kind}
    return tuple(registry.at(code).name for code in sorted(codes))


def _activations(ops: list[Op]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names in the order of the registries, so that the order of layers makes no other kernel."""
    codes = {op.code for op in ops if op.kind == Kind.ELEMENTWISE}
    row_codes = {op.code for op in ops if op.kind == Kind.ROW}
    identity = {ACTIVATIONS.code("identity")}
    return (
        ("identity", *(ACTIVATIONS.at(code).name for code in sorted(codes - identity))),
        tuple(ROW_ACTIVATIONS.at(code).name for code in sorted(row_codes)),
    )


@dataclass(frozen=True)
class Formulas:
    """Device functions for one dtype; what the selection lacks is a function that does nothing.

    Attributes
    ----------
    activate, activate_backward
        ``(code, z) -> a``, ``(code, delta, v) -> delta``; v is what the derivative is a function of.
    activate_row, activate_row_backward
        ``(code, row, n)``, ``(code, delta, a, n)``, in place.
    index_of_largest
        ``(row, n, zero) -> index``.
    loss
        ``(z, y, delta, n, weight, p) -> loss``.
    penalised_gradient, step
        As of ``fastbp.functions.step``.
    disturb, disturb_backward, disturb_inputs
        ``(code, z, u, p) -> a``, ``(code, delta, u, p) -> delta``, ``(code, z, u, p) -> a``.
    group, group_backward
        ``(code, z, k) -> a``, ``(code, delta, z, into, k)``.
    parametric, parametric_backward
        ``(code, z, p, q) -> a``, ``(code, delta, z, p, q) -> (delta, of_p, of_q)``.
    """

    activate: Any
    activate_backward: Any
    activate_row: Any
    activate_row_backward: Any
    index_of_largest: Any
    loss: Any
    penalised_gradient: Any
    step: Any
    disturb: Any
    disturb_backward: Any
    disturb_inputs: Any
    group: Any
    group_backward: Any
    parametric: Any
    parametric_backward: Any


@cache
def typed(real: type) -> Typed:
    """One for each dtype: kernels share the device functions of a formula."""
    return Typed(real)


@device
def nothing(*args):
    pass


@cache
def formulas(real: type, selection: Selection) -> Formulas:
    """Compile lazily: nothing happens before a kernel needs it."""
    copy = typed(real)
    elementwise = [ACTIVATIONS[name] for name in selection.activations]
    rows = [ROW_ACTIVATIONS[name] for name in selection.row_activations]
    noises = [NOISES[name] for name in selection.noises]
    input_noises = [NOISES[name] for name in selection.input_noises]
    groups = [GROUP_ACTIVATIONS[name] for name in selection.groups]
    parametrics = [PARAMETRICS[name] for name in selection.parametrics]
    return Formulas(
        activate=make_switch([copy(entry.value) for entry in elementwise]),
        activate_backward=make_switch([copy(entry.backward) for entry in elementwise]),
        activate_row=make_switch([copy(entry.value) for entry in rows] or [nothing]),
        activate_row_backward=make_switch([copy(entry.backward) for entry in rows] or [nothing]),
        index_of_largest=copy(index_of_largest),
        loss=nothing if selection.loss is None else copy(LOSSES[selection.loss].row),
        penalised_gradient=copy(penalised_gradient(selection.l1)),
        step=nothing
        if selection.solver is None
        else copy(regularised_step(SOLVERS[selection.solver].update, selection.step)),
        disturb=make_switch([copy(entry.value) for entry in noises] or [nothing]),
        disturb_backward=make_switch([copy(entry.backward) for entry in noises] or [nothing]),
        disturb_inputs=make_switch([copy(entry.value) for entry in input_noises] or [nothing]),
        group=make_switch([copy(entry.value) for entry in groups] or [nothing]),
        group_backward=make_switch([copy(entry.backward) for entry in groups] or [nothing]),
        parametric=make_switch([copy(entry.value) for entry in parametrics] or [nothing]),
        parametric_backward=make_switch([copy(entry.backward) for entry in parametrics] or [nothing]),
    )


@dataclass(frozen=True)
class Rules:
    """Formulas of the bookkeeping, once a step or once an epoch: in float64 whatever the network's dtype.

    Attributes
    ----------
    coefficients
        ``(rate, h, step) -> c``.
    factor
        ``(step, epoch_steps, total, p) -> factor`` of the learning rate, warm-up included.
    batch_weight, l2_of_batch, average_fraction, end_epoch
        As in ``fastbp.engines.control``.
    """

    coefficients: Any
    factor: Any
    batch_weight: Any
    l2_of_batch: Any
    average_fraction: Any
    end_epoch: Any


def _warmed_up(copy: Typed, schedule: str) -> Any:
    factor, warmed_up = copy(schedules.RATE_SCHEDULES[schedule].factor), copy(schedules.warmed_up)

    @device
    def warmed_up_factor(step, epoch_steps, total, p):
        return warmed_up(factor(step, epoch_steps, total, p), step, p[schedules.N_PARAMETERS - 1])

    return warmed_up_factor


@cache
def rules(solver: str | None, schedule: str | None) -> Rules:
    """The same, of ``fastbp.functions.schedules``, ``fastbp.engines.control`` and a solver's coefficients."""
    copy = typed(np.float64)
    return Rules(
        factor=nothing if schedule is None else _warmed_up(copy, schedule),
        coefficients=nothing if solver is None else copy(SOLVERS[solver].coefficients),
        batch_weight=copy(control.batch_weight),
        l2_of_batch=copy(control.l2_of_batch),
        average_fraction=copy(control.average_fraction),
        end_epoch=copy(control.end_epoch),
    )
