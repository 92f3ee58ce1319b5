"""Memory that a network needs: one that does not fit is refused before it is planned or drawn.

The sizes are products of the user's numbers, so they are computed with Python integers.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache

import numpy as np

# Files with a container's memory limit: control groups, versions 2 and 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Rows whose activations the CPU holds at a time, for any width of the network.
ROWS_AT_A_TIME = 512


def refuse_too_large(
    n_inputs: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    *,
    pieces: Sequence[int],
    fit_intercept: bool,
    n_moments: int | None,
    n_rows: int,
    dtype: np.dtype,
) -> None:
    """Refuse a network whose training does not fit into memory.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden_layer_sizes, pieces : sequence of int
        Units of each hidden layer, and linear outputs for each of its units.
    fit_intercept : bool
    n_moments : int or None
        Number of vectors as long as the parameters that the solver keeps; None for L-BFGS.
    n_rows : int
        Rows of a batch.
    dtype : numpy.dtype

    Raises
    ------
    MemoryError
        If the machine has less memory than training needs at least.
    ValueError
        If no machine can address that much.
    """
    widths = [n_out * k for n_out, k in zip([*hidden_layer_sizes, n_outputs], [*pieces, 1], strict=True)]
    n_inputs_of = [n_inputs, *hidden_layer_sizes]
    n = sum((n_in + fit_intercept) * width for n_in, width in zip(n_inputs_of, widths, strict=True))
    activations = min(n_rows, ROWS_AT_A_TIME) * sum(widths) * np.dtype(dtype).itemsize
    n_bytes, memory = n * bytes_per_parameter(n_moments, dtype) + activations, machine_memory()
    if n_bytes <= min(memory, sys.maxsize):
        return
    names = f"hidden_layer_sizes={_shown(hidden_layer_sizes)}"
    if max(pieces, default=1) > 1:
        names += f" and maxout_pieces={max(pieces)}"
    text = (
        f"{names} make a network of {_count(n)} parameters for {n_inputs} features and {n_outputs} outputs; "
        f"training it takes {_gigabytes(n_bytes)} of memory, "
    )
    if n_bytes > sys.maxsize:
        raise ValueError(f"{text}more than can be addressed. Choose fewer units.")
    raise MemoryError(f"{text}and there are {_gigabytes(memory)}. Choose fewer units.")


@cache
def machine_memory() -> int:
    """Memory of this machine or container in bytes; `sys.maxsize` if unknown."""
    found = [sys.maxsize]
    try:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows, or a system without these names
        pass
    for path in LIMITS:
        try:
            with open(path, encoding="ascii") as file:
                found.append(int(file.read()))
        except (OSError, ValueError):  # no such container, or no limit: "max"
            pass
    return min((n_bytes for n_bytes in found if n_bytes > 0), default=sys.maxsize)


def bytes_per_parameter(n_moments: int | None, dtype: np.dtype) -> int:
    """Minimum number of bytes per parameter in training.

    Weights and the moments of the solver, at the end of a fit both in the engine's memory and in the result.
    `None` means L-BFGS: SciPy works on float64 vectors, the point, the gradient and a pair for each
    iteration.
    """
    itemsize = np.dtype(dtype).itemsize
    return 2 * itemsize + (4 * 8 if n_moments is None else 2 * n_moments * itemsize)


def _shown(sizes: Sequence[int]) -> str:
    if len(sizes) > 10:
        return f"({', '.join(map(str, sizes[:10]))}, ...)"
    return repr(tuple(sizes))


def _count(n: int) -> str:
    return f"{n:,}" if n < 10**15 else f"{n:.2e}"


def _gigabytes(n_bytes: int) -> str:
    gigabytes = n_bytes / 1e9
    return f"{gigabytes:,.1f} GB" if gigabytes < 1e6 else f"{gigabytes:.2e} GB"
