"""NumPy's product of two square matrices: the measure of what a processor can do, and a load."""

import time

import numpy as np


class Squares:
    """Two square matrices and room for their product."""

    def __init__(self, dtype, size: int):
        rng = np.random.default_rng(0)
        self.left, self.right, self.out = (rng.standard_normal((size, size)).astype(dtype) for _ in range(3))

    def multiply(self) -> None:
        np.dot(self.left, self.right, out=self.out)

    def rate(self) -> float:
        """Return the operations a second, the best of three."""
        self.multiply()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            self.multiply()
            times.append(time.perf_counter() - start)
        return 2 * len(self.out) ** 3 / min(times)
