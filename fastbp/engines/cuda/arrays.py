"""Matrices that other libraries (CuPy, PyTorch, JAX …) hold on the GPU, taken as they lie there.

They come by the CUDA array interface, and nothing of them passes through the host unless it is asked for.
"""

from typing import Any

import numpy as np

from fastbp.engines.cuda.target import SIMULATOR, cuda

THREADS, MOST_BLOCKS = (2, 2) if SIMULATOR else (256, 1024)
CAST = tuple(map(np.dtype, ("float32", "float64", "int32", "int64")))  # dtypes that rows may be cast from


class DeviceRows:
    """An estimator's X on the GPU: the attributes that scikit-learn reads, and the memory for the engine.

    Attributes
    ----------
    shape, dtype, ndim
    values : device array
        Its elements as a flat vector: the memory of the array that was given.
    """

    ndim = 2

    def __init__(self, values: Any, shape: tuple[int, int]) -> None:
        self.values, self.shape, self.dtype = values, shape, np.dtype(values.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray) -> "DeviceRows":
        """The rows of these numbers, in memory of their own."""
        shape = len(index), self.shape[1]
        out = cuda.device_array(shape[0] * shape[1], self.dtype)
        launch(_take, out.size)(self.values, cuda.to_device(np.ascontiguousarray(index)), shape[1], out)
        return DeviceRows(out, shape)

    def to_host(self) -> np.ndarray:
        """A NumPy copy."""
        return self.values.copy_to_host().reshape(self.shape)


def rows_of(X: Any, dtypes: Any) -> DeviceRows:
    """An object with the CUDA array interface as rows, or ValueError that says what is wrong.

    Parameters
    ----------
    dtypes : dtype or list of dtypes
        Those that it may have without a copy. To a single one it is cast, on the GPU.
    """
    array = cuda.as_cuda_array(X)
    shape = tuple(int(n) for n in array.shape)
    known = [np.dtype(dtype) for dtype in (dtypes if isinstance(dtypes, list | tuple) else [dtypes])]
    if len(shape) != 2 or not shape[0] or not shape[1]:
        raise ValueError(f"Expected a 2D array with at least one row and column, got X of shape {shape}.")
    own = np.dtype(array.dtype)
    is_cast = own not in known
    if is_cast and (len(known) > 1 or own not in CAST):
        names = " or ".join(dtype.name for dtype in known)
        raise ValueError(f"X on the GPU must have the dtype {names}, got {own.name}; cast it.")
    if not array.is_c_contiguous():
        raise ValueError("X on the GPU must be C-contiguous: a contiguous copy of it will do.")
    values = array.reshape(shape[0] * shape[1])
    if is_cast:
        given, values = values, cuda.device_array(values.size, known[0])
        launch(_cast, values.size)(given, values)
    bad = cuda.to_device(np.zeros(1, np.int32))
    launch(_look_for_non_finite, values.size)(values, bad)
    if bad.copy_to_host()[0]:
        what = f"NaN, infinity or a value too large for {known[0]!r}" if is_cast else "NaN or infinity"
        raise ValueError(f"Input X contains {what}.")
    return DeviceRows(values, shape)


def to_host(values: Any) -> np.ndarray:
    """A NumPy copy of an object with the CUDA array interface."""
    return cuda.as_cuda_array(values).copy_to_host()


def launch(kernel: Any, n: int) -> Any:
    """The kernel for n elements, a few to each thread."""
    return kernel[min(-(-n // THREADS), MOST_BLOCKS), THREADS]


@cuda.jit
def _take(values, index, width, out):
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        out[i] = values[index[i // width] * width + i % width]


@cuda.jit
def _cast(values, out):
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        out[i] = values[i]


@cuda.jit
def _look_for_non_finite(values, bad):
    for i in range(cuda.grid(1), values.shape[0], cuda.gridsize(1)):
        if values[i] - values[i] != 0:
            bad[0] = 1
