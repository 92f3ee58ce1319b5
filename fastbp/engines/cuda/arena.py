"""The arena: parameters, moments, activations and deltas of a network in one vector on the device."""

from dataclasses import dataclass

from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.tiling import SMALL, Tiling
from fastbp.functions.solvers import N_COEFFICIENTS
from fastbp.plan.network import Kind, NetworkPlan, Op, padded

ALIGNMENT = 32  # elements between which regions of the arena begin
NOWHERE = -1
# The moments of a batch, n values each for n features: its mean and variance, then over its rows the sums of
# the deltas and of the deltas times the outputs. After them lies 1 / the sum of the rows' weights.
MEAN, VARIANCE, SUM_OF_DELTAS, INNER_SUM, N_MOMENTS = range(5)
# Values of a step, after the solver's coefficients: the L2 penalty's strength, the factor of the rows'
# weights, the L1 penalty's strength, the fraction that decay takes, the limit of gradients, of their norm,
# the factor that this limit scales them by, the limit of the norms of units, the fraction by which the mean
# of the weights moves, and the one by which running moments of batch normalisation do, for a batch of mean
# weight 1.
(
    PENALTY,
    FACTOR,
    STRENGTH,
    SHARE_OF_DECAY,
    LIMIT,
    GRADIENT_NORM,
    SCALE,
    LARGEST_NORM,
    SHARE,
    SHARE_OF_MOMENTS,
    N_OF_STEP,
) = range(N_COEFFICIENTS, N_COEFFICIENTS + 11)


@dataclass(frozen=True)
class ArenaOffsets:
    """Offsets into the arena, in elements; parameters come first.

    Attributes
    ----------
    constants : the parameters of the loss, then of other ops
    activations, deltas : of each buffer; deltas of inputs are NOWHERE where nothing is learned before the
        first layer. Of the second buffer of a parametric op: the moments of the batch (MEAN …), and the
        derivatives by its parameters
    partials : sums of the loss over tiles of rows, pass by pass
    penalties, squares : sums of squared weights and of squared gradients over tiles of weights
    size : of the whole arena
    """

    moments: int
    gradient: int
    coefficients: int
    constants: int
    activations: tuple[int, ...]
    deltas: tuple[int, ...]
    targets: int
    weights: int
    partials: int
    penalties: int
    squares: int
    size: int

    @property
    def head(self) -> int:
        """Elements before the activations: all that is kept from step to step, and little else."""
        return self.activations[0]


class _Regions:
    """Hands out the arena."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, n: int) -> int:
        start = self.size
        self.size += padded(n, ALIGNMENT)
        return start


def arena_layout(
    network: NetworkPlan,
    selection: Selection,
    tiling: Tiling,
    rows: int,
    n_passes: int,
    stored: bool,
) -> ArenaOffsets:
    """Lay out the arena for passes of `rows` rows.

    Parameters
    ----------
    network : NetworkPlan
    selection : Selection
        Prediction needs nothing but parameters and activations.
    stored : bool
        Whether gradients are kept: of batches of several passes, of full-batch gradients, and where their
        norm has a limit.
    """
    regions = _Regions()
    training = selection.loss is not None
    n = network.n_parameters
    regions.take(n)
    moments = regions.take(selection.n_moments * n)
    gradient = regions.take(n if stored else 0)
    coefficients = regions.take(N_OF_STEP)
    constants = regions.take(len(network.constants) if training else 0)
    in_place = _in_place(network, selection)
    own = {op.other: op for op in network.parametric}
    activations: list[int] = []
    for buffer, width in enumerate(network.widths):
        before, op = in_place.get(buffer), own.get(buffer)
        size = rows * width
        if op is not None:
            size = N_MOMENTS * op.n_out + 1 if selection.batch_norm and op.sync else 0
        activations.append(regions.take(size) if before is None else activations[before])
    deltas = [NOWHERE] * len(network.widths)
    if training and learns_before(network, network.ops.index(network.dense[0])):
        deltas[0] = regions.take(rows * network.n_inputs)
    for op in network.ops if training else ():
        if op.kind in (Kind.DENSE, Kind.ADD, Kind.GROUP):
            # Of a sum on its own: two layers need it.
            deltas[op.target] = regions.take(rows * op.n_out)
        elif op.target != op.source:
            deltas[op.target] = deltas[op.source]  # turned from one into the other in place
        if op.kind == Kind.PARAMETRIC and op.learned:
            deltas[op.other] = regions.take(rows * op.cols)
    targets = regions.take(rows * network.n_targets if training else 0)
    weights = regions.take(rows if training else 0)
    partials = regions.take(n_passes * -(-rows // tiling.rows_of_tile))
    penalties = regions.take(_most_penalty_tiles(network, tiling) if training else 0)
    squares = regions.take(_most_penalty_tiles(network, tiling) if selection.clip_norm else 0)
    return ArenaOffsets(
        moments,
        gradient,
        coefficients,
        constants,
        tuple(activations),
        tuple(deltas),
        targets,
        weights,
        partials,
        penalties,
        squares,
        regions.size,
    )


def learns_before(network: NetworkPlan, position: int) -> bool:
    """Whether ops before this one have parameters that training changes."""
    return any(op.cols > 0 and op.learned for op in network.ops[:position])


def learned_rows(network: NetworkPlan) -> list[Op]:
    """The ops whose row of parameters training changes by a gradient."""
    return [op for op in network.parametric if op.learned]


def _in_place(network: NetworkPlan, selection: Selection) -> dict[int, int]:
    """Buffers that share their memory with the one before: after noise of the inputs, or noise not drawn."""
    first = network.ops.index(network.dense[0])
    return {
        op.target: op.source
        for number, op in enumerate(network.ops)
        if op.kind == Kind.NOISE and (number < first or not selection.draws)
    }


def n_tiles_of(width: int, m: int, n: int) -> int:
    """Tiles of a matrix (m, n)."""
    return -(-m // width) * -(-n // width)


def _most_penalty_tiles(network: NetworkPlan, tiling: Tiling) -> int:
    shapes = [(op.n_in + op.bias, op.n_out) for op in network.dense]
    shapes += [(1, op.cols) for op in learned_rows(network)]
    return sum(n_tiles_of(tiling.width(SMALL), *shape) for shape in shapes)
