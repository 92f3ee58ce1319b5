"""From a plan to the table that the kernel walks through: phases, jobs, and the one arena they work on.

A step is a list of phases with a barrier of the team behind each. The jobs of a phase may run side by side:

- GATHER: inputs, targets and weights of the batch, by the order of the epoch; then the noise of the inputs.
- TILES: products of matrices, tile by tile, with what follows on each tile. Forward: the elementwise
  activation, then noise, then the layer's inputs added. Backward: the derivatives of all that. Gradients of
  all layers at once: the solver's update.
- ROWS: a thread takes a row of the batch through row activation, loss and what comes behind them.
- NORMS: the weights of units are scaled down to a limit.

A batch of several passes goes through all but NORMS several times, and gradients are kept until all of it has
been seen: then one more phase makes the step. So it is where the norm of the gradient has a limit.

A product is C[m, n] = Σ_k A[m, k] · B[k, n] on matrices given by offset and strides: forward, backward and
gradient differ in numbers only. The bias is one more input that is always 1: a column ONE_K of A forward,
a row ONE_M of A in the gradient.

Nothing here depends on the device: a fit has the same bits on every GPU of the same arithmetic, and for every
number of blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastbp.engines.cuda.lowering import IDENTITY, Selection, derivative_of
from fastbp.engines.cuda.tiling import LARGE, SMALL, Tiling
from fastbp.functions.solvers import N_COEFFICIENTS
from fastbp.plan.network import Kind, NetworkPlan, Op, padded

GATHER, TILES, ROWS, NORMS = range(4)  # phases
FORWARD, BACKWARD, GRADIENT = range(3)  # jobs of TILES
ROW_FORWARD, LOSS, ROW_BACKWARD, ELEMENT_BACKWARD, LARGEST = range(5)  # jobs of ROWS
ROWS_OF_DATA, INPUT_NOISE = range(2)  # jobs of GATHER

# Columns of the phases.
PHASE_KIND, FIRST_JOB, LAST_JOB, N_PHASE_FIELDS = range(4)

# Columns of the jobs. M, N, K: sizes of a product, BATCH_ROWS for the rows of the pass. CODE: an activation
# of the selection; of GATHER and NORMS, log2 of the threads along a row; of LOSS, where its parameters are.
# AUX: of FORWARD, where the product itself is kept, or NOWHERE; of BACKWARD, the values whose derivative is
# wanted; of LOSS and GATHER, the weights. FIRST_TILE: tiles of the phase before this job's.
# CONSTANTS: of GRADIENT, the factors of the learning rate of weights and of biases.
# NOISE: what noise follows the activation, or NOWHERE; with the op's number DRAW, its CONSTANTS, and forward
# DISTURBED, where the result goes. ADDED: what is added behind that (forward) or before it (backward), and
# SUM, where the sum is kept; NOWHERE for none.
# ROWS: A the values, B the targets, C the deltas, N their width.
# GATHER: A the inputs, N their width, B the targets, K their width.
# NORMS: C a layer's parameters, M their rows, N their columns, K the rows without the bias.
FIELD_NAMES = (
    "JOB_KIND", "CODE", "SHAPE", "A", "A_ROW", "A_COL", "B", "B_ROW", "B_COL", "C",
    "M", "N", "K", "ONE_M", "ONE_K", "AUX", "FIRST_TILE", "NOISE", "DRAW", "CONSTANTS", "DISTURBED",
    "ADDED", "SUM",
)  # fmt: skip
FIELDS = {name: column for column, name in enumerate(FIELD_NAMES)}
(
    JOB_KIND, CODE, SHAPE, A, A_ROW, A_COL, B, B_ROW, B_COL, C,
    M, N, K, ONE_M, ONE_K, AUX, FIRST_TILE, NOISE, DRAW, CONSTANTS, DISTURBED, ADDED, SUM,
) = FIELDS.values()  # fmt: skip
N_FIELDS = len(FIELDS)
BATCH_ROWS = -1
NOWHERE = -1

# A product is cut into large tiles where they are enough to keep a large GPU busy.
ENOUGH_TILES = 96
ALIGNMENT = 32  # elements between which regions of the arena begin
UNROLLED = 4  # rows that a thread gathers at once
# What holds for a step, behind the solver's coefficients: the L2 penalty's strength, the factor of the rows'
# weights, the L1 penalty's strength, the share that decay takes, the limit of gradients, of their norm, by
# what that scales them, the limit of the norms of units, the share by which the mean of the weights moves.
(PENALTY, FACTOR, STRENGTH, SHARE_OF_DECAY, LIMIT, GRADIENT_NORM, SCALE, LARGEST_NORM, SHARE, N_OF_STEP) = (
    range(N_COEFFICIENTS, N_COEFFICIENTS + 10)
)


@dataclass(frozen=True)
class ArenaOffsets:
    """Offsets into the arena, in elements; parameters come first.

    Attributes
    ----------
    constants : the parameters of the loss, then those of other ops
    activations, deltas : of each buffer; deltas of inputs are NOWHERE
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


