"""A naive engine in NumPy float64: slow and obvious, the oracle for the compiled ones.

It offers the names of an engine (Trainer, Objective, forward, loss_and_gradient) for the same plans,
and shares nothing with the compiled engines but the plan and the order of the shuffling. Every layer is a
matrix, every formula is the textbook's, sparse inputs are made dense, nothing is reused or done in place.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse
import scipy.special
from scipy.special import expit, log_softmax, softmax, xlogy
from scipy.stats import norm

from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.random import noise_key, permutation, uniform
from fastbp.functions.scalar import normal_quantile
from fastbp.plan.network import Kind
from fastbp.plan.training import SolverState

SELU = 1.0507009873554805, 1.6732632423543772
ROOT = np.sqrt(2 / np.pi)


def sech2(x):
    return 1 / np.cosh(x) ** 2


def standardised(z, mean, variance):
    return (z - mean) / np.sqrt(variance + 1e-5)


# f(z), and its derivative
ACTIVATE = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "exp": np.exp,
    "softmax": lambda z: softmax(z, axis=1),
    "layer_norm": lambda z: standardised(z, z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)),
    "increasing": lambda z: np.cumsum(np.hstack([z[:, :1], np.logaddexp(0, z[:, 1:])]), axis=1),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * norm.cdf(z),
    "gelu_tanh": lambda z: z / 2 * (1 + np.tanh(ROOT * (z + 0.044715 * z**3))),
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "relu6": lambda z: np.clip(z, 0, 6),
}
DERIVATIVE = {
    "identity": np.ones_like,
    "logistic": lambda z: expit(z) * expit(-z),
    "tanh": sech2,
    "relu": lambda z: z > 0,
    "exp": np.exp,
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    "selu": lambda z: SELU[0] * np.where(z > 0, 1, SELU[1] * np.exp(np.minimum(z, 0))),
    "gelu": lambda z: norm.cdf(z) + z * norm.pdf(z),
    "gelu_tanh": lambda z: (
        (1 + np.tanh(ROOT * (z + 0.044715 * z**3))) / 2
        + z / 2 * sech2(ROOT * (z + 0.044715 * z**3)) * ROOT * (1 + 3 * 0.044715 * z**2)
    ),
    "silu": lambda z: expit(z) + z * expit(z) * expit(-z),
    "mish": lambda z: np.tanh(np.logaddexp(0, z)) + z * sech2(np.logaddexp(0, z)) * expit(z),
    "softplus": expit,
    "softsign": lambda z: 1 / (1 + np.abs(z)) ** 2,
    "hard_sigmoid": lambda z: (np.abs(z) < 3) / 6,
    "hard_tanh": lambda z: np.abs(z) < 1,
    "relu6": lambda z: (z > 0) & (z < 6),
}


def back(name, delta, z):
    """delta times the Jacobian of f at z."""
    if name == "softmax":
        a = softmax(z, axis=1)
        return a * (delta - (delta * a).sum(axis=1, keepdims=True))
    if name == "increasing":
        later = np.cumsum(delta[:, ::-1], axis=1)[:, ::-1]
        return np.hstack([later[:, :1], later[:, 1:] * expit(z[:, 1:])])
    if name == "layer_norm":
        # the Jacobian row by row: d a_j / d z_k = (1[j = k] - 1/n) r - r^3 (z_j - mean) (z_k - mean) / n
        n = z.shape[1]
        d = z - z.mean(axis=1, keepdims=True)
        r = 1 / np.sqrt(z.var(axis=1) + 1e-5)
        jacobian = (
            r[:, None, None] * (np.eye(n) - 1 / n) - (r**3)[:, None, None] * d[:, :, None] * d[:, None] / n
        )
        return np.einsum("ij,ijk->ik", delta, jacobian)
    return delta * DERIVATIVE[name](z)


def maxout(z, k):
    """The largest of each k neighbours."""
    return z.reshape(len(z), -1, k).max(axis=2)


def back_maxout(delta, z, k):
    """delta to the first of the largest, nothing to the others."""
    groups = z.reshape(len(z), -1, k)
    return (delta[:, :, None] * np.eye(k)[groups.argmax(axis=2)]).reshape(z.shape)


GROUP = {"maxout": (maxout, back_maxout)}


def dense_float64(X):
    return np.asarray(X.toarray() if scipy.sparse.issparse(X) else X, dtype=np.float64)


def name_of(op):
    """The name of an op's function in its registry."""
    registry = {
        Kind.ELEMENTWISE: ACTIVATIONS,
        Kind.ROW: ROW_ACTIVATIONS,
        Kind.LOSS: LOSSES,
        Kind.NOISE: NOISES,
        Kind.PARAMETRIC: PARAMETRICS,
        Kind.GROUP: GROUP_ACTIVATIONS,
    }
    return registry[Kind(op.kind)].names()[op.code]


