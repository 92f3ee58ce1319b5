"""Chooses an engine and imports it at its first use: importing fastbp imports no compiler.

The imports are statements, so that tools that make a program of a package (PyInstaller, cx_Freeze, Nuitka)
see them.

Every engine is a module with the same few names:

- ``DEVICE``, its name
- ``Trainer(network, training, rows, parameters, state=None, n_jobs=None)``
- ``Block(network, starts)``, of "cpu" only: trains small networks one after the other
- ``Objective(network, rows, alpha, l2, n_jobs=None)``
- ``Loss(network, rows, n_jobs=None)``
- ``Forward(network, X, layer=None, n_jobs=None, largest=False)``: outputs for parameters
- ``forward(network, parameters, X, layer=None, n_jobs=None, largest=False)``: the same, once
- ``hold(network, X, index=None)``: what `Forward` takes in place of rows that are used repeatedly
- ``rows_of(X, dtypes)``, ``to_host(values)``, of "cuda" only: for arrays that lie on the GPU
- ``FleetTrainer(starts)``, ``fleet_shape(network, training, n_rows)``, of "cuda" only: networks of one shape
  that are trained together; ``run_on_threads(work, n_threads, n_jobs)``, of "cpu" only: one on each thread
- ``loss_and_gradient(network, parameters, rows, alpha, l2, n_jobs=None)``

`rows` is a ``fastbp.engines.dataset.Dataset``; `index` holds the indices of the rows of X that are meant,
None for all. Flat vectors, given and returned, are row-major, as in the plan; how an engine stores them is
its own choice.
"""

from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse


def get_engine(device: str = "cpu", X=None) -> ModuleType:
    """The engine module of a device.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        "auto" is the GPU where there is one that can take `X`, else the CPU.
    X : array or CSR matrix, optional
        The rows of the fit or prediction.

    Raises
    ------
    RuntimeError
        For "cuda" where no GPU can be used; it says what is missing.
    ValueError
        For "cuda" where `X` is sparse, for the CPU where it lies on the GPU.
    """
    if device == "cpu":
        if on_gpu(X):
            raise ValueError(
                "X lies on the GPU, where device='cpu' does not compute. Choose device='cuda', or pass a "
                "NumPy array."
            )
        from fastbp.engines.cpu import engine as cpu_engine

        return cpu_engine
    sparse = scipy.sparse.issparse(X)
    if device == "auto":
        return get_engine("cuda" if not sparse and _what_cuda_lacks() is None else "cpu", X)
    lacking = _what_cuda_lacks()
    if lacking is not None:
        raise RuntimeError(f"device='cuda' cannot be used: {lacking}. Or choose device='cpu'.")
    if sparse:
        raise ValueError(
            "device='cuda' takes no sparse X. Pass X.toarray() where that fits into memory, or choose "
            "device='cpu', which takes sparse X as it is."
        )
    from fastbp.engines.cuda import engine as cuda_engine

    return cuda_engine


def on_gpu(values: Any) -> bool:
    """Whether another library holds these numbers on a GPU."""
    return not isinstance(values, np.ndarray) and hasattr(values, "__cuda_array_interface__")


def _what_cuda_lacks() -> str | None:
    from fastbp.engines.cuda.target import missing

    return missing()
