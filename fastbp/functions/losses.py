"""Losses: functions of one row of outputs and targets.

A loss that has a canonical output activation takes the logits and carries that activation within it, since
value and gradient are stable only together (as in scikit-learn's ``_loss``). The others take the outputs, and
the output activation has its own backward step.

``row(z, y, delta, n, weight, p) -> weight · ℓ`` puts weight · dℓ/dz into `delta`; n outputs, parameters p.
"""

import numpy as np

from fastbp.functions import scalar
from fastbp.functions.loss_entry import NON_NEGATIVE, POSITIVE, UNIT, Loss, NormalOutputs
from fastbp.functions.parameters import Parameter
from fastbp.functions.primitives import absolute, get, put, select
from fastbp.functions.registry import Registry


def squared_error(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, weight * d)
        total = total + d * d
    return weight * 0.5 * total


def mean_squared_error(z, y, delta, n, weight, p):
    share = weight / float(n)
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, share * 2.0 * d)
        total = total + d * d
    return share * total


def sum_squared_error(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, weight * 2.0 * d)
        total = total + d * d
    return weight * total


def absolute_error(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        # The derivative at 0 is taken as 0.
        put(delta, j, select(d > 0.0, weight, select(d < 0.0, -weight, 0.0 * d)))
        total = total + absolute(d)
    return weight * total


def huber(z, y, delta, n, weight, p):
    # Huber 1964: a parabola within p[0] of the target, lines outside.
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        size = absolute(d)
        slope = select(d > p[0], p[0], select(d < -p[0], -p[0], d))
        put(delta, j, weight * slope)
        total = total + absolute(slope) * (size - 0.5 * absolute(slope))
    return weight * total


def log_cosh(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        size = absolute(d)
        # ln cosh d = |d| + ln(1 + e^−2|d|) − ln 2
        total = total + (size + (scalar.log1p_exp_neg(size + size) - 0.6931471805599453))
        put(delta, j, weight * scalar.tanh(d))
    return weight * total


def pinball(z, y, delta, n, weight, p):
    # Koenker and Bassett 1978: the quantile p[0] of y is the best constant.
    total = weight * 0.0
    for j in range(n):
        d = get(y, j) - get(z, j)
        slope = select(d > 0.0, p[0], select(d < 0.0, p[0] - 1.0, 0.0 * d))
        put(delta, j, -weight * slope)
        total = total + slope * d
    return weight * total


def pinball_increasing(z, y, delta, n, weight, p):
    # Outputs f_0 = z_0 and f_k = f_(k-1) + softplus(z_k), so that quantiles never cross.
    total = weight * 0.0
    f = get(z, 0)
    t = get(y, 0)
    for j in range(n):
        if j > 0:
            f = f + scalar.softplus(get(z, j))
        d = t - f
        slope = select(d > 0.0, p[j], select(d < 0.0, p[j] - 1.0, 0.0 * d))
        put(delta, j, -weight * slope)
        total = total + slope * d
    # f_k moves with z_0 … z_k: sums from the last output on, then the derivative of softplus.
    later = weight * 0.0
    for i in range(n):
        j = n - 1 - i
        later = later + get(delta, j)
        put(delta, j, later * scalar.logistic(get(z, j)) if j > 0 else later)
    return weight * total


def softmax_log_loss(z, y, delta, n, weight, p):
    # With label smoothing s = p[0] (Szegedy et al. 2015) the target is 1 − s + s/n for the class, else s/n.
    label = get(y, 0)
    other = p[0] / float(n)
    largest = get(z, 0)
    for j in range(1, n):
        v = get(z, j)
        largest = select(v > largest, v, largest)
    total = weight * 0.0
    chosen = weight * 0.0
    sum_of_all = weight * 0.0
    for j in range(n):
        v = get(z, j) - largest
        e = scalar.exp(v)
        put(delta, j, e)
        total = total + e
        sum_of_all = sum_of_all + v
        chosen = select(label == float(j), v, chosen)
    share = weight / total
    for j in range(n):
        q = get(delta, j) * share - weight * other
        put(delta, j, select(label == float(j), q - weight * (1.0 - p[0]), q))
    return weight * (scalar.log(total) - ((1.0 - p[0]) * chosen + other * sum_of_all))


def logistic_log_loss(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j) * (1.0 - p[0]) + 0.5 * p[0]
        # ln(1 + eᶻ) − t·z = max(z, 0) − t·z + ln(1 + e^−|z|)
        total = total + (select(v > 0.0, v, 0.0) - t * v + scalar.log1p_exp_neg(absolute(v)))
        put(delta, j, weight * (scalar.logistic(v) - t))
    return weight * total


def focal_term(log_rest, log_p, gamma):
    """Return the focal loss −(1 − p)^γ ln p of the right class, and its derivative by logit p.

    By l = logit(p), dp/dl = p(1 − p): d/dl = γ p (1 − p)^γ ln p − (1 − p)^(γ + 1).
    """
    power = scalar.exp(gamma * log_rest)
    rest = scalar.exp(log_rest)
    return -power * log_p, gamma * (1.0 - rest) * power * log_p - power * rest


def softmax_focal(z, y, delta, n, weight, p):
    # Lin et al. 2017, "Focal loss for dense object detection", with the softmax's probability of the class.
    label = get(y, 0)
    largest = get(z, 0)
    for j in range(1, n):
        v = get(z, j)
        largest = select(v > largest, v, largest)
    total = weight * 0.0
    chosen = weight * 0.0
    for j in range(n):
        v = get(z, j) - largest
        e = scalar.exp(v)
        put(delta, j, e)
        total = total + e
        chosen = select(label == float(j), v, chosen)
    others = weight * 0.0
    for j in range(n):
        others = others + select(label == float(j), 0.0, get(delta, j))
    # If all others round to 0 the loss is 0, whatever small number replaces them.
    others = select(others > SMALLEST, others, SMALLEST)
    log_total = scalar.log(total)
    value, slope = focal_term(scalar.log(others) - log_total, chosen - log_total, p[0])
    for j in range(n):
        # dp/dz_j = −p p_j for another class: d/dz_j = −slope · p_j / (1 − p)
        share = get(delta, j) / others
        put(delta, j, weight * slope * select(label == float(j), 1.0, -share))
    return weight * value


SMALLEST = 1e-37


def logistic_focal(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        sign = get(y, j) * 2.0 - 1.0
        v = sign * get(z, j)
        log_p = -scalar.softplus(-v)
        value, slope = focal_term(-scalar.softplus(v), log_p, p[0])
        put(delta, j, weight * sign * slope)
        total = total + value
    return weight * total


def hinge(z, y, delta, n, weight, p):
    # Each output is compared with the sign of its label, as in a linear support vector machine one-vs-rest.
    total = weight * 0.0
    for j in range(n):
        sign = get(y, j) * 2.0 - 1.0
        margin = 1.0 - sign * get(z, j)
        total = total + select(margin < 0.0, 0.0, margin)
        put(delta, j, select(margin > 0.0, -weight * sign, 0.0 * sign))
    return weight * total


def squared_hinge(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        sign = get(y, j) * 2.0 - 1.0
        margin = 1.0 - sign * get(z, j)
        margin = select(margin < 0.0, 0.0, margin)
        total = total + margin * margin
        put(delta, j, -2.0 * weight * sign * margin)
    return weight * total


def poisson(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j)
        mean = scalar.exp(v)
        entropy = t * scalar.log(select(t > 0.0, t, 1.0))
        total = total + (entropy - t * v - t + mean)
        put(delta, j, weight * (mean - t))
    return weight * total


def gamma(z, y, delta, n, weight, p):
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j)
        ratio = t * scalar.exp(-v)
        total = total + (ratio - 1.0 - (scalar.log(t) - v))
        put(delta, j, weight * (1.0 - ratio))
    return weight * total


def tweedie(z, y, delta, n, weight, p):
    # Half the deviance (Jorgensen 1987) of power r = p[0] between 1 (Poisson) and 2 (gamma).
    one, two = 1.0 - p[0], 2.0 - p[0]
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j)
        first = scalar.exp(one * v)
        second = scalar.exp(two * v)
        own = select(t > 0.0, scalar.exp(two * scalar.log(select(t > 0.0, t, 1.0))), 0.0)
        total = total + (own / (one * two) - t * first / one + second / two)
        put(delta, j, weight * (second - t * first))
    return weight * total


BETA, FLOOR = 0, 1  # positions in p of gaussian_nll


def gaussian_nll(z, y, delta, n, weight, p):
    # Nix and Weigend 1994; Lakshminarayanan, Pritzel, Blundell 2017: n/2 means, then as many numbers s of
    # variance v = softplus(s) + floor. The gradient, but not the value, is multiplied by v^beta, target by
    # target (Seitzer et al. 2022): rows with a large variance then keep their influence on the means.
    k = n // 2
    total = weight * 0.0
    for j in range(k):
        s = get(z, k + j)
        v = scalar.softplus(s) + p[FLOOR]
        d = get(z, j) - get(y, j)
        log_v = scalar.log(v)
        ratio = d / v
        total = total + (0.5 * (log_v + d * ratio) + 0.9189385332046727)  # ln(2 pi) / 2
        share = weight * scalar.exp(p[BETA] * log_v)
        put(delta, j, share * ratio)
        put(delta, k + j, share * (0.5 * (1.0 - d * ratio) / v) * scalar.logistic(s))
    return weight * total


def gaussian_std(s, p):
    """Standard deviations of raw outputs s: an array, of which the result has the dtype."""
    return np.sqrt(np.logaddexp(0, s) + p[FLOOR]).astype(s.dtype)


def gaussian_raw(variance, p):
    """Raw outputs s for an array of variances; a variance below twice the floor counts as that."""
    excess = np.maximum(variance - p[FLOOR], p[FLOOR])
    return excess + np.log(-np.expm1(-excess))


CLASSIFIER, REGRESSOR = ("classifier",), ("regressor",)
SMOOTHING = (Parameter("label_smoothing", 0.0, 0.0, 1.0),)
FOCUS = (Parameter("gamma", 2.0, 0.0, np.inf),)

LOSSES: Registry[Loss] = Registry("loss")
LOSSES.add(Loss("squared_error", "1/2 sum_k (f_k - y_k)^2", squared_error))
LOSSES.add(Loss("mean_squared_error", "1/K sum_k (f_k - y_k)^2", mean_squared_error))
LOSSES.add(Loss("sum_squared_error", "sum_k (f_k - y_k)^2", sum_squared_error))
LOSSES.add(
    Loss(
        "log_loss+softmax",
        "-log f_y",
        softmax_log_loss,
        "softmax",
        class_targets=True,
        parameters=SMOOTHING,
        tasks=CLASSIFIER,
    )
)
LOSSES.add(
    Loss(
        "log_loss+logistic",
        "-sum_k (y_k log f_k + (1 - y_k) log(1 - f_k))",
        logistic_log_loss,
        "logistic",
        parameters=SMOOTHING,
        domain=UNIT,
    )
)
LOSSES.add(
    Loss(
        "focal+softmax",
        "-(1 - f_y)^gamma log f_y",
        softmax_focal,
        "softmax",
        class_targets=True,
        parameters=FOCUS,
        tasks=CLASSIFIER,
    )
)
LOSSES.add(
    Loss(
        "focal+logistic",
        "-sum_k (1 - q_k)^gamma log q_k, q_k = f_k or 1 - f_k by y_k",
        logistic_focal,
        "logistic",
        parameters=FOCUS,
        tasks=CLASSIFIER,
    )
)
LOSSES.add(Loss("hinge", "sum_k max(0, 1 - s_k f_k), s_k = 2 y_k - 1", hinge, signed=True, tasks=CLASSIFIER))
LOSSES.add(Loss("squared_hinge", "sum_k max(0, 1 - s_k f_k)^2", squared_hinge, signed=True, tasks=CLASSIFIER))
LOSSES.add(Loss("absolute_error", "sum_k |f_k - y_k|", absolute_error, tasks=REGRESSOR, centre="median"))
LOSSES.add(
    Loss(
        "huber",
        "sum_k d^2 / 2, or delta (d - delta / 2) for d > delta, d = |f_k - y_k|",
        huber,
        parameters=(Parameter("delta", 1.0, 0.0, np.inf, open=True),),
        tasks=REGRESSOR,
        centre="median",
    )
)
LOSSES.add(Loss("log_cosh", "sum_k log cosh(f_k - y_k)", log_cosh, tasks=REGRESSOR, centre="median"))
QUANTILE = (Parameter("quantile", 0.5, 0.0, 1.0, open=True, several=True),)
LOSSES.add(
    Loss(
        "pinball",
        "sum_k max(q d, (q - 1) d), d = y_k - f_k",
        pinball,
        parameters=QUANTILE,
        tasks=REGRESSOR,
        centre="quantile",
    )
)
LOSSES.add(
    Loss(
        "pinball+increasing",
        "sum_k max(q_k d, (q_k - 1) d), d = y - f_k",
        pinball_increasing,
        "increasing",
        one_target=True,
        parameters=QUANTILE,
        tasks=REGRESSOR,
        centre="quantile",
    )
)
LOSSES.add(
    Loss(
        "poisson+exp",
        "sum_k (y_k log(y_k / f_k) - y_k + f_k)",
        poisson,
        "exp",
        tasks=REGRESSOR,
        domain=NON_NEGATIVE,
    )
)
LOSSES.add(
    Loss(
        "gamma+exp",
        "sum_k (y_k / f_k - 1 - log(y_k / f_k))",
        gamma,
        "exp",
        tasks=REGRESSOR,
        domain=POSITIVE,
    )
)
LOSSES.add(
    Loss(
        "tweedie+exp",
        "sum_k (y^(2-r) / ((1-r)(2-r)) - y f^(1-r) / (1-r) + f^(2-r) / (2-r)), r = power",
        tweedie,
        "exp",
        parameters=(Parameter("power", 1.5, 1.0, 2.0, open=True),),
        tasks=REGRESSOR,
        domain=NON_NEGATIVE,
    )
)
LOSSES.add(
    Loss(
        "gaussian_nll+identity",
        "sum_k (log(2 pi v_k) + (f_k - y_k)^2 / v_k) / 2, v_k = log(1 + exp(f_(K+k))) + floor",
        gaussian_nll,
        "identity",
        parameters=(
            Parameter("beta", 0.5, 0.0, 1.0, closed=True),
            Parameter("floor", 1e-6, 0.0, np.inf, open=True),
        ),
        tasks=REGRESSOR,
        normal=NormalOutputs(gaussian_std, gaussian_raw),
        gradient_factor="beta",
    )
)
