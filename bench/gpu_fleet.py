"""Many small networks on a GPU, in one call: a part of ``gpu.py``, which runs it.

Networks of 8 hidden units on iris, 100 epochs each, with seeds of their own: fastbp on the GPU and on the
CPU, JAX by one `vmap`. Preparation and transfers count, compilation does not. Some of fastbp's networks are
also fitted alone and must have the same weights to the bit; the mean accuracies of all must be alike.
"""

import time
import warnings

import numpy as np

ALONE = 20  # networks that are fitted alone, too
ACCURACY = 0.02  # how far mean accuracies may be apart: initial weights are drawn by each
EPOCHS, HIDDEN, ALPHA, RATE = 100, (8,), 1e-4, 1e-2
FLEET_PEERS = ("fastbp-cuda", "fastbp-cpu", "jax")


def measure_fleet(peer: str, n: int, dtype: str, rounds: int) -> dict:
    """Seconds, the mean accuracy, and what is wrong with the answer."""
    from sklearn.datasets import load_iris

    warnings.simplefilter("ignore")
    X, y = load_iris(return_X_y=True)
    X = X.astype(dtype)
    if peer == "jax":
        from peers.jax_fleet import Fleet

        fleet = Fleet(X, y, HIDDEN, ALPHA, RATE, EPOCHS)
        samples, accuracies = zip(*(fleet.fit(n) for _ in range(rounds)), strict=True)
        return {"seconds": min(samples), "samples": samples, "accuracy": accuracies[0], "faults": []}
    return fastbp_fleet(X, y, peer.partition("-")[2], n, rounds)


def fastbp_fleet(X, y, device: str, n: int, rounds: int) -> dict:
    from fastbp import BPClassifier
    from fastbp.estimators.fit_many import FitJob, fit_many

    def network(seed):
        return BPClassifier(
            HIDDEN,
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            alpha=ALPHA,
            learning_rate_init=RATE,
            random_state=seed,
            device=device,
        )

    def fitted(n):
        return fit_many(FitJob(network(seed), X, y) for seed in range(n))

    fitted(2)
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        models = fitted(n)
        samples.append(time.perf_counter() - start)
    differ = [
        seed
        for seed in range(min(ALONE, n))
        for one, other in zip(network(seed).fit(X, y).coefs_, models[seed].coefs_, strict=True)
        if not np.array_equal(one, other)
    ]
    faults = [f"the networks {sorted(set(differ))} have other weights than alone"] if differ else []
    accuracy = np.mean([np.mean(classes_of(model, X) == y) for model in models])
    return {"seconds": min(samples), "samples": samples, "accuracy": float(accuracy), "faults": faults}


def classes_of(model, X) -> np.ndarray:
    """The classes by NumPy: thousands of launches for predictions are not what is measured."""
    values = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        values = np.maximum(values @ W + b, 0)
    return np.argmax(values @ model.coefs_[-1] + model.intercepts_[-1], axis=1)


def faults_of_fleets(found: dict[str, dict]) -> list[str]:
    """What is wrong with the answers of the peers for one number of networks."""
    faults = [f"{peer}: {fault}" for peer, one in found.items() for fault in one["faults"]]
    accuracies = {peer: one["accuracy"] for peer, one in found.items()}
    if accuracies and max(accuracies.values()) - min(accuracies.values()) > ACCURACY:
        faults.append(f"mean accuracies are apart: {accuracies}")
    return faults