@dataclass(frozen=True)
class Program:
    """What the kernel reads.

    Attributes
    ----------
    phases, jobs : int64 tables
    layout : ArenaOffsets
    pass_rows : int
        Rows that go through the phases at once.
    loss_tiles, penalty_tiles : int
        Partial sums of a pass, of a step.
    most_tiles : int
        Of any phase: more blocks would have nothing to do.
    """

    phases: np.ndarray
    jobs: np.ndarray
    layout: ArenaOffsets
    pass_rows: int
    loss_tiles: int
    penalty_tiles: int
    most_tiles: int


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
        Row-major.
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
    activations: list[int] = []
    for buffer, width in enumerate(network.widths):
        before = in_place.get(buffer)
        activations.append(regions.take(rows * width) if before is None else activations[before])
    deltas = [NOWHERE] * len(network.widths)
    for op in network.ops if training else ():
        if op.kind in (Kind.DENSE, Kind.ADD):
            # Of a sum on its own: two layers need it.
            deltas[op.target] = regions.take(rows * op.n_out)
        elif op.target != op.source:
            deltas[op.target] = deltas[op.source]  # turned from one into the other in place
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


def _in_place(network: NetworkPlan, selection: Selection) -> dict[int, int]:
    """Buffers that share their memory with the one before: behind noise of the inputs, or noise not drawn."""
    first = network.ops.index(network.dense[0])
    return {
        op.target: op.source
        for number, op in enumerate(network.ops)
        if op.kind == Kind.NOISE and (number < first or not selection.draws)
    }


def training_program(
    network: NetworkPlan,
    selection: Selection,
    tiling: Tiling,
    rows: int,
    n_passes: int,
    stored: bool,
    only_small: bool = False,
) -> Program:
    """All phases of a step; parameters as of `arena_layout`.

    `only_small` is for the kernel whose arena lies in shared memory, where large tiles have no room.
    """
    layout = arena_layout(network, selection, tiling, rows, n_passes, stored)
    writer = _Writer(network, selection, tiling, layout, rows, only_small)
    writer.gather()
    for position, op in enumerate(network.ops):
        if op.training:
            writer.forward(position)
    for position in range(len(network.ops) - 2, -1, -1):
        writer.backward(position)
    writer.end_of_rows()
    penalty_tiles = writer.gradients()
    if selection.max_norm:
        writer.norms()
    return writer.program(penalty_tiles)


def prediction_program(
    network: NetworkPlan, selection: Selection, tiling: Tiling, rows: int, n_ops: int, largest: bool
) -> tuple[Program, int]:
    """The first `n_ops` ops forwards on inputs that lie in buffer 0; also where the result begins.

    With `largest` the result is the index of each row's largest output, one element a row.
    """
    layout = arena_layout(network, selection, tiling, rows, 1, stored=False)
    writer = _Writer(network, selection, tiling, layout, rows, only_small=False)
    for position, op in enumerate(network.ops[:n_ops]):
        if op.prediction and op.kind != Kind.LOSS:
            writer.forward(position)
    last = network.ops[n_ops - 1]
    result = layout.activations[last.target]
    if largest:
        # Buffer 0 is free by now.
        writer.rows_job(LARGEST, A=result, N=last.n_out, C=layout.activations[0])
        result = layout.activations[0]
    writer.end_of_rows()
    return writer.program(0), result