def noise(network, op, u):
    """(factor, addend) of the values of a buffer: nothing happens without numbers `u`."""
    if u is None:
        return 1.0, 0.0
    p = network.constants[op.constants]
    if name_of(op) == "dropout":
        return (u >= p) / (1 - p), 0.0
    # Its few digits are part of the definition; test_functions compares them with SciPy's.
    return 1.0, p * np.vectorize(normal_quantile)(u)


def parametric(name, own, z):
    """(a, da/dz, [da/dp, da/dq]) of a function with parameters for each feature, the rows of `own`."""
    p = own[0]
    if name == "scale":
        return p * z, p, [z]
    if name == "affine":
        return p * z + own[1], p, [z, np.ones_like(z)]
    if name == "standardise":
        return standardised(z, p, own[1]), 1 / np.sqrt(own[1] + 1e-5), []
    if name == "robust":
        t = (z - p) * own[1]
        return t / np.sqrt(1 + (t / 3) ** 2), own[1] / (1 + (t / 3) ** 2) ** 1.5, []
    f = name.removeprefix("blended ")
    a = ACTIVATE[f](z)
    return (1 - p) * z + p * a, 1 - p + p * DERIVATIVE[f](z), [a - z]


def weighted_moments(z, weight):
    """Mean and variance of each column, or None without weight."""
    if not weight.sum():
        return None
    mean = weight @ z / weight.sum()
    return np.array([mean, weight @ (z - mean) ** 2 / weight.sum()])


def batch_norm_back(delta, z, weight):
    """delta times the Jacobian of standardisation by the batch's weighted moments, feature by feature."""
    (mean, variance), share = weighted_moments(z, weight), weight / weight.sum()
    d, r = z - mean, 1 / np.sqrt(variance + 1e-5)
    # d a_i / d z_k = r (1[i = k] - share_k) - r^3 d_i share_k d_k
    return r * (delta - share[:, None] * delta.sum(axis=0)) - r**3 * share[:, None] * d * (delta * d).sum(
        axis=0
    )


