"""JAX: a whole fit is one jitted `lax.scan` over the rows of every batch of every epoch.

The orders of the rows are drawn and the arrays are moved to the device before the clock starts, so nothing of
Python or of the random numbers is left in the time. The updates are scikit-learn's, formula by formula. The
last short batch of an epoch is a step of its own shape after the scan over the full ones. Where rows come one
batch after another, as for `partial_fit`, a step is a call of one jitted function.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers.base import Peer

ACTIVATIONS = {"logistic": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Fit(Peer):
    def __init__(self, workload, dtype, threads):
        super().__init__(workload, dtype, threads)
        jax.config.update("jax_enable_x64", self.dtype == np.float64)
        w = workload
        initial = zip(*w.initial_weights(self.dtype), strict=True)
        self.initial = [(jnp.asarray(W), jnp.asarray(b)) for W, b in initial]
        self.inputs = jnp.asarray(self.X)
        targets = self.y[:, None] if w.kind == "values" else np.eye(w.outputs, dtype=self.dtype)[self.y]
        self.targets = jnp.asarray(targets)
        self._train = jax.jit(self._whole_fit)
        self._predict = jax.jit(self._labels)
        self._one_step = jax.jit(self._step)
        self._plans = {}

    def _fit(self, epochs, shuffle):
        plan = self._plans[epochs, shuffle]
        if self.workload.partial:
            self._stream(*plan)
            return
        trained = self._train(self.initial, self.inputs, self.targets, *plan)
        self.params, self.losses = jax.block_until_ready(trained)

    def warm_up(self, epochs=None, shuffle=True):
        epochs = self.workload.epochs if epochs is None else epochs
        self._plans[epochs, shuffle] = jax.block_until_ready(self._plan(epochs, shuffle))
        self.fit(epochs, shuffle)

    def _plan(self, epochs, shuffle):
        """Return the epochs' orders of the rows and the learning rate of every step."""
        w = self.workload
        orders = np.tile(np.arange(w.rows, dtype=np.int32), (epochs, 1))
        if shuffle:
            orders = np.random.default_rng(0).permuted(orders, axis=1)
        t = np.arange(1, epochs * w.steps + 1)
        rates = np.full(len(t), w.learning_rate)
        if w.solver == "adam":
            rates *= np.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        return jnp.asarray(orders), jnp.asarray(rates.reshape(epochs, w.steps), self.dtype)

    def _stream(self, orders, rates):
        w, targets = self.workload, np.asarray(self.targets)
        carry, losses = self._start(self.initial), []
        for epoch in np.asarray(rates):
            for start, rate in zip(range(0, w.rows, w.batch), epoch, strict=True):
                rows = slice(start, start + w.batch)
                carry, loss = self._one_step(carry, self.X[rows], targets[rows], rate)
                losses.append(loss)
        self.params, self.losses = jax.block_until_ready((carry[0], losses))

    def _start(self, params):
        """Return the weights and the moments before the first step."""
        zeros = jax.tree.map(jnp.zeros_like, params)
        return params, zeros, zeros if self.workload.solver == "adam" else ()

    def _whole_fit(self, params, X, Y, orders, rates):
        w = self.workload
        full = w.rows // w.batch
        carry = self._start(params)

        def step(carry, batch_and_rate):
            batch, rate = batch_and_rate
            x, y = (A.at[batch].get(mode="promise_in_bounds") for A in (X, Y))
            return self._step(carry, x, y, rate)

        def epoch(carry, order_and_rates):
            order, rates = order_and_rates
            batches = order[: full * w.batch].reshape(full, w.batch)
            carry, losses = lax.scan(step, carry, (batches, rates[:full]))
            carry, last = step(carry, (order[full * w.batch :], rates[full]))
            return carry, (losses.sum() * w.batch + last * (w.rows % w.batch)) / w.rows

        if w.rows % w.batch:
            carry, losses = lax.scan(epoch, carry, (orders, rates))
            return carry[0], losses
        # one flat loop where all batches are full: an inner loop of a few steps would cost more than it does
        carry, losses = lax.scan(step, carry, (orders.reshape(-1, w.batch), rates.reshape(-1)))
        return carry[0], losses.reshape(rates.shape).mean(axis=1)

    def _step(self, carry, x, y, rate):
        w = self.workload
        params, first, second = carry
        loss, grads = jax.value_and_grad(self._loss)(params, x, y)
        grads = [(dW + w.alpha / len(x) * W, db) for (dW, db), (W, _) in zip(grads, params, strict=True)]
        if w.solver == "adam":
            first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, grads)
            second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g**2, second, grads)
            updates = jax.tree.map(lambda m, v: -rate * m / (jnp.sqrt(v) + EPSILON), first, second)
        elif w.momentum:
            first = jax.tree.map(lambda v, g: w.momentum * v - rate * g, first, grads)
            updates = jax.tree.map(lambda v, g: w.momentum * v - rate * g, first, grads)
        else:
            updates = jax.tree.map(lambda g: -rate * g, grads)
        return (jax.tree.map(jnp.add, params, updates), first, second), loss

    def _forward(self, params, x):
        for W, b in params[:-1]:
            x = ACTIVATIONS[self.workload.activation](x @ W + b)
        W, b = params[-1]
        return x @ W + b

    def _loss(self, params, x, y):
        z = self._forward(params, x)
        if self.workload.kind == "values":
            return 0.5 * jnp.mean((z - y) ** 2)
        return -jnp.sum(y * jax.nn.log_softmax(z)) / len(x)

    def _labels(self, params, X):
        z = self._forward(params, X)
        return z[:, 0] if self.workload.kind == "values" else z.argmax(axis=1)

    @property
    def loss(self):
        return float(self.losses[-1])

    def weights(self):
        coefs, intercepts = zip(*self.params, strict=True)
        return [np.asarray(W) for W in coefs], [np.asarray(b) for b in intercepts]

    def predict(self, X):
        return np.asarray(self._predict(self.params, X))
