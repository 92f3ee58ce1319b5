"""Forward and backward through the list of ops, for a range of registers of the batch.

A register stands for as many rows of the batch as it has lanes: register r lies in panel r // 2, half r % 2.
A thread computes a contiguous range of registers, and no other thread reads or writes them in between.
"""

from fastbp.compiler import jit
from fastbp.cpu.arena import (
    ACTIVATION,
    ACTIVATION_STRIDE,
    BIAS,
    CODE,
    COLS,
    DELTA,
    DELTA_STRIDE,
    DENSE,
    DESTINATION,
    ELEMENTWISE,
    GROUP,
    IN_MAJOR,
    KIND,
    LAYOUT,
    LD,
    LOSS,
    N_IN,
    N_OUT,
    OFFSET,
    PACK_BYTES,
    PREDICTION,
    ROW,
    ROWS_PADDED,
    SCRATCH,
    SCRATCH_SIZE,
    SOURCE,
    TARGET,
    TARGET_STRIDE,
    TRAINING,
    WEIGHT,
)
from fastbp.cpu.functions import (
    activate,
    activate_backward,
    activate_rows,
    activate_rows_backward,
    compute_loss,
)
from fastbp.cpu.simd import advance, lanes, load, pointer, store, transpose_block
from fastbp.cpu.tile import TILE_ROWS, product


@jit
def pack_tile(weights, ld, k_total, packed):
    """Copy ``weights[k · ld : + lanes]`` for all k into contiguous registers at `packed`."""
    step = lanes(weights)
    for k in range(k_total):
        store(packed, k * step, load(weights, k * ld))


