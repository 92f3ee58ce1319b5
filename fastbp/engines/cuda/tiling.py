"""How a block of threads is laid over a product of matrices: constants of the kernels.

A block of side × side threads computes a square tile of the product, each thread a square of `micro` ×
`micro` elements of it, in slices of `depth` steps of k that pass through shared memory.
"""

from dataclasses import dataclass

LARGE, SMALL = 0, 1  # shapes of tiles


@dataclass(frozen=True)
class Tiling:
    """Side of the block in threads (a power of two); for each shape of tile, `micro` and `depth`."""

    side: int
    micro: tuple[int, int]
    depth: tuple[int, int]

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.side * self.side

    @property
    def rows_of_tile(self) -> int:
        """Rows of the batch that a block takes at once where a thread takes a row.

        Fewer than it has threads: divided among more blocks they are done sooner.
        """
        return max(self.threads // 4, 1)

    def width(self, shape: int) -> int:
        """Rows and columns of a tile."""
        return self.side * self.micro[shape]

    def pitch(self, shape: int) -> int:
        """Elements from one step of k to the next in shared memory: padded against bank conflicts."""
        return self.width(shape) + 4

    def pool(self, shape: int) -> int:
        """Elements of shared memory of a tile: a slice of each operand, then the product in their place."""
        return max(2 * self.depth[shape] * self.pitch(shape), self.width(shape) ** 2, self.threads)


GPU = Tiling(side=16, micro=(4, 2), depth=(16, 32))
SIMULATED = Tiling(side=2, micro=(2, 1), depth=(4, 4))
