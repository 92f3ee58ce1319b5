"""From a plan to the table that the kernel walks through: phases, jobs, and the one arena they work on.

A step is a list of phases with a barrier of the team after each. The jobs of a phase may run side by side:

- GATHER: inputs, targets and weights of the batch, by the order of the epoch; then the noise of the inputs.
- TILES: products of matrices, tile by tile, with what follows on each tile. Forward: the elementwise
  activation, then noise, then the layer's inputs added. Backward: the derivatives of all that. Gradients of
  all layers at once: the solver's update.
- ROWS: a thread takes a row of the batch through row activation, loss and the ops after them.
- ELEMENTS: a thread takes an element of a buffer through ops that no product takes along: functions with
  parameters, groups of values, and all that stands with them between two products.
- FEATURES: sums over the rows of a batch, for batch normalisation.
- NORMS: the weights of units are scaled down to a limit.

A batch of several passes goes through all but NORMS several times, and gradients are kept until all of it has
been seen: then one more phase makes the step. So it is where the norm of the gradient has a limit.

A product is C[m, n] = Σ_k A[m, k] · B[k, n] on matrices given by offset and strides: forward, backward and
gradient differ in numbers only. The bias is one more input that is always 1: a column ONE_K of A forward,
a row ONE_M of A in the gradient.

Nothing here depends on the device: a fit has the same bits on every GPU of the same arithmetic, and for every
number of blocks.
"""

from fastbp.engines.cuda.arena import arena_layout
from fastbp.engines.cuda.jobs import LARGEST, Program
from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.tiling import Tiling
from fastbp.engines.cuda.writer import Writer
from fastbp.plan.network import Kind, NetworkPlan


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
    writer = Writer(network, selection, tiling, layout, rows, only_small)
    writer.gather()
    for position, op in enumerate(network.ops):
        if op.training:
            writer.forward(position)
    for position in range(len(network.ops) - 2, -1, -1):
        writer.backward(position)
    writer.end_of_chain()
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
    writer = Writer(network, selection, tiling, layout, rows, only_small=False)
    for position, op in enumerate(network.ops[:n_ops]):
        if op.prediction and op.kind != Kind.LOSS:
            writer.forward(position)
    last = network.ops[n_ops - 1]
    result = layout.activations[last.target]
    if largest:
        # Buffer 0 is free by now.
        writer.rows_job(LARGEST, A=result, N=last.n_out, C=layout.activations[0])
        result = layout.activations[0]
    writer.end_of_chain()
    return writer.program(0), result
