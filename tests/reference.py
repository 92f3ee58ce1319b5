"""A naive engine in NumPy float64: slow and obvious, the oracle for the compiled ones.

It offers the names of ``fastbp.engine`` (Trainer, Objective, forward, loss_and_gradient) for the same plans,
and shares nothing with the compiled engines but the plan and the order of the shuffling. Every layer is a
matrix, every formula is the textbook's, sparse inputs are made dense, nothing is reused or done in place.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse
from scipy.special import expit, log_softmax, softmax, xlogy

from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.random import permutation
from fastbp.plan import Kind, SolverState

# f(z), and the vector-Jacobian product delta · df/dz written with the output a = f(z)
ACTIVATE = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "exp": np.exp,
    "softmax": lambda z: softmax(z, axis=1),
}
BACK = {
    "identity": lambda delta, a: delta,
    "logistic": lambda delta, a: delta * a * (1 - a),
    "tanh": lambda delta, a: delta * (1 - a**2),
    "relu": lambda delta, a: delta * (a > 0),
    "exp": lambda delta, a: delta * a,
    "softmax": lambda delta, a: a * (delta - (delta * a).sum(axis=1, keepdims=True)),
}


def describe(network):
    """(activation of each dense layer, name of the loss), read from the plan's list of ops."""
    names, loss = [], None
    for op in network.ops:
        if op.kind == Kind.DENSE:
            names.append("identity")
        elif op.kind == Kind.ELEMENTWISE:
            names[-1] = ACTIVATIONS.names()[op.code]
        elif op.kind == Kind.ROW:
            names[-1] = ROW_ACTIVATIONS.names()[op.code]
        elif op.kind == Kind.LOSS:
            loss = LOSSES.names()[op.code].partition("+")[0]
        else:
            raise NotImplementedError(f"the reference knows no op of the kind {op.kind}")
    return names, loss


def dense_float64(X):
    return np.asarray(X.toarray() if scipy.sparse.issparse(X) else X, dtype=np.float64)


def forward_pass(network, coefs, intercepts, X):
    """(pre-activations z of each layer, activations a of each layer with the inputs before them)."""
    names, _ = describe(network)
    zs, activations = [], [dense_float64(X)]
    for coef, intercept, name in zip(coefs, intercepts, names, strict=True):
        zs.append(activations[-1] @ coef + intercept)
        activations.append(ACTIVATE[name](zs[-1]))
    return zs, activations


def row_losses(loss, out_activation, z, f, y):
    """(loss of each row, its derivative with respect to z) from logits z, outputs f, targets y."""
    if loss == "log_loss" and out_activation == "softmax":
        label = y[:, 0].astype(int)
        rows = np.arange(len(z))
        one_hot = np.zeros_like(z)
        one_hot[rows, label] = 1
        return -log_softmax(z, axis=1)[rows, label], f - one_hot
    if loss == "log_loss" and out_activation == "logistic":
        # -y ln f - (1 - y) ln(1 - f), with ln f = -ln(1 + e^-z) and ln(1 - f) = -ln(1 + e^z)
        return (y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)).sum(axis=1), f - y
    if loss == "poisson" and out_activation == "exp":
        return (xlogy(y, y) - y * z - y + f).sum(axis=1), f - y
    factor = {"squared_error": 0.5, "mean_squared_error": 1 / z.shape[1], "sum_squared_error": 1.0}[loss]
    return factor * ((f - y) ** 2).sum(axis=1), BACK[out_activation](factor * 2 * (f - y), f)


