"""Writes the tables of a program, op by op: forward, backward, gradients."""

from collections.abc import Sequence

import numpy as np

from fastbp.engines.cuda.arena import (
    NOWHERE,
    ArenaOffsets,
    learned_rows,
    learns_before,
    n_tiles_of,
)
from fastbp.engines.cuda.jobs import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ADD,
    ADD_BACKWARD,
    ADDED,
    AUX,
    BACKWARD,
    BATCH_ROWS,
    CODE,
    CONSTANTS,
    DELTA_SUMS,
    DISTURB,
    DISTURB_BACKWARD,
    DISTURBED,
    DRAW,
    ELEMENT_BACKWARD,
    ELEMENTS,
    FEATURES,
    FIRST_TILE,
    FORWARD,
    GATHER,
    GRADIENT,
    GROUP,
    GROUP_BACKWARD,
    INPUT_NOISE,
    LOSS,
    N_FIELDS,
    N_PHASE_FIELDS,
    NOISE,
    NORMS,
    PARAMETRIC,
    PARAMETRIC_BACKWARD,
    ROW_BACKWARD,
    ROW_FORWARD,
    ROWS,
    ROWS_OF_DATA,
    SHAPE,
    STANDARDISE_BACKWARD,
    STATISTICS,
    SUM,
    TILES,
    UNROLLED,
    C,
    M,
    N,
    Program,
    make_job,
)
from fastbp.engines.cuda.lowering import IDENTITY, Selection, derivative_of, unfused
from fastbp.engines.cuda.tiling import LARGE, SMALL, Tiling
from fastbp.plan.network import Kind, NetworkPlan, Op

# A product is cut into large tiles where they are enough to keep a large GPU busy.
ENOUGH_TILES = 96


