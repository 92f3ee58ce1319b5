"""The CPU engine: kernels in explicit vectors, threads that meet at a barrier."""