def run(
    network,
    coefs,
    intercepts,
    rows,
    X,
    n_ops=None,
    draw=lambda number, shape: None,
    batch_weight=None,
    moments=None,
):
    """What each op makes of its buffer, in order: the inputs first; and what noise it was given.

    With `batch_weight` batch normalisation takes the moments of these rows, and leaves them in `moments`.
    """
    buffers, results, noises = {0: dense_float64(X)}, [], {}
    layers, rows = iter(zip(coefs, intercepts, strict=True)), iter(rows)
    for number, op in enumerate(network.ops[:n_ops]):
        z = buffers[op.source]
        if op.kind == Kind.DENSE:
            coef, intercept = next(layers)
            z = z @ coef + intercept
        elif op.kind in (Kind.ELEMENTWISE, Kind.ROW):
            z = ACTIVATE[name_of(op)](z)
        elif op.kind == Kind.PARAMETRIC:
            own = next(rows)
            if op.sync and batch_weight is not None:
                moments[number] = weighted_moments(z, batch_weight)
                own = own if moments[number] is None else moments[number]
            z = parametric(name_of(op), own, z)[0]
        elif op.kind == Kind.GROUP:
            z = GROUP[name_of(op)][0](z, op.n_in // op.n_out)
        elif op.kind == Kind.ADD:
            z = z + buffers[op.other]
        elif op.kind == Kind.NOISE:
            noises[number] = noise(network, op, draw(number, z.shape))
            z = z * noises[number][0] + noises[number][1]
        results.append((buffers[op.source], z))
        buffers[op.target] = z
    return results, noises


def uniform_numbers(key, shape):
    """The same numbers as ``fastbp.functions.random.uniform``, row by row."""
    return uniform(key, np.arange(shape[0] * shape[1], dtype=np.uint64).reshape(shape))


def elementwise_loss(loss, p, f, y):
    """(value, derivative by f) of each output, for losses that are sums over outputs."""
    d = f - y
    sign = 2 * y - 1
    margin = np.maximum(1 - sign * f, 0)
    q = np.where(y == 1, f, 1 - f)  # the probability of what happened
    return {
        "squared_error": lambda: (d**2 / 2, d),
        "mean_squared_error": lambda: (d**2 / d.shape[1], 2 * d / d.shape[1]),
        "sum_squared_error": lambda: (d**2, 2 * d),
        "absolute_error": lambda: (np.abs(d), np.sign(d)),
        "huber": lambda: (scipy.special.huber(p[0], d), np.clip(d, -p[0], p[0])),
        "log_cosh": lambda: (np.logaddexp(d, -d) - np.log(2), np.tanh(d)),
        "pinball": lambda: (np.where(d < 0, -p[0] * d, (1 - p[0]) * d), np.where(d < 0, -p[0], 1 - p[0])),
        "hinge": lambda: (margin, -sign * (margin > 0)),
        "squared_hinge": lambda: (margin**2, -2 * sign * margin),
        "focal": lambda: (
            -((1 - q) ** p[0]) * np.log(q),
            sign * (p[0] * (1 - q) ** (p[0] - 1) * np.log(q) - (1 - q) ** p[0] / q),
        ),
        "poisson": lambda: (xlogy(y, y) - xlogy(y, f) - y + f, 1 - y / f),
        "gamma": lambda: (y / f - 1 - np.log(y / f), (f - y) / f**2),
        "tweedie": lambda: (
            np.where(y > 0, np.abs(y), 0) ** (2 - p[0]) / ((1 - p[0]) * (2 - p[0]))
            - y * f ** (1 - p[0]) / (1 - p[0])
            + f ** (2 - p[0]) / (2 - p[0]),
            f ** (1 - p[0]) - y * f ** -p[0],
        ),
    }[loss]()


def row_losses(loss, out_activation, p, z, f, y):
    """(loss of each row, its derivative with respect to z) from logits z, outputs f, targets y."""
    if out_activation == "softmax" and loss in ("log_loss", "focal"):
        label = y[:, 0].astype(int)
        one_hot = np.eye(z.shape[1])[label]
        if loss == "log_loss":
            target = (1 - p[0]) * one_hot + p[0] / z.shape[1]
            return -(target * log_softmax(z, axis=1)).sum(axis=1), f - target
        q = f[np.arange(len(z)), label][:, None]
        slope = p[0] * (1 - q) ** (p[0] - 1) * np.log(q) - (1 - q) ** p[0] / q
        return (-((1 - q) ** p[0]) * np.log(q))[:, 0], slope * q * (one_hot - f)
    if loss == "log_loss":
        # -y ln f - (1 - y) ln(1 - f), with ln f = -ln(1 + e^-z) and ln(1 - f) = -ln(1 + e^z)
        y = (1 - p[0]) * y + p[0] / 2
        return (y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)).sum(axis=1), f - y
    if loss == "pinball" and out_activation == "increasing":
        p = p[: z.shape[1]]  # behind them are those of other ops
        d = f - y
        value = np.where(d < 0, -np.array(p) * d, (1 - np.array(p)) * d)
        return value.sum(axis=1), back("increasing", np.where(d < 0, -np.array(p), 1 - np.array(p)), z)
    if loss == "gaussian_nll":
        mean, raw = np.hsplit(z, 2)
        variance = np.logaddexp(0, raw) + p[1]
        d = mean - y
        by_mean, by_raw = d / variance, (1 - d**2 / variance) / (2 * variance) * expit(raw)
        factor = variance ** p[0]
        return -norm.logpdf(y, mean, np.sqrt(variance)).sum(axis=1), np.hstack(
            [factor * by_mean, factor * by_raw]
        )
    value, slope = elementwise_loss(loss, p, f, y)
    return value.sum(axis=1), back(out_activation, slope, z)


