"""The one import of ``numba.cuda``: everything here and in its neighbours takes `cuda` from this file.

Under ``NUMBA_ENABLE_CUDASIM=1`` the kernels run in Numba's simulator, one block after another and each thread
of a block a thread of Python: for tests of tiny shapes on machines without a GPU.
"""

import functools
import warnings
from typing import Any

import numba

INSTALL = 'pip install "fastbp[cuda]"'
SIMULATOR = bool(numba.config.ENABLE_CUDASIM)

with warnings.catch_warnings():
    # Numba's own copy of numba.cuda, there where numba-cuda is not installed, says that it is deprecated.
    warnings.simplefilter("ignore")
    try:
        from numba import cuda
    except ImportError:  # a Numba without such a copy
        cuda = None

__all__ = ["INSTALL", "SIMULATOR", "cuda", "device", "inlined", "missing"]


def device(function: Any) -> Any:
    """Compile a function that kernels call."""
    return cuda.jit(device=True)(function)


def inlined(function: Any) -> Any:
    """The same, part of its caller: its small arrays then stay in registers."""
    if SIMULATOR:
        return device(function)
    return cuda.jit(device=True, forceinline=True)(function)


@functools.cache
def missing() -> str | None:
    """The reason why kernels cannot run here, and the remedy; None where they can."""
    if SIMULATOR and cuda is not None:
        return None
    try:
        import numba_cuda  # noqa: F401
    except ImportError:
        return f"the package numba-cuda is not installed; install it with {INSTALL}"
    if cuda is None:
        return f"Numba does not find numba-cuda's numba.cuda; install both anew with {INSTALL}"
    error = cuda.cuda_error()
    if error is not None:
        return (
            "no NVIDIA driver was found; install the driver of the GPU (it comes with the system, not with "
            f"Python): {' '.join(str(error).split()).rstrip('.')}"
        )
    try:
        if len(cuda.gpus) == 0:
            return "the NVIDIA driver sees no GPU; look at CUDA_VISIBLE_DEVICES and at nvidia-smi"
        capability = cuda.get_current_device().compute_capability
    except Exception as exception:  # the driver's many ways of failing; all mean the same here
        return f"the NVIDIA driver does not work: {exception}"
    if capability < (7, 0):
        return f"the GPU has compute capability {capability[0]}.{capability[1]}, and 7.0 or more is needed"
    return None
