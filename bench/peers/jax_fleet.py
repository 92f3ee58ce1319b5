"""JAX: many networks on the same rows by one `vmap`, with seeds of their own.

Adam with scikit-learn's formulas, relu, cross-entropy; all rows in one batch, so that nothing is shuffled.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from peers.jax_search import forward, train


class Fleet:
    """Networks of one shape; `fit` trains them all and returns the seconds, without those of compilation."""

    def __init__(self, X, y, hidden: tuple[int, ...], alpha: float, rate: float, epochs: int) -> None:
        jax.config.update("jax_enable_x64", X.dtype == np.float64)
        n_classes = int(y.max()) + 1
        sizes, orders = [X.shape[1], *hidden, n_classes], jnp.tile(jnp.arange(len(X)), (epochs, 1))
        inputs, targets = jnp.asarray(X), jax.nn.one_hot(y, n_classes, dtype=X.dtype)
        classes = jnp.asarray(y)

        def one(key):
            params = train(sizes, inputs, targets, alpha, rate, key, orders)
            return params, jnp.mean(forward(params, inputs).argmax(axis=1) == classes)

        self._train = jax.jit(jax.vmap(one))

    def fit(self, n: int) -> tuple[float, float]:
        """Train `n` networks; return seconds and their mean accuracy on the rows."""
        keys = jax.random.split(jax.random.key(0), n)
        jax.block_until_ready(self._train(keys))
        start = time.perf_counter()
        params, accuracy = jax.block_until_ready(self._train(keys))
        jax.device_get(params)
        return time.perf_counter() - start, float(np.mean(accuracy))
