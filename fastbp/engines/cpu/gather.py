"""From the user's rows to panels: inputs, targets and weights of one pass."""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import (
    ACTIVATION,
    ACTIVATION_STRIDE,
    CONSTANT,
    TARGET,
    TARGET_STRIDE,
    WEIGHT,
)
from fastbp.engines.cpu.transpose import gather_block
from fastbp.engines.cpu.vector_memory import advance, lanes, load_scalar, pointer, store, store_scalar


@jit
def gather_dense(values, starts, n, target):
    """One register of rows: `n` columns of the rows that begin at `starts`, as features at `target`."""
    step = lanes(target)
    panel = 2 * step
    if n < 4:
        for i in range(step):
            start = load_scalar(starts, i)
            for f in range(n):
                store_scalar(target, f * panel + i, load_scalar(values, start + f))
    else:
        for f in range(0, n, step):
            gather_block(values, starts, f, min(step, n - f), advance(target, f * panel), panel)


@jit
def gather_sparse(data, rows, target):
    """The same from a CSR matrix: zeros, then the non-zeros of each row (int64 row numbers at `rows`)."""
    values = pointer(data.values, 0)
    step = lanes(target)
    panel = 2 * step
    for f in range(data.n_inputs):
        store(target, f * panel, 0.0)
    for i in range(step):
        row = load_scalar(rows, i)
        for k in range(data.indptr[row], data.indptr[row + 1]):
            store_scalar(target, data.indices[k] * panel + i, load_scalar(values, k))


@jit
def locate(data, position, n_rows, width, first, last, step):
    """Offsets of the rows of registers first … last into a matrix of `width` columns, to `data.starts`.

    ``order[position + i]`` is the row of the data that is row i of the batch. Rows beyond the batch
    repeat its first: they must hold harmless numbers, and get no weight.
    """
    for i in range(first * step, last * step):
        data.starts[i] = data.order[position + (i if i < n_rows else 0)] * width


@jit
def gather_inputs(net, data, first, last):
    """Inputs of registers first … last into buffer 0; `starts` as `locate` left them (width 1 for CSR)."""
    w = pointer(net.workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n_inputs, source = data.n_inputs, pointer(data.values, 0)
    start, stride = net.buffers[0, ACTIVATION], net.buffers[0, ACTIVATION_STRIDE]
    for r in range(first, last):
        target = advance(w, start + (r // 2) * stride + (r % 2) * step)
        rows = pointer(data.starts, r * step)
        if data.indptr.shape[0] > 0:
            gather_sparse(data, rows, target)
        else:
            gather_dense(source, rows, n_inputs, target)
        store(target, n_inputs * panel, float(net.buffers[0, CONSTANT]))


@jit
def gather_targets(net, data, first, last):
    """Targets of registers first … last; `starts` as `locate` left them."""
    w, offsets = pointer(net.workspace, 0), net.offsets
    step = lanes(w)
    source = pointer(data.targets, 0)
    for r in range(first, last):
        target = advance(w, offsets[TARGET] + (r // 2) * offsets[TARGET_STRIDE] + (r % 2) * step)
        gather_dense(source, pointer(data.starts, r * step), data.n_targets, target)


@jit
def gather_weights(net, data, position, n_rows, factor, first, last):
    """Weights times `factor` of registers first … last; zero for rows beyond the batch. No weights: all 1."""
    w = pointer(net.workspace, 0)
    step = lanes(w)
    for i in range(first * step, last * step):
        weight = 0.0
        if i < n_rows:
            weight = factor
            if data.weights.shape[0] > 0:
                weight *= data.weights[data.order[position + i]]
        store_scalar(w, net.offsets[WEIGHT] + i, weight)
