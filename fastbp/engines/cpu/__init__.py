"""The CPU engine: kernels in explicit vectors, threads with a barrier between phases."""
