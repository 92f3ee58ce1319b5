"""Forward and backward through the list of ops, for a range of registers of the batch.

A register stands for as many rows of the batch as it has lanes: register r lies in panel r // 2, half r % 2.
A thread computes a contiguous range of registers, and no other thread reads or writes them in between.
"""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import (
    ACTIVATION,
    ACTIVATION_STRIDE,
    ADD,
    COLS,
    CONSTANT,
    CONSTANTS,
    DELTA,
    DELTA_STRIDE,
    DENSE,
    DESTINATION,
    FEW_ROWS,
    GROUP,
    GROUP_PANELS,
    IN_MAJOR,
    KIND,
    LAYOUT,
    LD,
    LEARNED,
    LOSS,
    N_IN,
    N_OUT,
    NOISE,
    OFFSET,
    OP_CONSTANTS,
    OTHER,
    PARAMETRIC,
    PREDICTION,
    ROWS,
    ROWS_PADDED,
    SOURCE,
    SYNC,
    TARGET,
    TARGET_STRIDE,
    TRAINING,
    WEIGHT,
)
from fastbp.engines.cpu.call import call
from fastbp.engines.cpu.lowering import ACCUMULATES, BACKWARD, DERIVATIVE_OF, FORWARD, LEARNS
from fastbp.engines.cpu.tile import TILE_ROWS, product
from fastbp.engines.cpu.transpose import scatter_block, transpose_block
from fastbp.engines.cpu.uniforms import op_key
from fastbp.engines.cpu.vector_memory import advance, lanes, load, pointer, store

# Blocks of weights that meet the panels of the batch one after another: LONGEST_BLOCK steps of k of a panel
# and of weights take 32 KB in either dtype, as much as a first-level cache holds.
LONGEST_BLOCK = 128
ROW_BLOCK = 4 * TILE_ROWS
FEW_ROWS_BLOCK = 16

PREDICTING, BY_ROW, BY_BATCH = range(3)


@jit
def row_pitch(width, lanes):
    """Values from one of few rows to the next: a register more than needed, for other cache sets."""
    return (width + 2 * lanes - 1) // lanes * lanes