class _Writer:
    """Writes the tables, op by op."""

    def __init__(
        self,
        network: NetworkPlan,
        selection: Selection,
        tiling: Tiling,
        layout: ArenaOffsets,
        rows: int,
        only_small: bool,
    ) -> None:
        self.network, self.selection, self.tiling = network, selection, tiling
        self.layout, self.rows, self.only_small = layout, rows, only_small
        self._jobs: list[list[int]] = []
        self._phases: list[tuple[int, int, int]] = []
        self._pending: list[list[int]] = []  # jobs of ROWS that go on with the same rows
        self._most_tiles = 1

    def program(self, penalty_tiles: int) -> Program:
        return Program(
            np.array(self._phases, np.int64).reshape(-1, N_PHASE_FIELDS),
            np.array(self._jobs, np.int64).reshape(-1, N_FIELDS),
            self.layout,
            self.rows,
            self._row_tiles,
            penalty_tiles,
            self._most_tiles,
        )

    @property
    def _row_tiles(self) -> int:
        return -(-self.rows // self.tiling.rows_of_tile)

    def gather(self) -> None:
        network, layout, threads = self.network, self.layout, self.tiling.threads
        shift = _threads_along(network.n_inputs, threads)
        job = _job(
            ROWS_OF_DATA,
            CODE=shift,
            A=layout.activations[0],
            N=network.n_inputs,
            B=layout.targets,
            K=network.n_targets,
            AUX=layout.weights,
        )
        first = network.ops.index(network.dense[0])
        draws = self.selection.input_noises
        noises = [self._input_noise(position) for position in range(first if draws else 0)]
        self._phase(GATHER, [job, *noises], -(-self.rows // (UNROLLED * (threads >> shift))))

    def _input_noise(self, position: int) -> list[int]:
        op = self.network.ops[position]
        constants = self.layout.constants + op.constants
        return _job(INPUT_NOISE, NOISE=self.selection.input_code(op), DRAW=position, CONSTANTS=constants)

    @property
    def _product(self) -> list[int] | None:
        """The product that an op can still join: that of the last phase."""
        joins = self._phases and self._phases[-1][0] == TILES and not self._pending
        return self._jobs[-1] if joins else None

    def forward(self, position: int) -> None:
        op, layout, product = self.network.ops[position], self.layout, self._product
        if op.kind == Kind.DENSE:
            self.end_of_rows()
            job = _job(
                FORWARD,
                CODE=IDENTITY,
                A=layout.activations[op.source],
                A_ROW=op.n_in,
                A_COL=1,
                B=op.offset,
                B_ROW=op.n_out,
                B_COL=1,
                C=layout.activations[op.target],
                M=BATCH_ROWS,
                N=op.n_out,
                K=op.n_in + op.bias,
                ONE_K=op.n_in,
                AUX=NOWHERE,
            )
            self._tiles([job])
        elif op.kind == Kind.NOISE and layout.activations[op.target] == layout.activations[op.source]:
            pass  # of the inputs, which were gathered with it; or it is not drawn
        elif op.kind == Kind.NOISE and product:
            self._put_noise(product, position)
            product[DISTURBED] = layout.activations[op.target]
        elif op.kind == Kind.ADD and product:
            product[ADDED], product[SUM] = layout.activations[op.other], layout.activations[op.target]
        elif op.kind == Kind.ELEMENTWISE and product:
            product[CODE] = self.selection.code(op)
            if self.selection.loss is not None and derivative_of(op) != op.target:
                product[AUX] = layout.activations[op.source]
            product[C] = layout.activations[op.target]
        elif op.kind == Kind.ROW:
            self.rows_job(
                ROW_FORWARD, CODE=self.selection.code(op), A=layout.activations[op.target], N=op.n_out
            )
        elif op.kind == Kind.LOSS:
            self.rows_job(
                LOSS,
                CODE=layout.constants,
                A=layout.activations[op.target],
                B=layout.targets,
                C=layout.deltas[op.target],
                N=op.n_out,
                K=self.network.n_targets,
                AUX=layout.weights,
            )
        else:
            raise NotImplementedError(
                f"device='cuda' knows no op of the kind {Kind(op.kind).name} here; use device='cpu'."
            )

    def _put_noise(self, job: list[int], position: int) -> None:
        op = self.network.ops[position]
        job[NOISE], job[DRAW] = self.selection.code(op), position
        job[CONSTANTS] = self.layout.constants + op.constants

    def _chain(self, position: int) -> dict[int, int]:
        """Positions of the ops that make the input of a dense layer, by kind: back to the layer before."""
        found = {}
        for before in range(position - 1, -1, -1):
            found[self.network.ops[before].kind] = before
            if self.network.ops[before].kind == Kind.DENSE:
                break
        return found

    def backward(self, position: int) -> None:
        op, layout = self.network.ops[position], self.layout
        if not op.training:
            return
        if op.kind == Kind.DENSE:
            self.end_of_rows()
            chain = self._chain(position)
            if Kind.DENSE not in chain:
                return  # the inputs need no deltas
            before = self.network.ops[chain[Kind.DENSE]]
            activation = self.network.ops[chain.get(Kind.ELEMENTWISE, chain[Kind.DENSE])]
            job = _job(
                BACKWARD,
                CODE=self.selection.code(activation) if activation is not before else IDENTITY,
                A=layout.deltas[op.target],
                A_ROW=op.n_out,
                A_COL=1,
                B=op.offset,
                B_ROW=1,
                B_COL=op.n_out,
                C=layout.deltas[before.target],
                M=BATCH_ROWS,
                N=op.n_in,
                K=op.n_out,
                AUX=layout.activations[derivative_of(activation)],
            )
            if Kind.NOISE in chain and self.selection.draws:
                self._put_noise(job, chain[Kind.NOISE])
            if Kind.ADD in chain:
                job[SUM] = layout.deltas[op.source]
            for later in self.network.ops[position:]:
                if later.kind == Kind.ADD and later.other == op.source:
                    job[ADDED] = layout.deltas[later.target]
            self._tiles([job])
        elif op.kind == Kind.ELEMENTWISE and self._pending:
            # Behind a loss, where no product has taken it along.
            self._row_backward(ELEMENT_BACKWARD, op)
        elif op.kind == Kind.ROW:
            self._row_backward(ROW_BACKWARD, op)

    def _row_backward(self, kind: int, op: Op) -> None:
        values, deltas = self.layout.activations[derivative_of(op)], self.layout.deltas[op.target]
        self.rows_job(kind, CODE=self.selection.code(op), A=values, C=deltas, N=op.n_out)

    def gradients(self) -> int:
        """The last phase of a pass; returns how many tiles it has."""
        layout = self.layout
        jobs = [
            _job(
                GRADIENT,
                A=layout.activations[op.source],
                A_ROW=1,
                A_COL=op.n_in,
                B=layout.deltas[op.target],
                B_ROW=op.n_out,
                B_COL=1,
                C=op.offset,
                M=op.n_in + op.bias,
                N=op.n_out,
                K=BATCH_ROWS,
                ONE_M=op.n_in,
                CONSTANTS=layout.constants + op.constants,
            )
            for op in self.network.dense
        ]
        return self._tiles(jobs)

    def norms(self) -> None:
        """The last phase of a step."""
        jobs, n_tiles = [], 0
        for op in self.network.dense:
            shift = _threads_along(op.n_out, 2 * self.tiling.side)
            sizes = dict(M=op.rows, N=op.n_out, K=op.n_in)
            jobs.append(_job(0, CODE=shift, C=op.offset, FIRST_TILE=n_tiles, **sizes))
            n_tiles += -(-op.n_out >> shift)
        self._phase(NORMS, jobs, n_tiles)

    def rows_job(self, kind: int, **values: int) -> None:
        """A job for each row that comes behind those before it, in the same phase."""
        self._pending.append(_job(kind, **values))

    def end_of_rows(self) -> None:
        """End a phase of rows, if there is one."""
        if self._pending:
            self._phase(ROWS, self._pending, self._row_tiles)
            self._pending = []

    def _tiles(self, jobs: list[list[int]]) -> int:
        n = 0
        for job in jobs:
            m = self.rows if job[M] == BATCH_ROWS else job[M]
            job[SHAPE] = SMALL if self.only_small else _shape(self.tiling, m, job[N])
            job[FIRST_TILE] = n
            n += _n_tiles(self.tiling.width(job[SHAPE]), m, job[N])
        self._phase(TILES, jobs, n)
        return n

    def _phase(self, kind: int, jobs: Sequence[list[int]], n_tiles: int) -> None:
        first = len(self._jobs)
        self._jobs += jobs
        self._phases.append((kind, first, len(self._jobs)))
        self._most_tiles = max(self._most_tiles, n_tiles)


def _job(kind: int, **values: int) -> list[int]:
    job = [0] * N_FIELDS
    job[JOB_KIND] = kind
    job[ONE_M] = job[ONE_K] = job[NOISE] = job[ADDED] = job[SUM] = NOWHERE
    for name, value in values.items():
        job[FIELDS[name]] = value
    return job


def _threads_along(width: int, most: int) -> int:
    """log2 of the threads along a row of the given width."""
    shift = 0
    while 2 << shift <= most and 1 << shift < width:
        shift += 1
    return shift


def _n_tiles(width: int, m: int, n: int) -> int:
    return -(-m // width) * -(-n // width)


def _shape(tiling: Tiling, m: int, n: int) -> int:
    return LARGE if _n_tiles(tiling.width(LARGE), m, n) >= ENOUGH_TILES else SMALL


def _most_penalty_tiles(network: NetworkPlan, tiling: Tiling) -> int:
    return sum(_n_tiles(tiling.width(SMALL), op.n_in + op.bias, op.n_out) for op in network.dense)
