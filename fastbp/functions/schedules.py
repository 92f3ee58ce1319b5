"""What happens to learning rate and patience when an epoch ends: scikit-learn's three schedules.

Plain arithmetic on scalars; engines compile it, the tests call it as it is.
"""

CONSTANT, INVSCALING, ADAPTIVE = range(3)
SCHEDULES = {"constant": CONSTANT, "invscaling": INVSCALING, "adaptive": ADAPTIVE}

SMALLEST_ADAPTIVE_RATE = 1e-6


def rate_after_epoch(schedule, rate, rate_init, power_t, n_samples_seen):
    """The learning rate of the next epoch: invscaling rate_init / (samples seen + 1)^power_t."""
    if schedule == INVSCALING:
        return rate_init / (n_samples_seen + 1.0) ** power_t
    return rate


def judge_epoch(schedule, rate, monitored, best, n_stale, tol, patience):
    """After an epoch whose monitored value (lower is better) is `monitored`.

    Returns
    -------
    rate, best, n_stale, converged
        The epoch is stale where `monitored` > `best` − `tol`. After `patience` stale epochs in a row training
        has converged, but for the adaptive schedule, which divides the rate by 5 instead while it is > 1e-6.
    """
    n_stale = n_stale + 1 if monitored > best - tol else 0
    best = monitored if monitored < best else best
    if n_stale < patience:
        return rate, best, n_stale, False
    if schedule == ADAPTIVE and rate > SMALLEST_ADAPTIVE_RATE:
        return rate / 5.0, best, 0, False
    return rate, best, n_stale, True