def batch_loss_and_gradient(network, coefs, intercepts, X, targets, weight, denominator, alpha, l2):
    """Estimate of the objective and its gradient from a batch.

    sum_i w_i l_i / denominator + alpha ||W||² / (2 denominator) + l2 ||W||² / 2, where the denominator is
    (rows in the batch) × (mean weight of the training set).
    """
    names, loss = describe(network)
    zs, activations = forward_pass(network, coefs, intercepts, X)
    weight = np.ones(len(targets)) if weight is None else np.asarray(weight, dtype=np.float64)
    losses, delta = row_losses(
        loss, names[-1], zs[-1], activations[-1], np.asarray(targets, dtype=np.float64)
    )
    # a row without weight adds nothing, whatever its loss
    value = np.where(weight == 0, 0, weight * losses).sum() / denominator
    delta = np.where(weight == 0, 0, weight)[:, None] * delta / denominator

    coef_gradients, intercept_gradients = [], []
    for layer in range(len(coefs) - 1, -1, -1):
        penalty = (alpha / denominator + l2) * coefs[layer]
        coef_gradients.insert(0, activations[layer].T @ delta + penalty)
        intercept_gradients.insert(0, delta.sum(axis=0))
        if layer > 0:
            delta = BACK[names[layer - 1]](delta @ coefs[layer].T, activations[layer])

    squares = sum((coef**2).sum() for coef in coefs)
    value += 0.5 * (alpha / denominator + l2) * squares
    return value, coef_gradients, intercept_gradients


def unpack64(network, flat):
    """Weights of a flat vector in float64, whatever the plan's dtype."""
    return network.unpack(np.asarray(flat, dtype=np.float64))


def pack64(network, coefs, intercepts):
    """Flat float64 vector, whatever the plan's dtype."""
    return replace(network, dtype=np.dtype(np.float64)).pack(coefs, intercepts)


def forward(network, parameters, X, layer=None, n_jobs=None, largest=False):
    """Outputs of the `layer`-th dense layer (from 1), of the last (None), or the logits ("logits")."""
    zs, activations = forward_pass(network, *unpack64(network, parameters), X)
    if layer == "logits":
        result = zs[-1]
    else:
        result = activations[-1 if layer is None else layer]
    return result.argmax(axis=1) if largest else result.astype(network.dtype)


def loss_and_gradient(network, parameters, X, targets, sample_weight, alpha, l2, n_jobs=None):
    """The objective over all rows and its flat gradient."""
    denominator = len(targets) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).sum()
    value, coefs, intercepts = batch_loss_and_gradient(
        network, *unpack64(network, parameters), X, targets, sample_weight, denominator, alpha, l2
    )
    return float(value), network.pack(coefs, intercepts)


class Objective:
    """`loss_and_gradient` of the same rows again and again."""

    def __init__(self, network, X, targets, sample_weight, alpha, l2, n_jobs=None):
        self.network = network
        self.arguments = (X, targets, sample_weight, alpha, l2, n_jobs)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        pass

    def __call__(self, flat):
        return loss_and_gradient(self.network, flat, *self.arguments)


