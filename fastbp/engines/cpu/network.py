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
from fastbp.engines.cpu.blocks import (
    Block,
    add_panels,
    copy_panels,
    few_rows_times_block,
    panels_of,
    times_block,
    times_transposed_block,
    transpose_registers_of,
)
from fastbp.engines.cpu.call import (
    call_activation,
    call_activation_backward,
    call_group,
    call_group_backward,
    call_loss,
    call_noise,
    call_parametric,
    call_parametric_backward,
)
from fastbp.engines.cpu.op_table import ACCUMULATES, BACKWARD, DERIVATIVE_OF, FORWARD, LEARNS
from fastbp.engines.cpu.uniforms import op_key
from fastbp.engines.cpu.vector_memory import advance, lanes, pointer

PREDICTING, BY_ROW, BY_BATCH = range(3)


@jit
def forward(net, first, last, training, begin, stop, n_small, key, row):
    """Run ops begin … stop on registers first … last, the first of them on the inputs in buffer 0.

    `n_small` is the number of rows where they are few, in the first register, else 0. `key` is the step's key
    of noise, 0 for none; `row` the number in the batch of the first row of register 0. In `training`
    "by batch" (2) ops that need the whole batch have its statistics in the arena; else (1) they take the
    running ones, as in prediction (0).
    """
    table, buffers, offsets, w = net.table, net.buffers, net.offsets, pointer(net.workspace, 0)
    step = lanes(w)
    for o in range(begin, stop):
        kind, n = table[o, KIND], table[o, N_OUT]
        if training and table[o, TRAINING] == 0 or not training and table[o, PREDICTION] == 0:
            continue
        z = panels_of(w, buffers, table[o, SOURCE], ACTIVATION)
        a = panels_of(w, buffers, table[o, DESTINATION], ACTIVATION)
        if kind == DENSE:
            block = Block(pointer(net.params, table[o, OFFSET]), table[o, ROWS], table[o, LD])
            if table[o, LAYOUT] == IN_MAJOR and n_small:
                constant = buffers[table[o, DESTINATION], CONSTANT]
                few_rows_times_block(a, block, n, z, n_small, constant, advance(w, offsets[FEW_ROWS]))
            elif table[o, LAYOUT] == IN_MAJOR:
                times_block(a, block, n, z, first, last, 0)
            else:
                times_transposed_block(a, block, n, table[o, COLS], z, first, last, 0)
        elif kind == GROUP:
            group_forward(table[o], z, a, first, last)
        elif kind != LOSS:
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                at = (r // 2) * a.stride + (r % 2) * step  # in z, too, which is as wide, or the same
                source, target = advance(z.start, at), advance(a.start, at)
                if kind == NOISE:
                    op = op_key(key, o) if key != 0 else 0
                    p = advance(w, offsets[CONSTANTS] + table[o, OP_CONSTANTS])
                    call_noise(table[o, FORWARD], (source, target, n, registers, row + r * step, op, p))
                elif kind == ADD:
                    other = advance(w, buffers[table[o, OTHER], ACTIVATION] + at)
                    add_panels(source, other, target, n, registers)
                elif kind == PARAMETRIC:
                    own = pointer(net.params, table[o, OFFSET])
                    if training == BY_BATCH and table[o, SYNC]:
                        own = advance(w, buffers[table[o, OTHER], ACTIVATION])
                    call_parametric(table[o, FORWARD], (source, target, n, registers, own))
                else:
                    call_activation(table[o, FORWARD], (source, target, n, registers))
                r += registers


@jit
def group_forward(op, z, a, first, last):
    """An op that makes one feature of each k neighbours, on registers first … last."""
    half = lanes(z.start)
    n, k = op[N_OUT], op[N_IN] // op[N_OUT]
    r = first
    while r < last:
        registers = 2 if r % 2 == 0 and r + 1 < last else 1
        p, at = r // 2, (r % 2) * half
        source, target = advance(z.start, p * z.stride + at), advance(a.start, p * a.stride + at)
        call_group(op[FORWARD], (source, target, n, k, registers))
        r += registers


@jit
def group_backward(op, delta, z, into, first, last):
    """The deltas of such an op's inputs, `into`, from those of its outputs."""
    half = lanes(z.start)
    n, k = op[N_OUT], op[N_IN] // op[N_OUT]
    r = first
    while r < last:
        registers = 2 if r % 2 == 0 and r + 1 < last else 1
        p, at = r // 2, (r % 2) * half
        d, v = advance(delta.start, p * delta.stride + at), advance(z.start, p * z.stride + at)
        call_group_backward(op[BACKWARD], (d, v, advance(into.start, p * into.stride + at), n, k, registers))
        r += registers


@jit
def loss(net, first, last):
    """The loss op on registers first … last: its values summed by register, and the deltas of the outputs."""
    w, buffers, offsets = pointer(net.workspace, 0), net.buffers, net.offsets
    step = lanes(w)
    o = net.table.shape[0] - 1
    target = net.table[o, DESTINATION]
    a, delta = panels_of(w, buffers, target, ACTIVATION), panels_of(w, buffers, target, DELTA)
    for r in range(first, last):
        p, at = r // 2, (r % 2) * step
        call_loss(
            net.table[o, FORWARD],
            (
                advance(a.start, p * a.stride + at),
                advance(w, offsets[TARGET] + p * offsets[TARGET_STRIDE] + at),
                advance(delta.start, p * delta.stride + at),
                advance(w, offsets[WEIGHT] + r * step),
                net.table[o, N_OUT],
                1,
                advance(w, offsets[CONSTANTS]),
                pointer(net.losses, r),
            ),
        )


@jit
def backward(net, first, last, begin, stop, key, row):
    """Ops stop - 1 … begin: from the outputs' deltas to those of layers, and the gradients' operands."""
    table, buffers, w = net.table, net.buffers, pointer(net.workspace, 0)
    step = lanes(w)
    rows_padded = net.offsets[ROWS_PADDED]
    for o in range(stop - 1, begin - 1, -1):
        kind, source, target = table[o, KIND], table[o, SOURCE], table[o, DESTINATION]
        if table[o, TRAINING] == 0:
            continue
        delta, operand = panels_of(w, buffers, target, DELTA), advance(w, net.transposed[o])
        cols = table[o, COLS]
        if kind == DENSE:
            n_in = table[o, N_IN]
            block = Block(pointer(net.params, table[o, OFFSET]), table[o, ROWS], table[o, LD])
            before = panels_of(w, buffers, source, DELTA)
            # Inputs need no deltas; that of a bias is never asked for.
            learns, add = table[o, LEARNS], table[o, ACCUMULATES]
            if table[o, LAYOUT] == IN_MAJOR:
                transpose_registers_of(delta, cols, operand, rows_padded, first, last)
                if learns:
                    times_transposed_block(before, block, n_in, cols, delta, first, last, add)
            else:
                inputs = panels_of(w, buffers, source, ACTIVATION)
                transpose_registers_of(inputs, cols, operand, rows_padded, first, last)
                if learns:
                    times_block(before, block, n_in, delta, first, last, add)
        elif kind == PARAMETRIC and (table[o, LEARNS] or table[o, LEARNED]):
            values = panels_of(w, buffers, source, ACTIVATION)
            of_own = panels_of(w, buffers, table[o, OTHER], DELTA)
            own = pointer(net.params, table[o, OFFSET])
            parametric_backward(table[o], delta, values, own, of_own, first, last)
            if table[o, LEARNED]:
                transpose_registers_of(of_own, cols, operand, rows_padded, first, last)
        elif kind == GROUP:
            z, into = panels_of(w, buffers, source, ACTIVATION), panels_of(w, buffers, source, DELTA)
            group_backward(table[o], delta, z, into, first, last)
        elif table[o, LEARNS]:
            of = advance(w, buffers[table[o, DERIVATIVE_OF], ACTIVATION])
            stride, n = buffers[target, ACTIVATION_STRIDE], table[o, N_OUT]
            r = first
            while r < last:
                registers = 2 if r % 2 == 0 and r + 1 < last else 1
                at = (r // 2) * delta.stride + (r % 2) * step
                d = advance(delta.start, at)
                if kind == NOISE:
                    op = op_key(key, o) if key != 0 else 0
                    p = advance(w, net.offsets[CONSTANTS] + table[o, OP_CONSTANTS])
                    call_noise(table[o, BACKWARD], (d, d, n, registers, row + r * step, op, p))
                elif kind == ADD:
                    other = advance(w, buffers[table[o, OTHER], DELTA] + at)
                    if table[o, ACCUMULATES]:
                        add_panels(d, other, other, n, registers)
                    else:
                        copy_panels(d, other, n, registers)
                else:
                    v = advance(of, (r // 2) * stride + (r % 2) * step)
                    call_activation_backward(table[o, BACKWARD], (d, v, n, registers))
                r += registers


@jit
def parametric_backward(op, delta, values, own, of_own, first, last):
    """Deltas of the inputs of a function with parameters `own`, and those of the parameters into `of_own`."""
    step = lanes(own)
    r = first
    while r < last:
        registers = 2 if r % 2 == 0 and r + 1 < last else 1
        p, at = r // 2, (r % 2) * step
        d = advance(delta.start, p * delta.stride + at)
        v = advance(values.start, p * values.stride + at)
        h = advance(of_own.start, p * of_own.stride + at)
        call_parametric_backward(op[BACKWARD], (d, v, op[N_OUT], registers, own, h))
        r += registers


@jit
def forward_and_backward(net, first, last, n_small, key, row):
    """All of a thread's part of a step before the gradients, a group of panels at a time."""
    group = 2 * net.offsets[GROUP_PANELS]
    n_ops = net.table.shape[0]
    start = first
    while start < last:
        end = min(last, start // 2 * 2 + group)
        forward(net, start, end, BY_ROW, 0, n_ops, n_small, key, row)
        loss(net, start, end)
        backward(net, start, end, 0, n_ops - 1, key, row)
        start = end
