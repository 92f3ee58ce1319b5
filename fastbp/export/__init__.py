"""A trained network outside of fastbp's own kernels: as a C file, and as a function for Numba's code."""

from fastbp.export.models import to_c, to_numba

__all__ = ["to_c", "to_numba"]