class Trainer:
    """Mini-batch training, one step after the other."""

    def __init__(self, network, training, X, targets, sample_weight, parameters, state=None, n_jobs=None):
        self.network = network
        self.training = training
        self.X = dense_float64(X)
        self.targets = np.asarray(targets, dtype=np.float64)
        self.n_rows = len(self.targets)
        self.weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self.mean_weight = 1.0 if self.weight is None else self.weight.mean()
        self._theta = np.array(parameters, dtype=np.float64)
        if state is None:
            n_states = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2}[training.solver]
            state = SolverState(
                solver=training.solver,
                moments=np.zeros((n_states, network.n_parameters)),
                n_steps=0,
                n_samples_seen=0,
                learning_rate=training.rate_init,
                n_epochs=0,
            )
        self.moments = [np.array(moment, dtype=np.float64) for moment in state.moments]
        self.n_steps = state.n_steps
        self.n_samples_seen = state.n_samples_seen
        self.learning_rate = state.learning_rate
        self.n_epochs_of_state = state.n_epochs
        self.loss_curve = []
        self.n_epochs = 0
        self.best_monitored = np.inf
        self.n_stale = 0
        self.status = "running"
        self.failure = None
        self._start_epoch()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        pass

    @property
    def n_steps_per_epoch(self):
        return -(-self.n_rows // self.training.batch_size)

    @property
    def parameters(self):
        return self._theta.astype(self.network.dtype)

    def state(self):
        return SolverState(
            solver=self.training.solver,
            moments=np.array(self.moments).reshape(-1, self.network.n_parameters).astype(self.network.dtype),
            n_steps=self.n_steps,
            n_samples_seen=self.n_samples_seen,
            learning_rate=self.learning_rate,
            n_epochs=self.n_epochs_of_state,
        )

    def train(self, max_steps, stop_at_epoch_end=False):
        """Up to `max_steps` steps; how many were done."""
        done = 0
        while done < max_steps and self.status == "running":
            self._step()
            done += 1
            if self._step_in_epoch == self.n_steps_per_epoch and self.status == "running":
                self._end_epoch()
                if stop_at_epoch_end:
                    break
        return done

    def report(self, monitored):
        """The monitored value (lower is better) of the epoch that has just ended."""
        self._judge(monitored)

    def _start_epoch(self):
        self._step_in_epoch = 0
        self._accumulated = 0.0
        if self.training.shuffle:
            self._order = permutation(self.training.seed, self.n_epochs_of_state, self.n_rows)
        else:
            self._order = np.arange(self.n_rows)

    def _step(self):
        t = self.training
        start = self._step_in_epoch * t.batch_size
        batch = self._order[start : start + t.batch_size]
        coefs, intercepts = unpack64(self.network, self._theta)
        loss, coef_gradients, intercept_gradients = batch_loss_and_gradient(
            self.network,
            coefs,
            intercepts,
            self.X[batch],
            self.targets[batch],
            None if self.weight is None else self.weight[batch],
            len(batch) * self.mean_weight,
            t.alpha,
            t.l2,
        )
        self.n_steps += 1
        self._step_in_epoch += 1
        self._accumulated += loss * len(batch)
        gradient = pack64(self.network, coef_gradients, intercept_gradients)
        self._theta = self._theta + self._update(gradient)
        if not (np.isfinite(loss) and np.isfinite(self._theta).all()):
            self.status = "non_finite"
            self.failure = (self.n_epochs + 1, self._step_in_epoch)

    def _update(self, gradient):
        """The solver's rule: what is added to the parameters."""
        t = self.training
        rate = self.learning_rate
        if t.solver == "sgd":
            return -rate * gradient
        if t.solver in ("momentum", "nesterov"):
            mu = t.h0
            velocity = mu * self.moments[0] - rate * gradient
            self.moments[0] = velocity
            return mu * velocity - rate * gradient if t.solver == "nesterov" else velocity
        if t.solver == "adam":
            beta_1, beta_2, epsilon = t.h0, t.h1, t.h2
            self.moments[0] = beta_1 * self.moments[0] + (1 - beta_1) * gradient
            self.moments[1] = beta_2 * self.moments[1] + (1 - beta_2) * gradient**2
            rate = rate * np.sqrt(1 - beta_2**self.n_steps) / (1 - beta_1**self.n_steps)
            return -rate * self.moments[0] / (np.sqrt(self.moments[1]) + epsilon)
        raise NotImplementedError(f"the reference knows no solver {t.solver!r}")

    def _end_epoch(self):
        t = self.training
        loss = self._accumulated / self.n_rows
        self.loss_curve.append(float(loss))
        self.n_epochs += 1
        self.n_epochs_of_state += 1
        self.n_samples_seen += self.n_rows
        if t.schedule == 1:  # invscaling
            self.learning_rate = t.rate_init / (self.n_samples_seen + 1) ** t.power_t
        if t.monitor_loss:
            self._judge(loss)
        if self.status == "running" and self.n_epochs == t.max_epochs:
            self.status = "max_epochs"
        self._start_epoch()

    def _judge(self, monitored):
        """scikit-learn's stopping rule, but after exactly `patience` stale epochs."""
        t = self.training
        if monitored > self.best_monitored - t.tol:
            self.n_stale += 1
        else:
            self.n_stale = 0
        self.best_monitored = min(self.best_monitored, monitored)
        if self.n_stale >= t.patience:
            if t.schedule == 2 and self.learning_rate > 1e-6:  # adaptive
                self.learning_rate /= 5
                self.n_stale = 0
            else:
                self.status = "converged"
