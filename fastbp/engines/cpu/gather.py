"""From the user's rows to panels: inputs, targets and weights of one pass."""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import (
    ACTIVATION,
    CONSTANT,
    TARGET,
    TARGET_STRIDE,
)
from fastbp.engines.cpu.blocks import Panels, panels_of
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
def gather_sparse(values, indices, indptr, rows, n, target):
    """The same from a CSR matrix: zeros, then the non-zeros of each row (int64 row numbers at `rows`)."""
    step = lanes(target)
    panel = 2 * step
    for f in range(n):
        store(target, f * panel, 0.0)
    for i in range(step):
        row = load_scalar(rows, i)
        for k in range(indptr[row], indptr[row + 1]):
            store_scalar(target, indices[k] * panel + i, load_scalar(values, k))


@jit
def locate(order, starts, position, n_rows, width, first, last, step):
    """Offsets of the rows of registers first … last into a matrix of `width` columns.

    ``order[position + i]`` is the row of the data that is row i of the batch. Rows beyond the batch
    repeat its first: they must hold harmless numbers, and get no weight.
    """
    for i in range(first * step, last * step):
        starts[i] = order[position + (i if i < n_rows else 0)] * width


@jit
def gather_panels(values, starts, n, panels, first, last):
    """Registers first … last of rows of `n` columns; `starts` as `locate` left them."""
    step = lanes(panels.start)
    source = pointer(values, 0)
    for r in range(first, last):
        target = advance(panels.start, (r // 2) * panels.stride + (r % 2) * step)
        gather_dense(source, pointer(starts, r * step), n, target)


@jit
def gather_inputs(net, data, first, last):
    """Inputs of registers first … last into buffer 0; `starts` as `locate` left them (width 1 for CSR)."""
    w, n_inputs = pointer(net.workspace, 0), data.n_inputs
    step = lanes(w)
    inputs = panels_of(w, net.buffers, 0, ACTIVATION)
    if data.indptr.shape[0] == 0:
        gather_panels(data.values, data.starts, n_inputs, inputs, first, last)
    for r in range(first, last):
        target = advance(inputs.start, (r // 2) * inputs.stride + (r % 2) * step)
        if data.indptr.shape[0] > 0:
            values, rows = pointer(data.values, 0), pointer(data.starts, r * step)
            gather_sparse(values, data.indices, data.indptr, rows, n_inputs, target)
        store(target, n_inputs * 2 * step, float(net.buffers[0, CONSTANT]))


@jit
def gather_targets(net, data, first, last):
    """Targets of registers first … last; `starts` as `locate` left them."""
    offsets = net.offsets
    targets = Panels(advance(pointer(net.workspace, 0), offsets[TARGET]), offsets[TARGET_STRIDE])
    gather_panels(data.targets, data.starts, data.n_targets, targets, first, last)


@jit
def gather_weights(w, weights, order, position, n_rows, factor, first, last):
    """Weights times `factor` of registers first … last to `w`; 0 for rows beyond the batch. None: all 1."""
    step = lanes(w)
    for i in range(first * step, last * step):
        weight = 0.0
        if i < n_rows:
            weight = factor
            if weights.shape[0] > 0:
                weight *= weights[order[position + i]]
        store_scalar(w, i, weight)
