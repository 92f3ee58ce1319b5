"""Numba's CUDA simulator with a barrier of its own: the original asks all threads in turn whether they wait.

Most of the time of the tests would go into the asking. What is computed stays the same; but a thread that
misses a barrier, which the original forgives, is an error here as on a GPU.
"""

import threading

import numpy as np
from numba.cuda.simulator import kernel

SECONDS = 60  # that threads wait for one another


class Thread(kernel.BlockThread):
    """A thread of a block."""

    def run(self):
        super().run()
        if self.exception:
            self._manager.barrier.abort()

    def syncthreads(self):
        self._manager.barrier.wait()


class Block(kernel.BlockManager):
    """Runs the threads of a block and raises the error of the first that fails."""

    def run(self, grid_point, *args):
        points = list(np.ndindex(*self._block_dim))
        self.barrier = threading.Barrier(len(points), timeout=SECONDS)
        threads = [Thread(lambda: self._f(*args), self, grid_point, point, self._debug) for point in points]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        errors = [thread.exception for thread in threads if thread.exception]
        # The others only find the barrier broken.
        errors.sort(key=lambda error: isinstance(error[0], threading.BrokenBarrierError))
        if errors:
            raise errors[0][0].with_traceback(errors[0][1])


def install():
    """From now on in this process."""
    kernel.BlockManager = Block