def batch_loss_and_gradient(
    network,
    coefs,
    intercepts,
    rows,
    X,
    targets,
    weight,
    denominator,
    alpha,
    l2,
    draw=lambda number, shape: None,
    moments=None,
):
    """Estimate of the objective and its gradient from a batch.

    sum_i w_i l_i / denominator + alpha ||W||² / (2 denominator) + l2 ||W||² / 2, where the denominator is
    (rows in the batch) × (mean weight of the training set). A dict `moments` stands for training, where
    batch normalisation takes those of the batch.
    """
    weight = np.ones(len(targets)) if weight is None else np.asarray(weight, dtype=np.float64)
    batch_weight = None if moments is None else weight
    results, noises = run(network, coefs, intercepts, rows, X, None, draw, batch_weight, moments)
    targets = np.asarray(targets, dtype=np.float64)
    loss = name_of(network.ops[-1]).partition("+")[0]
    last = max(i for i, op in enumerate(network.ops) if op.kind == Kind.DENSE)
    head = network.ops[last + 1]
    out_activation = "identity" if head.kind == Kind.LOSS else name_of(head)
    z, f = results[last][1], results[-1][0]
    losses, delta = row_losses(loss, out_activation, network.constants, z, f, targets)
    # a row without weight adds nothing, whatever its loss
    value = np.where(weight == 0, 0, weight * losses).sum() / denominator
    delta = np.where(weight == 0, 0, weight)[:, None] * delta / denominator

    coef_gradients, intercept_gradients, row_gradients = [], [], []
    deltas = {network.ops[last].target: delta}
    for number in range(last, -1, -1):
        op, (before, _) = network.ops[number], results[number]
        delta = deltas.pop(op.target, 0.0)
        if op.kind == Kind.DENSE:
            coef = coefs[-1 - len(coef_gradients)]
            coef_gradients.insert(0, before.T @ delta + (alpha / denominator + l2) * coef)
            intercept_gradients.insert(0, delta.sum(axis=0))
            delta = delta @ coef.T
        elif op.kind == Kind.ADD:
            deltas[op.other] = deltas.get(op.other, 0.0) + delta
        elif op.kind == Kind.NOISE:
            delta = delta * noises[number][0]
        elif op.kind == Kind.PARAMETRIC:
            own = rows[-1 - len(row_gradients)]
            _, slope, by_own = parametric(name_of(op), own, before)
            sums = [(delta * of_one).sum(axis=0) for of_one in by_own]
            row_gradients.insert(0, np.array(sums) if sums else np.zeros_like(own))
            if op.sync and moments and moments[number] is not None:
                delta = batch_norm_back(delta, before, weight)
            else:
                delta = delta * slope
        elif op.kind == Kind.GROUP:
            delta = GROUP[name_of(op)][1](delta, before, op.n_in // op.n_out)
        else:
            delta = back(name_of(op), delta, before)
        deltas[op.source] = deltas.get(op.source, 0.0) + delta

    squares = sum((coef**2).sum() for coef in coefs)
    value += 0.5 * (alpha / denominator + l2) * squares
    return value, coef_gradients, intercept_gradients, row_gradients


def unpack64(network, flat):
    """Weights, biases and rows of a flat vector in float64, whatever the plan's dtype."""
    flat = np.asarray(flat, dtype=np.float64)
    return *network.unpack(flat), network.rows(flat)


def pack64(network, coefs, intercepts, rows):
    """Flat float64 vector, whatever the plan's dtype."""
    return replace(network, dtype=np.dtype(np.float64)).pack(coefs, intercepts, rows)


def rate_factors(network):
    """The factor of the learning rate of each entry of the flat vector."""
    if not network.has_rate_factors:
        return 1.0
    of_ops = [network.constants[op.constants : op.constants + 2] for op in network.dense]
    coefs = [np.full(shape, factor[0]) for shape, factor in zip(network.layer_shapes, of_ops, strict=True)]
    intercepts = [np.full(s[1], factor[1]) for s, factor in zip(network.layer_shapes, of_ops, strict=True)]
    rows = [np.full(op.cols, network.constants[op.constants]) for op in network.parametric]
    return pack64(network, coefs, intercepts, rows)


def forward(network, parameters, X, layer=None, n_jobs=None, largest=False):
    """Outputs of the `layer`-th dense layer (from 1), of the last (None), or the logits ("logits")."""
    results, _ = run(network, *unpack64(network, parameters), X, network.n_ops_until(layer))
    result = results[-1][1]
    return result.argmax(axis=1) if largest else result.astype(network.dtype)


def loss_and_gradient(network, parameters, rows, alpha, l2, n_jobs=None):
    """The objective over all rows and its flat gradient."""
    X, targets, sample_weight = rows.X, rows.targets, rows.sample_weight
    denominator = len(targets) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).sum()
    value, *gradients = batch_loss_and_gradient(
        network, *unpack64(network, parameters), X, targets, sample_weight, denominator, alpha, l2
    )
    return float(value), network.pack(*gradients)