@jit
def dense_product(
    c, c_stride, n_rows, weights, row_stride, col_stride, k_total, b, b_stride, first, last, packed
):
    """C = W·B on registers first … last of the batch: the forward and the backward product of a dense layer.

    Parameters
    ----------
    c : pointer, out
        Panels of `n_rows` features, `c_stride` apart.
    weights : pointer, in
        W[i, k] at ``i · row_stride + k · col_stride``.
    b : pointer, in
        Panels of `k_total` features, `b_stride` apart.
    packed : pointer, scratch
        Room for k_total registers.
    """
    step = lanes(c)
    panel = 2 * step
    n_tiles = -(-n_rows // TILE_ROWS)
    # One step of k reads neighbouring weights of one memory row, and the next row is far away: copied once,
    # the tile is contiguous for all panels.
    pack = row_stride == 1 and last - first >= 4 and k_total * col_stride > PACK_BYTES and step >= TILE_ROWS
    for tile in range(n_tiles):
        i = tile * n_rows // n_tiles  # as equal as can be
        rows = (tile + 1) * n_rows // n_tiles - i
        a, a_rows, a_cols = advance(weights, i * row_stride), row_stride, col_stride
        if pack and i + step <= col_stride:
            pack_tile(a, col_stride, k_total, packed)
            a, a_cols = packed, step
        r = first
        while r < last:
            half = r % 2
            registers = 2 if half == 0 and r + 1 < last else 1
            at = half * step
            product(
                advance(c, (r // 2) * c_stride + i * panel + at),
                panel,
                a,
                a_rows,
                a_cols,
                k_total,
                k_total,
                0,
                advance(b, (r // 2) * b_stride + at),
                panel,
                rows,
                registers,
            )
            r += registers


@jit
def transpose_registers_of(source, stride, n, target, rows_padded, first, last):
    """Write `n` features of registers first … last as column panels (column panel, batch row, PANEL)."""
    step = lanes(source)
    panel = 2 * step
    for r in range(first, last):
        start = advance(source, (r // 2) * stride + (r % 2) * step)
        for f in range(0, n, step):
            column = (f // panel) * rows_padded * panel + f % panel
            transpose_block(
                advance(start, f * panel), panel, advance(target, column + r * step * panel), panel
            )


@jit
def forward(table, buffers, special, params, work, thread, first, last, training, stop):
    """Run ops 0 … stop on registers first … last, whose inputs stand in buffer 0."""
    w = pointer(work, 0)
    step = lanes(w)
    packed = advance(w, special[SCRATCH] + thread * special[SCRATCH_SIZE] + TILE_ROWS * 2 * step)
    for o in range(stop):
        kind = table[o, KIND]
        if training and table[o, TRAINING] == 0 or not training and table[o, PREDICTION] == 0:
            continue
        target = table[o, DESTINATION]
        a = advance(w, buffers[target, ACTIVATION])
        stride = buffers[target, ACTIVATION_STRIDE]
        if kind == DENSE:
            source = table[o, SOURCE]
            ld = table[o, LD]
            in_major = table[o, LAYOUT] == IN_MAJOR
            dense_product(
                a,
                stride,
                table[o, N_OUT],
                pointer(params, table[o, OFFSET]),
                1 if in_major else ld,
                ld if in_major else 1,
                table[o, N_IN] + table[o, BIAS],
                advance(w, buffers[source, ACTIVATION]),
                buffers[source, ACTIVATION_STRIDE],
                first,
                last,
                packed,
            )
        elif kind != LOSS:
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                here = advance(a, (r // 2) * stride + (r % 2) * step)
                if kind == ELEMENTWISE:
                    activate(table[o, CODE], (here, table[o, N_OUT], registers))
                elif kind == ROW:
                    activate_rows(table[o, CODE], (here, table[o, N_OUT], registers))
                r += registers


@jit
def loss(table, buffers, special, work, first, last, sums):
    """The loss op on registers first … last: its values summed by register, and the deltas of the outputs."""
    w = pointer(work, 0)
    step = lanes(w)
    o = table.shape[0] - 1
    target = table[o, DESTINATION]
    for r in range(first, last):
        p, at = r // 2, (r % 2) * step
        compute_loss(
            table[o, CODE],
            (
                advance(w, buffers[target, ACTIVATION] + p * buffers[target, ACTIVATION_STRIDE] + at),
                advance(w, special[TARGET] + p * special[TARGET_STRIDE] + at),
                advance(w, buffers[target, DELTA] + p * buffers[target, DELTA_STRIDE] + at),
                advance(w, special[WEIGHT] + r * step),
                table[o, N_OUT],
                1,
                pointer(sums, r),
            ),
        )


@jit
def backward(table, buffers, transposed, special, params, work, thread, first, last):
    """From the outputs' deltas to those of every layer, and the transposed operands of the gradients."""
    w = pointer(work, 0)
    step = lanes(w)
    packed = advance(w, special[SCRATCH] + thread * special[SCRATCH_SIZE] + TILE_ROWS * 2 * step)
    rows_padded = special[ROWS_PADDED]
    for o in range(table.shape[0] - 2, -1, -1):
        kind = table[o, KIND]
        if table[o, TRAINING] == 0:
            continue
        target = table[o, DESTINATION]
        delta = advance(w, buffers[target, DELTA])
        delta_stride = buffers[target, DELTA_STRIDE]
        if kind == DENSE:
            source = table[o, SOURCE]
            ld = table[o, LD]
            in_major = table[o, LAYOUT] == IN_MAJOR
            operand = advance(w, transposed[o])
            if in_major:
                transpose_registers_of(delta, delta_stride, table[o, COLS], operand, rows_padded, first, last)
            else:
                transpose_registers_of(
                    advance(w, buffers[source, ACTIVATION]),
                    buffers[source, ACTIVATION_STRIDE],
                    table[o, COLS],
                    operand,
                    rows_padded,
                    first,
                    last,
                )
            if source > 0:
                dense_product(
                    advance(w, buffers[source, DELTA]),
                    buffers[source, DELTA_STRIDE],
                    table[o, N_IN],
                    pointer(params, table[o, OFFSET]),
                    ld if in_major else 1,
                    1 if in_major else ld,
                    table[o, N_OUT],
                    delta,
                    delta_stride,
                    first,
                    last,
                    packed,
                )
        else:
            a = advance(w, buffers[target, ACTIVATION])
            stride = buffers[target, ACTIVATION_STRIDE]
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                at = (r % 2) * step
                d = advance(delta, (r // 2) * delta_stride + at)
                v = advance(a, (r // 2) * stride + at)
                if kind == ELEMENTWISE:
                    activate_backward(table[o, CODE], (d, v, table[o, N_OUT], registers))
                elif kind == ROW:
                    activate_rows_backward(table[o, CODE], (d, v, table[o, N_OUT], registers))
                r += registers


@jit
def forward_and_backward(table, buffers, transposed, special, params, work, thread, first, last, sums):
    """All of a thread's part of a step before the gradients, a group of panels at a time."""
    group = 2 * special[GROUP]
    start = first
    while start < last:
        end = min(last, start // 2 * 2 + group)
        forward(table, buffers, special, params, work, thread, start, end, True, table.shape[0])
        loss(table, buffers, special, work, start, end, sums)
        backward(table, buffers, transposed, special, params, work, thread, start, end)
        start = end