@jit
def block_length(k_total, ld):
    """Steps of k in a block: about equal blocks, so that none is a mere rest, and multiples of ld."""
    n_blocks = -(-k_total // LONGEST_BLOCK)
    return -(-k_total // (n_blocks * ld)) * ld


@jit
def tiles_times_panels(
    c, c_stride, a, row_stride, col_stride, k_total, k_block, jump, b, b_stride, add, n_rows, first, last
):
    """`n_rows` rows of weights, in tiles of equal height, times registers first … last of the batch.

    Within a panel of the batch all tiles come one after another: the panel is then in first-level cache.
    Parameters as of `product`; panels of `c` and `b` are `c_stride` and `b_stride` apart.
    """
    step = lanes(c)
    panel = 2 * step
    n_tiles = -(-n_rows // TILE_ROWS)
    height, taller = n_rows // n_tiles, n_rows % n_tiles
    r = first
    while r < last:
        half = r % 2
        registers = 2 if half == 0 and r + 1 < last else 1
        to = advance(c, (r // 2) * c_stride + half * step)
        of = advance(b, (r // 2) * b_stride + half * step)
        i = 0
        for tile in range(n_tiles):
            rows = height + (tile < taller)
            product(
                advance(to, i * panel),
                panel,
                advance(a, i * row_stride),
                row_stride,
                col_stride,
                k_total,
                k_block,
                jump,
                of,
                panel,
                add,
                rows,
                registers,
            )
            i += rows
        r += registers


@jit
def times_block(c, c_stride, block, rows, ld, n, b, b_stride, first, last, add):
    """C = Wᵀ·B: an output for each of the first `n` columns of a parameter block, a sum over its rows.

    Parameters
    ----------
    c : pointer, out
        Panels of `n` features, `c_stride` apart.
    block : pointer, in
        Column panels (rows, ld).
    b : pointer, in
        Panels of `rows` features, `b_stride` apart.
    add : int
        1 to add to what stands in `c`.
    """
    panel = 2 * lanes(c)
    block_rows = block_length(rows, 1)
    for k in range(0, rows, block_rows):
        for j in range(0, n, ld):
            tiles_times_panels(
                advance(c, j * panel),
                c_stride,
                advance(block, j * rows + k * ld),
                1,
                ld,
                min(block_rows, rows - k),
                block_rows,
                0,
                advance(b, k * panel),
                b_stride,
                int(k > 0 or add != 0),
                min(ld, n - j),
                first,
                last,
            )


@jit
def times_transposed_block(c, c_stride, block, rows, ld, n, cols, b, b_stride, first, last, add):
    """C = W·B: an output for each of the first `n` rows of a parameter block, a sum over its columns."""
    panel = 2 * lanes(c)
    block_cols = block_length(cols, ld)
    for k in range(0, cols, block_cols):
        for i in range(0, n, ROW_BLOCK):
            tiles_times_panels(
                advance(c, i * panel),
                c_stride,
                advance(block, k * rows + i * ld),
                ld,
                1,
                min(block_cols, cols - k),
                ld,
                rows * ld - ld + 1,
                advance(b, k * panel),
                b_stride,
                int(k > 0 or add != 0),
                min(ROW_BLOCK, n - i),
                first,
                last,
            )


@jit
def few_rows_times_block(c, c_stride, block, rows, ld, n, b, n_rows, constant, scratch):
    """C = Wᵀ·B for a batch of up to TILE_ROWS rows: vectors run along the outputs, not along the batch.

    So all lanes work. Each element is the same chain of additions as in `times_block`. Lanes behind `n_rows`
    repeat the first row.

    Parameters
    ----------
    c, b : pointer
        One panel; `c` gets the `constant` behind its `n` features.
    scratch : pointer
        TILE_ROWS rows of inputs, a register's rows of outputs, each `row_pitch` long.
    """
    step = lanes(c)
    panel = 2 * step
    x_pitch, y_pitch = row_pitch(rows, step), row_pitch(n, step)
    y = advance(scratch, TILE_ROWS * x_pitch)
    for k in range(0, rows, step):
        scatter_block(advance(b, k * panel), panel, advance(scratch, k), x_pitch, n_rows, min(step, rows - k))
    # Whole vectors only; rows of another length than a panel's are the user's own, and end where they end.
    n_whole = n if ld % step == 0 else n // step * step
    # Long rows of weights are read along, few at a time, as caches expect.
    block_rows = rows if ld <= panel else FEW_ROWS_BLOCK
    for k in range(0, rows, block_rows):
        for j in range(0, n_whole, panel):
            product(
                advance(y, j),
                y_pitch,
                advance(scratch, k),
                x_pitch,
                1,
                min(block_rows, rows - k),
                rows,
                0,
                advance(block, j // ld * ld * rows + k * ld + j % ld),
                ld,
                int(k > 0),
                n_rows,
                1 if n_whole - j <= step else 2,
            )
    for j in range(0, n_whole, step):
        first = load(y, j)
        for i in range(n_rows, step):
            store(y, i * y_pitch + j, first)
        transpose_block(advance(y, j), y_pitch, advance(c, j * panel), panel)
    if n_whole < n:
        at = advance(c, n_whole * panel)
        times_block(at, c_stride, advance(block, n_whole), rows, ld, n - n_whole, b, c_stride, 0, 1, 0)
    store(c, n * panel, float(constant))


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
def forward(
    table, buffers, offsets, params, workspace, first, last, training, begin, stop, n_small, key, row
):
    """Run ops begin … stop on registers first … last, the first of them on the inputs in buffer 0.

    `n_small` is the number of rows where they are few, in the first register, else 0. `key` is the step's key
    of noise, 0 for none; `row` the number in the batch of the first row of register 0. In `training`
    "by batch" (2) ops that need the whole batch have its statistics in the arena; else (1) they take the
    running ones, as in prediction (0).
    """
    w = pointer(workspace, 0)
    step = lanes(w)
    for o in range(begin, stop):
        kind = table[o, KIND]
        if training and table[o, TRAINING] == 0 or not training and table[o, PREDICTION] == 0:
            continue
        target = table[o, DESTINATION]
        a = advance(w, buffers[target, ACTIVATION])
        stride = buffers[target, ACTIVATION_STRIDE]
        if kind == DENSE:
            source = table[o, SOURCE]
            rows, ld, n_out = table[o, ROWS], table[o, LD], table[o, N_OUT]
            block = pointer(params, table[o, OFFSET])
            b = advance(w, buffers[source, ACTIVATION])
            b_stride = buffers[source, ACTIVATION_STRIDE]
            if table[o, LAYOUT] == IN_MAJOR and n_small:
                scratch = advance(w, offsets[FEW_ROWS])
                constant = buffers[target, CONSTANT]
                few_rows_times_block(a, stride, block, rows, ld, n_out, b, n_small, constant, scratch)
            elif table[o, LAYOUT] == IN_MAJOR:
                times_block(a, stride, block, rows, ld, n_out, b, b_stride, first, last, 0)
            else:
                times_transposed_block(
                    a, stride, block, rows, ld, n_out, table[o, COLS], b, b_stride, first, last, 0
                )
        elif kind == GROUP:
            group_forward(table[o], buffers, w, first, last)
        elif kind != LOSS:
            z = advance(w, buffers[table[o, SOURCE], ACTIVATION])  # as wide as `a`, or the same
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                at = (r // 2) * stride + (r % 2) * step
                source, target = advance(z, at), advance(a, at)
                if kind == NOISE:
                    op = op_key(key, o) if key != 0 else 0
                    p = advance(w, offsets[CONSTANTS] + table[o, OP_CONSTANTS])
                    call(
                        table[o, FORWARD], (source, target, table[o, N_OUT], registers, row + r * step, op, p)
                    )
                elif kind == ADD:
                    other = advance(w, buffers[table[o, OTHER], ACTIVATION] + at)
                    add_panels(source, other, target, table[o, N_OUT], registers)
                elif kind == PARAMETRIC:
                    own = pointer(params, table[o, OFFSET])
                    if training == BY_BATCH and table[o, SYNC]:
                        own = advance(w, buffers[table[o, OTHER], ACTIVATION])
                    call(table[o, FORWARD], (source, target, table[o, N_OUT], registers, own))
                else:
                    call(table[o, FORWARD], (source, target, table[o, N_OUT], registers))
                r += registers


@jit
def group_forward(op, buffers, w, first, last):
    """An op that makes one feature of each k neighbours, on registers first … last."""
    half = lanes(w)
    source, target, n, k = op[SOURCE], op[DESTINATION], op[N_OUT], op[N_IN] // op[N_OUT]
    z = advance(w, buffers[source, ACTIVATION])
    a = advance(w, buffers[target, ACTIVATION])
    r = first
    while r < last:
        registers = 2 if r % 2 == 0 and r + 1 < last else 1
        p, at = r // 2, (r % 2) * half
        before = advance(z, p * buffers[source, ACTIVATION_STRIDE] + at)
        call(op[FORWARD], (before, advance(a, p * buffers[target, ACTIVATION_STRIDE] + at), n, k, registers))
        r += registers


@jit
def group_backward(op, buffers, w, first, last):
    """The deltas of such an op's inputs from those of its outputs."""
    half = lanes(w)
    source, target, n, k = op[SOURCE], op[DESTINATION], op[N_OUT], op[N_IN] // op[N_OUT]
    z = advance(w, buffers[source, ACTIVATION])
    into = advance(w, buffers[source, DELTA])
    delta = advance(w, buffers[target, DELTA])
    r = first
    while r < last:
        registers = 2 if r % 2 == 0 and r + 1 < last else 1
        p, at = r // 2, (r % 2) * half
        d = advance(delta, p * buffers[target, DELTA_STRIDE] + at)
        v = advance(z, p * buffers[source, ACTIVATION_STRIDE] + at)
        call(op[BACKWARD], (d, v, advance(into, p * buffers[source, DELTA_STRIDE] + at), n, k, registers))
        r += registers


@jit
def add_panels(a, b, c, n, n_registers):
    """c = a + b, `n` features of one or two registers of rows."""
    step = lanes(a)
    for i in range(n):
        for r in range(n_registers):
            at = (2 * i + r) * step
            store(c, at, load(a, at) + load(b, at))


@jit
def copy_panels(a, c, n, n_registers):
    """c = a."""
    step = lanes(a)
    for i in range(n):
        for r in range(n_registers):
            at = (2 * i + r) * step
            store(c, at, load(a, at))


@jit
def loss(table, buffers, offsets, workspace, first, last, sums):
    """The loss op on registers first … last: its values summed by register, and the deltas of the outputs."""
    w = pointer(workspace, 0)
    step = lanes(w)
    o = table.shape[0] - 1
    target = table[o, DESTINATION]
    for r in range(first, last):
        p, at = r // 2, (r % 2) * step
        call(
            table[o, FORWARD],
            (
                advance(w, buffers[target, ACTIVATION] + p * buffers[target, ACTIVATION_STRIDE] + at),
                advance(w, offsets[TARGET] + p * offsets[TARGET_STRIDE] + at),
                advance(w, buffers[target, DELTA] + p * buffers[target, DELTA_STRIDE] + at),
                advance(w, offsets[WEIGHT] + r * step),
                table[o, N_OUT],
                1,
                advance(w, offsets[CONSTANTS]),
                pointer(sums, r),
            ),
        )


@jit
def backward(table, buffers, transposed, offsets, params, workspace, first, last, begin, stop, key, row):
    """Ops stop - 1 … begin: from the outputs' deltas to those of layers, and the gradients' operands."""
    w = pointer(workspace, 0)
    step = lanes(w)
    rows_padded = offsets[ROWS_PADDED]
    for o in range(stop - 1, begin - 1, -1):
        kind = table[o, KIND]
        if table[o, TRAINING] == 0:
            continue
        target = table[o, DESTINATION]
        delta = advance(w, buffers[target, DELTA])
        delta_stride = buffers[target, DELTA_STRIDE]
        if kind == DENSE:
            source = table[o, SOURCE]
            rows, cols, ld, n_in = table[o, ROWS], table[o, COLS], table[o, LD], table[o, N_IN]
            block = pointer(params, table[o, OFFSET])
            operand = advance(w, transposed[o])
            before = advance(w, buffers[source, DELTA])
            before_stride = buffers[source, DELTA_STRIDE]
            # Inputs need no deltas; that of a bias is never asked for.
            learns, add = table[o, LEARNS], table[o, ACCUMULATES]
            if table[o, LAYOUT] == IN_MAJOR:
                transpose_registers_of(delta, delta_stride, cols, operand, rows_padded, first, last)
                if learns:
                    times_transposed_block(
                        before,
                        before_stride,
                        block,
                        rows,
                        ld,
                        n_in,
                        cols,
                        delta,
                        delta_stride,
                        first,
                        last,
                        add,
                    )
            else:
                inputs = advance(w, buffers[source, ACTIVATION])
                stride = buffers[source, ACTIVATION_STRIDE]
                transpose_registers_of(inputs, stride, cols, operand, rows_padded, first, last)
                if learns:
                    times_block(
                        before, before_stride, block, rows, ld, n_in, delta, delta_stride, first, last, add
                    )
        elif kind == PARAMETRIC and (table[o, LEARNS] or table[o, LEARNED]):
            source, other = table[o, SOURCE], table[o, OTHER]
            values, stride = advance(w, buffers[source, ACTIVATION]), buffers[source, ACTIVATION_STRIDE]
            of_own, own_stride = advance(w, buffers[other, DELTA]), buffers[other, DELTA_STRIDE]
            own = pointer(params, table[o, OFFSET])
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                p, at = r // 2, (r % 2) * step
                d = advance(delta, p * delta_stride + at)
                v = advance(values, p * stride + at)
                h = advance(of_own, p * own_stride + at)
                call(table[o, BACKWARD], (d, v, table[o, N_OUT], registers, own, h))
                r += registers
            if table[o, LEARNED]:
                operand = advance(w, transposed[o])
                transpose_registers_of(of_own, own_stride, table[o, COLS], operand, rows_padded, first, last)
        elif kind == GROUP:
            group_backward(table[o], buffers, w, first, last)
        elif table[o, LEARNS]:
            values = advance(w, buffers[table[o, DERIVATIVE_OF], ACTIVATION])
            stride = buffers[target, ACTIVATION_STRIDE]
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                at = (r % 2) * step
                d = advance(delta, (r // 2) * delta_stride + at)
                v = advance(values, (r // 2) * stride + at)
                if kind == NOISE:
                    op = op_key(key, o) if key != 0 else 0
                    p = advance(w, offsets[CONSTANTS] + table[o, OP_CONSTANTS])
                    call(table[o, BACKWARD], (d, d, table[o, N_OUT], registers, row + r * step, op, p))
                elif kind == ADD:
                    before = advance(w, buffers[table[o, OTHER], DELTA] + (r // 2) * delta_stride + at)
                    if table[o, ACCUMULATES]:
                        add_panels(d, before, before, table[o, N_OUT], registers)
                    else:
                        copy_panels(d, before, table[o, N_OUT], registers)
                else:
                    call(table[o, BACKWARD], (d, v, table[o, N_OUT], registers))
                r += registers


@jit
def forward_and_backward(
    table, buffers, transposed, offsets, params, workspace, first, last, n_small, key, row, sums
):
    """All of a thread's part of a step before the gradients, a group of panels at a time."""
    group = 2 * offsets[GROUP_PANELS]
    n_ops = table.shape[0]
    start = first
    while start < last:
        end = min(last, start // 2 * 2 + group)
        forward(table, buffers, offsets, params, workspace, start, end, BY_ROW, 0, n_ops, n_small, key, row)
        loss(table, buffers, offsets, workspace, start, end, sums)
        backward(table, buffers, transposed, offsets, params, workspace, start, end, 0, n_ops - 1, key, row)
        start = end
