"""Demonstration: handwritten digits, learned by fastbp and by scikit-learn in the same process."""

import time
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier


def _network(estimator: type, epochs: int, seed: int, verbose: bool) -> Pipeline:
    """Pipeline of a scaler and a network, 64 inputs -> 64 relu -> 10 classes; every epoch runs."""
    network = estimator(
        hidden_layer_sizes=(64,),
        solver="adam",
        batch_size=32,
        max_iter=epochs,
        tol=0,
        n_iter_no_change=float("inf"),
        random_state=seed,
        verbose=verbose,
    )
    return make_pipeline(StandardScaler(), network)


def _timed_fit(pipeline: Pipeline, X, y) -> float:
    """Fit a pipeline and return the seconds that it took."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        # reaching the last epoch is intended here
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X, y)
    return time.perf_counter() - started


def run(epochs: int = 50, seed: int = 0) -> dict[str, float]:
    """Train on the digits and print accuracies and times.

    Parameters
    ----------
    epochs : int, default=50
        At least 1.
    seed : int, default=0
        Random state of the split and of both networks.

    Returns
    -------
    dict
        The accuracies and the seconds by name.
    """
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
    print(f"Handwritten digits: {len(X_train)} images of 8 x 8 pixels to learn from, {len(X_test)} to test.")
    print(f"Network: 64 inputs, 64 relu units, 10 classes; adam, batches of 32, {epochs} epochs.\n")

    print("Compiling (the result is kept on disk for the next time) ... ", end="", flush=True)
    warm_up = _network(BPClassifier, 1, seed, verbose=False)
    compilation = _timed_fit(warm_up, X_train[:64], y_train[:64])
    started = time.perf_counter()
    warm_up.predict(X_test[:8])
    compilation += time.perf_counter() - started
    print(f"{compilation:.2f} s\n")

    print("fastbp.BPClassifier:")
    fast = _network(BPClassifier, epochs, seed, verbose=True)
    fast_seconds = _timed_fit(fast, X_train, y_train)
    fast_accuracy = fast.score(X_test, y_test)
    print(f"test accuracy {fast_accuracy:.4f}, trained in {fast_seconds:.3f} s\n")

    print("sklearn.neural_network.MLPClassifier, the same network ... ", flush=True)
    slow = _network(MLPClassifier, epochs, seed, verbose=False)
    slow_seconds = _timed_fit(slow, X_train, y_train)
    slow_accuracy = slow.score(X_test, y_test)
    print(f"test accuracy {slow_accuracy:.4f}, trained in {slow_seconds:.3f} s\n")

    print(f"{'':14}{'accuracy':>10}{'seconds':>10}")
    print(
        f"{'fastbp':14}{fast_accuracy:10.4f}{fast_seconds:10.3f}   (compilation apart: {compilation:.2f} s)"
    )
    print(f"{'scikit-learn':14}{slow_accuracy:10.4f}{slow_seconds:10.3f}")
    print(f"\nfastbp trained {slow_seconds / fast_seconds:.1f} times as fast.")
    return {
        "fastbp_accuracy": fast_accuracy,
        "fastbp_seconds": fast_seconds,
        "sklearn_accuracy": slow_accuracy,
        "sklearn_seconds": slow_seconds,
        "compilation_seconds": compilation,
    }