class Objective:
    """`loss_and_gradient` of the same rows again and again."""

    def __init__(self, network, rows, alpha, l2, n_jobs=None):
        self.network = network
        self.arguments = (rows, alpha, l2, n_jobs)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        pass

    def __call__(self, flat):
        return loss_and_gradient(self.network, flat, *self.arguments)


N_STATES = {
    "sgd": 0,
    "momentum": 1,
    "nesterov": 1,
    "adam": 2,
    "adamw": 2,
    "amsgrad": 3,
    "rmsprop": 1,
    "adagrad": 1,
    "adadelta": 2,
    "rprop": 2,
    "lion": 1,
}


class Trainer:
    """Mini-batch training, one step after the other."""

    def __init__(self, network, training, rows, parameters, state=None, n_jobs=None):
        self.network = network
        self.training = training
        self.X = dense_float64(rows.X)
        self.targets = np.asarray(rows.targets, dtype=np.float64)
        self.n_rows = len(self.targets)
        self.weight = None if rows.sample_weight is None else np.asarray(rows.sample_weight, dtype=np.float64)
        self.mean_weight = 1.0 if self.weight is None else self.weight.mean()
        self._theta = np.array(parameters, dtype=np.float64)
        if state is None:
            n_states = N_STATES[training.solver] + training.averages
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
        self._steps = []
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
        weights, moments = unpack64(self.network, self._theta), {}
        loss, *gradients = batch_loss_and_gradient(
            self.network,
            *weights,
            self.X[batch],
            self.targets[batch],
            None if self.weight is None else self.weight[batch],
            len(batch) * self.mean_weight,
            t.alpha,
            t.l2,
            lambda number, shape: uniform_numbers(noise_key(t.seed, self.n_steps, number), shape),
            moments,
        )
        for coef, gradient in zip(weights[0], gradients[0], strict=True):
            loss += t.l1 * np.abs(coef).sum()
            gradient += t.l1 * np.sign(coef)
        self.n_steps += 1
        self._step_in_epoch += 1
        self._accumulated += loss * len(batch)
        gradient = pack64(self.network, *gradients)
        gradient = gradient / max(1, np.sqrt((gradient**2).sum()) / t.clip_norm)
        gradient = np.clip(gradient, -t.clip_value, t.clip_value)
        rate = self.learning_rate * self._rate_factor(self.n_steps - 1)
        rest = np.where(self.network.mask(biases=False), 1 - rate * t.weight_decay, 1)
        step = (rest - 1) * self._theta + self._update(gradient, rate)
        self._theta = self._theta + rate_factors(self.network) * step
        if t.max_norm:
            coefs, *others = unpack64(self.network, self._theta)
            coefs = [coef / np.maximum(1, np.linalg.norm(coef, axis=0) / t.max_norm) for coef in coefs]
            self._theta = pack64(self.network, coefs, *others)
        weight = np.ones(len(batch)) if self.weight is None else self.weight[batch]
        self._move_running_moments(moments, weight.sum() / (t.batch_size * self.mean_weight))
        self._steps.append(self._theta)
        if t.averages:
            self._average()
        if not (np.isfinite(loss) and np.isfinite(self._theta).all()):
            self.status = "non_finite"
            self.failure = (self.n_epochs + 1, self._step_in_epoch)

    def _move_running_moments(self, moments, full):
        """A tenth of the way to a batch's moments, less where it has less weight than a full one."""
        *others, rows = unpack64(self.network, self._theta)
        numbers = [number for number, op in enumerate(self.network.ops) if op.kind == Kind.PARAMETRIC]
        share = min(1, max(0.1, 1 / self.n_steps) * full)
        for number, row in zip(numbers, rows, strict=True):
            if moments.get(number) is not None:
                row += share * (moments[number] - row)
        self._theta = pack64(self.network, *others, rows)

    def _average(self):
        """The mean of the weights after each step: exponential, or plain behind a share of the fit."""
        t = self.training
        if t.average_rate == 0:
            after = round(t.average_after * t.planned_epochs * self.n_steps_per_epoch)
            self.result = np.mean(self._steps[min(after, len(self._steps) - 1) :], axis=0)
            return
        mean = self._steps[0]
        for made, theta in enumerate(self._steps[1:], start=2):
            mean = mean + max(t.average_rate, 1 / made) * (theta - mean)
        self.result = mean

    def _rate_factor(self, step):
        """What the schedule makes of the learning rate in a step counted from 0."""
        t = self.training
        *p, warmup = t.rate_constants
        x = step / (t.planned_epochs * self.n_steps_per_epoch) % 1
        epochs = step / self.n_steps_per_epoch
        half_cosine = lambda x: (1 + np.cos(np.pi * x)) / 2  # noqa: E731  from 1 down to 0
        if t.rate_schedule == "constant":
            factor = 1
        elif t.rate_schedule == "cosine":
            factor = p[0] + (1 - p[0]) * half_cosine(x)
        elif t.rate_schedule == "one_cycle":
            up = p[0] + (1 - p[0]) * (1 - half_cosine(x / p[1]))
            factor = up if x < p[1] else half_cosine((x - p[1]) / (1 - p[1]))
        elif t.rate_schedule == "linear":
            factor = 1 + (p[0] - 1) * x
        elif t.rate_schedule == "step":
            factor = p[0] ** (int(epochs) // p[1])
        elif t.rate_schedule == "exponential":
            factor = p[0] ** epochs
        elif t.rate_schedule == "inverse":
            factor = 1 / (1 + p[0] * epochs) ** p[1]
        elif t.rate_schedule == "restarts":
            ends = np.cumsum(p[0] * p[1] ** np.arange(100))
            cycle = np.searchsorted(ends, epochs, side="right")
            length = p[0] * p[1] ** cycle
            factor = half_cosine(1 - (ends[cycle] - epochs) / length)
        elif t.rate_schedule == "coslog":
            factor = (1 - np.cos(2 * np.pi * np.log2(1 + (2 ** p[0] - 1) * x))) / 2
        else:
            raise NotImplementedError(f"the reference knows no schedule {t.rate_schedule!r}")
        return factor * (min(1, (step + 1) / warmup) if warmup else 1)

    def _update(self, gradient, rate):
        """The solver's rule: what is added to the parameters."""
        t = self.training
        if t.solver == "sgd":
            return -rate * gradient
        if t.solver in ("momentum", "nesterov"):
            mu = t.hyper[0]
            velocity = mu * self.moments[0] - rate * gradient
            self.moments[0] = velocity
            return mu * velocity - rate * gradient if t.solver == "nesterov" else velocity
        if t.solver in ("adam", "adamw", "amsgrad"):
            beta_1, beta_2, epsilon = t.hyper
            self.moments[0] = beta_1 * self.moments[0] + (1 - beta_1) * gradient
            self.moments[1] = beta_2 * self.moments[1] + (1 - beta_2) * gradient**2
            rate = rate * np.sqrt(1 - beta_2**self.n_steps) / (1 - beta_1**self.n_steps)
            second = self.moments[1]
            if t.solver == "amsgrad":
                second = self.moments[2] = np.maximum(self.moments[2], second)
            return -rate * self.moments[0] / (np.sqrt(second) + epsilon)
        if t.solver == "rmsprop":
            rho, epsilon = t.hyper
            self.moments[0] = rho * self.moments[0] + (1 - rho) * gradient**2
            return -rate * gradient / (np.sqrt(self.moments[0]) + epsilon)
        if t.solver == "adagrad":
            self.moments[0] = self.moments[0] + gradient**2
            return -rate * gradient / (np.sqrt(self.moments[0]) + t.hyper[0])
        if t.solver == "adadelta":
            rho, epsilon = t.hyper
            self.moments[0] = rho * self.moments[0] + (1 - rho) * gradient**2
            step = np.sqrt((self.moments[1] + epsilon) / (self.moments[0] + epsilon)) * gradient
            self.moments[1] = rho * self.moments[1] + (1 - rho) * step**2
            return -rate * step
        if t.solver == "rprop":
            shrink, grow, smallest, largest = t.hyper
            step = np.where(self.moments[0] == 0, rate, self.moments[0])
            turned, kept = gradient * self.moments[1] < 0, gradient * self.moments[1] > 0
            step = np.clip(
                np.where(turned, shrink * step, np.where(kept, grow * step, step)), smallest, largest
            )
            gradient = np.where(turned, 0, gradient)
            self.moments[:] = [step, gradient]
            return -step * np.sign(gradient)
        if t.solver == "lion":
            beta_1, beta_2 = t.hyper
            mixture = beta_1 * self.moments[0] + (1 - beta_1) * gradient
            self.moments[0] = beta_2 * self.moments[0] + (1 - beta_2) * gradient
            return -rate * np.sign(mixture)
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
