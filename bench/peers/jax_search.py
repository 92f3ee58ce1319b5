"""JAX: a grid search whose candidates of one shape are trained on all folds by one `vmap`.

Adam with scikit-learn's formulas, relu, cross-entropy. Each network has its own fold, scaled by the mean and
the standard deviation of its training rows, its own learning rate, penalty, initial weights and order of the
rows, drawn by NumPy, which is sooner. Folds differ in their sizes by one: the smallest counts. What is
compiled is compiled while the clock runs, once for each shape, as by a user who searches once.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BETA_1, BETA_2, EPSILON, BATCH = 0.9, 0.999, 1e-8, 200


def grid_search(X, y, folds, shapes, alphas, rates, epochs) -> list[float]:
    """Return the mean accuracy of each candidate: shapes × alphas × rates, the last fastest."""
    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    scores = []
    for hidden in shapes:
        candidates = [(alpha, rate) for alpha in alphas for rate in rates]
        scores.extend(_scores_of_shape(X, y, folds, hidden, candidates, epochs))
    return scores


def _scores_of_shape(X, y, folds, hidden, candidates, epochs):
    n_classes = int(y.max()) + 1
    sizes = [X.shape[1], *hidden, n_classes]
    n_train, n_test = (min(len(fold[i]) for fold in folds) for i in (0, 1))
    of_folds = []
    for train, test in folds:
        train, test = train[:n_train], test[:n_test]
        mean, std = X[train].mean(axis=0), X[train].std(axis=0)
        std[std == 0] = 1
        of_folds.append(((X[train] - mean) / std, y[train], (X[test] - mean) / std, y[test]))
    data = [jnp.asarray(np.stack(part)) for part in zip(*of_folds, strict=True)]
    networks = [(fold, *candidate) for candidate in candidates for fold in range(len(folds))]
    fold, alpha, rate = (np.array(column) for column in zip(*networks, strict=True))
    keys = jax.random.split(jax.random.key(0), len(networks))
    order = np.tile(np.arange(n_train, dtype=np.int32), (len(networks) * epochs, 1))
    orders = np.random.default_rng(0).permuted(order, axis=1).reshape(len(networks), epochs, n_train)

    def one(fold, alpha, rate, key, orders):
        X_train, y_train, X_test, y_test = (part[fold] for part in data)
        params = train(sizes, X_train, jax.nn.one_hot(y_train, n_classes), alpha, rate, key, orders)
        return jnp.mean(forward(params, X_test).argmax(axis=1) == y_test)

    trained = jax.jit(jax.vmap(one))(fold, alpha.astype(X.dtype), rate.astype(X.dtype), keys, orders)
    return np.asarray(trained).reshape(len(candidates), len(folds)).mean(axis=1).tolist()


def train(sizes, X, Y, alpha, rate, key, orders):
    params = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        key, of_weights, of_biases = jax.random.split(key, 3)
        bound = (6 / (n_in + n_out)) ** 0.5
        W = jax.random.uniform(of_weights, (n_in, n_out), X.dtype, -bound, bound)
        params.append((W, jax.random.uniform(of_biases, (n_out,), X.dtype, -bound, bound)))
    zeros = jax.tree.map(jnp.zeros_like, params)
    n, full = len(X), len(X) // BATCH

    def loss(params, x, y, n_rows):
        return -jnp.sum(y * jax.nn.log_softmax(forward(params, x))) / n_rows

    def step(carry, rows):
        params, first, second, t = carry
        x, y = X[rows], Y[rows]
        grads = jax.grad(loss)(params, x, y, len(rows))
        grads = [(dW + alpha / len(rows) * W, db) for (dW, db), (W, _) in zip(grads, params, strict=True)]
        t = t + 1
        now = rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, grads)
        second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g**2, second, grads)
        update = lambda w, m, v: w - now * m / (jnp.sqrt(v) + EPSILON)  # noqa: E731
        return (jax.tree.map(update, params, first, second), first, second, t), None

    def epoch(carry, order):
        carry, _ = lax.scan(step, carry, order[: full * BATCH].reshape(full, BATCH))
        if n % BATCH:
            carry, _ = step(carry, order[full * BATCH :])
        return carry, None

    start = params, zeros, zeros, jnp.zeros((), X.dtype)
    return lax.scan(epoch, start, orders)[0][0]


def forward(params, x):
    for W, b in params[:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = params[-1]
    return x @ W + b
