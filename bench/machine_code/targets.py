"""Processors, as LLVM and Numba name them."""

from typing import NamedTuple


class Target(NamedTuple):
    """What surrounds a processor: LLVM's triple, what ``platform.machine`` says there, and as much of
    Numba's list of features as decides about the width of registers.
    """

    triple: str
    machine: str
    features: str

    @property
    def is_arm(self) -> bool:
        return self.triple.startswith(("aarch64", "arm64"))


def _x86(features: str) -> Target:
    return Target("x86_64-unknown-linux-gnu", "x86_64", features)


_SSE, _AVX2 = "+sse4.2", "+avx,+avx2,+fma"
_AVX512 = f"{_AVX2},+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd"
_NEOVERSE = Target("aarch64-unknown-linux-gnu", "aarch64", "+neon")

TARGETS = {
    "x86-64-v2": _x86(_SSE),
    "haswell": _x86(_AVX2),
    "skylake-avx512": _x86(_AVX512),
    "icelake-server": _x86(_AVX512),
    "sapphirerapids": _x86(_AVX512),
    "znver3": _x86(_AVX2),
    "znver4": _x86(_AVX512),
    "znver5": _x86(_AVX512),
    "apple-m1": Target("arm64-apple-macosx14.0.0", "arm64", "+neon"),
    "neoverse-n1": _NEOVERSE,
    "neoverse-v1": _NEOVERSE,
}
