"""Prediction: blocks of rows through the forward ops, memory bounded whatever the number of rows."""

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import ACTIVATION, FEW_ROWS_LIMIT
from fastbp.engines.cpu.arguments import Data, Network
from fastbp.engines.cpu.blocks import panels_of
from fastbp.engines.cpu.float_mode import flush_subnormals, restore_mode
from fastbp.engines.cpu.gather import gather_inputs
from fastbp.engines.cpu.network import forward
from fastbp.engines.cpu.op_columns import DESTINATION, N_OUT
from fastbp.engines.cpu.ops.interface import PREDICTING, Span, pointers_of
from fastbp.engines.cpu.transpose import scatter_block
from fastbp.engines.cpu.vector_memory import advance, broadcast, lanes, load, pointer, store_first_lanes
from fastbp.functions.activations import index_of_largest


@jit
def predict(network, data, block, first_row, last_row, stop, largest, out):
    """Outputs of the ops 0 … stop for rows first_row … last_row.

    Parameters
    ----------
    network, data : tuple
        Members of ``arguments.Network`` and ``arguments.Data``; `starts` has a place for each row of a block.
    block : int
        Rows computed at a time, the rows of the arena.
    stop : int
        Ops that run; the last of them gives the result.
    largest : bool
        Whether only the number of the largest output of each row is wanted: then the width is 1.
    out : flat (n_rows · width,), out
    """
    mode = flush_subnormals()
    net, data = Network(*network), Data(*data)
    pointers, w = pointers_of(net), pointer(net.workspace, 0)
    n_lanes = lanes(w)
    panel = 2 * n_lanes
    target, width = net.table[stop - 1, DESTINATION], net.table[stop - 1, N_OUT]
    results = panels_of(w, net.buffers, target, ACTIVATION)
    row_width = 1 if data.indptr.shape[0] > 0 else data.n_inputs
    index, starts = data.index, data.starts
    for start in range(first_row, last_row, block):
        rows = min(block, last_row - start)
        n_registers = -(-rows // n_lanes)
        for i in range(n_registers * n_lanes):
            # Lanes beyond the last row repeat the block's first.
            row = start + (i if i < rows else 0)
            starts[i] = (np.int64(index[row]) if index.shape[0] > 0 else row) * row_width
        gather_inputs(net, data, 0, n_registers)
        n_small = rows if rows <= net.offsets[FEW_ROWS_LIMIT] else 0
        forward(pointers, 0, stop, Span(0, n_registers, n_small, 0, 0, PREDICTING))
        for r in range(n_registers):
            source = advance(results.start, (r // 2) * results.stride + (r % 2) * n_lanes)
            if largest or width == 1:
                column = load(source, 0)
                if largest:
                    column = index_of_largest((source, panel), width, broadcast(w, 0.0))
                store_first_lanes(pointer(out, start + r * n_lanes), column, rows - r * n_lanes)
                continue
            for f in range(0, width, n_lanes):
                scatter_block(
                    advance(source, f * panel),
                    panel,
                    pointer(out, (start + r * n_lanes) * width + f),
                    width,
                    rows - r * n_lanes,
                    min(n_lanes, width - f),
                )
    restore_mode(mode)