class Writer:
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
        self._pending: list[list[int]] = []  # jobs of ROWS, or of ELEMENTS, that continue with the same ones
        self._pending_kind = ROWS
        self._unfused = unfused(network)
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
        job = make_job(
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
        fused = [position for position in range(first if draws else 0) if position not in self._unfused]
        noises = [self._input_noise(position) for position in fused]
        self._phase(GATHER, [job, *noises], -(-self.rows // (UNROLLED * (threads >> shift))))

    def _input_noise(self, position: int) -> list[int]:
        op = self.network.ops[position]
        constants = self.layout.constants + op.constants
        return make_job(INPUT_NOISE, NOISE=self.selection.input_code(op), DRAW=position, CONSTANTS=constants)

    @property
    def _product(self) -> list[int] | None:
        """The product that an op can still join: that of the last phase."""
        joins = self._phases and self._phases[-1][0] == TILES and not self._pending
        return self._jobs[-1] if joins else None

    def forward(self, position: int) -> None:
        op, layout, product = self.network.ops[position], self.layout, self._product
        if position in self._unfused:
            self._forward_of_elements(position)
        elif op.kind == Kind.DENSE:
            self.end_of_chain()
            job = make_job(
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
            self._row_forward(op)
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

    def _row_forward(self, op: Op) -> None:
        activations = self.layout.activations
        code, source = self.selection.code(op), activations[op.source]
        self.rows_job(ROW_FORWARD, CODE=code, A=activations[op.target], N=op.n_out, AUX=source)

    def _forward_of_elements(self, position: int) -> None:
        """An op that joins no product."""
        op, activations = self.network.ops[position], self.layout.activations
        where = dict(A=activations[op.source], C=activations[op.target], N=op.n_out)
        if op.kind == Kind.ROW:
            self._row_forward(op)
        elif op.kind == Kind.ELEMENTWISE:
            self._element_job(ACTIVATE, CODE=self.selection.code(op), **where)
        elif op.kind == Kind.GROUP:
            self._element_job(GROUP, CODE=self.selection.code(op), K=op.n_in // op.n_out, **where)
        elif op.kind == Kind.ADD:
            self._element_job(ADD, B=activations[op.other], **where)
        elif op.kind == Kind.NOISE and self.selection.draws:
            self._element_job(DISTURB, **where)
            self._put_noise(self._pending[-1], position)
        elif op.kind == Kind.PARAMETRIC:
            parameters = op.offset
            if self._takes_moments(op):
                parameters = activations[op.other]
                self._features(STATISTICS, op, A=where["A"], K=op.offset)
            self._element_job(PARAMETRIC, CODE=self.selection.code(op), B=parameters, K=op.cols, **where)

    def _takes_moments(self, op: Op) -> bool:
        """Whether an op has the batch's moments for its parameters."""
        return self.selection.batch_norm and op.sync == 1

    def _features(self, kind: int, op: Op, **values: int) -> None:
        """A phase of sums over the rows of the batch."""
        self.end_of_chain()
        shift = _threads_along(op.n_out, 2 * self.tiling.side)
        found, weights = self.layout.activations[op.other], self.layout.weights
        job = make_job(kind, CODE=shift, B=found, N=op.n_out, AUX=weights, **values)
        self._phase(FEATURES, [job], -(-op.n_out >> shift))

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
        if position in self._unfused:
            if learns_before(self.network, position + 1):
                self._backward_of_elements(position)
        elif op.kind == Kind.DENSE and position - 1 in self._unfused:
            self.end_of_chain()
            if learns_before(self.network, position):
                self._tiles([self._backward_product(op, op.source)])
        elif op.kind == Kind.DENSE:
            self.end_of_chain()
            chain = self._chain(position)
            if Kind.DENSE not in chain:
                return  # the inputs need no deltas
            before = self.network.ops[chain[Kind.DENSE]]
            activation = self.network.ops[chain.get(Kind.ELEMENTWISE, chain[Kind.DENSE])]
            job = self._backward_product(op, before.target)
            job[CODE] = self.selection.code(activation) if activation is not before else IDENTITY
            job[AUX] = layout.activations[derivative_of(activation)]
            if Kind.NOISE in chain and self.selection.draws:
                self._put_noise(job, chain[Kind.NOISE])
            if Kind.ADD in chain:
                job[SUM] = layout.deltas[op.source]
            self._tiles([job])
        elif op.kind == Kind.ELEMENTWISE and self._pending:
            # After a loss, where no product has taken it along.
            self._row_backward(ELEMENT_BACKWARD, op)
        elif op.kind == Kind.ROW:
            self._row_backward(ROW_BACKWARD, op)

    def _backward_product(self, op: Op, buffer: int) -> list[int]:
        """Job for the deltas of a layer's inputs, with the deltas of sums that read the inputs."""
        layout = self.layout
        job = make_job(
            BACKWARD,
            CODE=IDENTITY,
            A=layout.deltas[op.target],
            A_ROW=op.n_out,
            A_COL=1,
            B=op.offset,
            B_ROW=1,
            B_COL=op.n_out,
            C=layout.deltas[buffer],
            M=BATCH_ROWS,
            N=op.n_in,
            K=op.n_out,
            AUX=layout.activations[op.source],
        )
        for later in self.network.ops:
            if later.kind == Kind.ADD and later.other == op.source:
                job[ADDED] = layout.deltas[later.target]
        return job

    def _backward_of_elements(self, position: int) -> None:
        """An op that joins no product, with something to learn before it or of its own."""
        op, layout = self.network.ops[position], self.layout
        activations, deltas = layout.activations, layout.deltas
        where = dict(C=deltas[op.source], N=op.n_out)
        if op.kind == Kind.ROW:
            self._row_backward(ROW_BACKWARD, op)
        elif op.kind == Kind.ELEMENTWISE:
            values = activations[derivative_of(op)]
            self._element_job(ACTIVATE_BACKWARD, CODE=self.selection.code(op), A=values, **where)
        elif op.kind == Kind.GROUP:
            sizes = dict(A=activations[op.source], B=deltas[op.target], K=op.n_in // op.n_out)
            self._element_job(GROUP_BACKWARD, CODE=self.selection.code(op), **sizes, **where)
        elif op.kind == Kind.ADD:
            self._element_job(ADD_BACKWARD, B=deltas[op.target], **where)
        elif op.kind == Kind.NOISE and self.selection.draws:
            self._element_job(DISTURB_BACKWARD, **where)
            self._put_noise(self._pending[-1], position)
        elif op.kind == Kind.PARAMETRIC and self._takes_moments(op):
            found, outputs = activations[op.other], activations[op.target]
            self._features(DELTA_SUMS, op, A=outputs, C=where["C"])
            self._element_job(STANDARDISE_BACKWARD, A=outputs, B=found, AUX=layout.weights, **where)
        elif op.kind == Kind.PARAMETRIC:
            of_own = deltas[op.other] if op.learned else NOWHERE
            sizes = dict(A=activations[op.source], B=op.offset, K=op.cols, AUX=of_own)
            self._element_job(PARAMETRIC_BACKWARD, CODE=self.selection.code(op), **sizes, **where)

    def _row_backward(self, kind: int, op: Op) -> None:
        values, deltas = self.layout.activations[derivative_of(op)], self.layout.deltas[op.target]
        self.rows_job(kind, CODE=self.selection.code(op), A=values, C=deltas, N=op.n_out)

    def gradients(self) -> int:
        """The last phase of a pass; returns how many tiles it has."""
        layout = self.layout
        jobs = [
            make_job(
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
        jobs += [
            make_job(
                GRADIENT,
                B=layout.deltas[op.other],
                B_ROW=op.cols,
                B_COL=1,
                C=op.offset,
                M=1,
                N=op.cols,
                K=BATCH_ROWS,
                ONE_M=0,  # a row of biases: the input is always 1
                CONSTANTS=layout.constants + op.constants,
            )
            for op in learned_rows(self.network)
        ]
        return self._tiles(jobs)

    def norms(self) -> None:
        """The last phase of a step."""
        jobs, n_tiles = [], 0
        for op in (*self.network.dense, *learned_rows(self.network)):
            shift = _threads_along(op.cols, 2 * self.tiling.side)
            sizes = dict(M=op.rows, N=op.cols, K=op.n_in if op.kind == Kind.DENSE else 0)
            jobs.append(make_job(0, CODE=shift, C=op.offset, FIRST_TILE=n_tiles, **sizes))
            n_tiles += -(-op.cols >> shift)
        self._phase(NORMS, jobs, n_tiles)

    def rows_job(self, kind: int, **values: int) -> None:
        """Add a job for each row to the jobs before it, in the same phase."""
        self._chained(ROWS, make_job(kind, **values))

    def _element_job(self, kind: int, **values: int) -> None:
        """The same for each element of buffers of equal width."""
        self._chained(ELEMENTS, make_job(kind, **values))

    def _chained(self, phase: int, job: list[int]) -> None:
        if self._pending and (self._pending_kind != phase or self._pending[0][N] != job[N]):
            self.end_of_chain()
        self._pending_kind = phase
        self._pending.append(job)

    def end_of_chain(self) -> None:
        """End a phase of rows or of elements, if there is one."""
        if self._pending:
            n_tiles = self._row_tiles
            if self._pending_kind == ELEMENTS:
                n_tiles = -(-self.rows * self._pending[0][N] // self.tiling.threads)
            self._phase(self._pending_kind, self._pending, n_tiles)
            self._pending = []

    def _tiles(self, jobs: list[list[int]]) -> int:
        n = 0
        for job in jobs:
            m = self.rows if job[M] == BATCH_ROWS else job[M]
            job[SHAPE] = SMALL if self.only_small else _shape(self.tiling, m, job[N])
            job[FIRST_TILE] = n
            n += n_tiles_of(self.tiling.width(job[SHAPE]), m, job[N])
        self._phase(TILES, jobs, n)
        return n

    def _phase(self, kind: int, jobs: Sequence[list[int]], n_tiles: int) -> None:
        first = len(self._jobs)
        self._jobs += jobs
        self._phases.append((kind, first, len(self._jobs)))
        self._most_tiles = max(self._most_tiles, n_tiles)


def _threads_along(width: int, most: int) -> int:
    """log2 of the threads along a row of the given width."""
    shift = 0
    while 2 << shift <= most and 1 << shift < width:
        shift += 1
    return shift


def _shape(tiling: Tiling, m: int, n: int) -> int:
    return LARGE if n_tiles_of(tiling.width(LARGE), m, n) >= ENOUGH_TILES else SMALL
