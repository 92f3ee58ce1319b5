"""Do two versions of fastbp make the same networks, bit by bit? Digests of fits of all kinds.

    python bench/same_bits.py --write before.json          # with one version
    python bench/same_bits.py --compare before.json        # with the other

A digest is of weights, losses, scores, and of predictions of one row up to all. The fits take each
activation, loss and solver, both dtypes, dense and sparse rows, and batches from one row to all; some are
refused, which counts like a digest. The exit code is 1 where any differs. Bits are those of one processor:
they are not the same on one with registers of another width.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
import scipy.sparse
from measure import progress

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.solvers import SOLVERS

ROWS, INPUTS = 701, 13
PREDICTED = (1, 2, 5, 40, ROWS)
CURVES = ("loss_curve_", "validation_scores_")
ASKED = ("predict", "predict_proba", "decision_function")


def main() -> int:
    args = parse_arguments()
    found = {}
    for name, kind, y, X, weight, parameters in fits():
        progress(name)
        found[name] = digest_of(kind, parameters, X, y, weight)
    progress("")
    refused = sum(one == "refused" for one in found.values())
    print(f"{len(found)} fits, {refused} of them refused")
    if args.write:
        args.write.write_text(json.dumps(found, indent=1))
        return 0
    before = json.loads(args.compare.read_text())
    names = [name for name in before.keys() | found.keys() if before.get(name) != found.get(name)]
    print(f"{len(names)} differ{': ' * bool(names)}{', '.join(sorted(names))}")
    return int(bool(names))


def fits() -> Iterator[tuple]:
    """Yield name, estimator, targets, rows, weights and parameters of each fit."""
    rng = np.random.RandomState(0)
    double = rng.normal(size=(ROWS, INPUTS))
    classes = (double[:, 0] * double[:, 1] > 0).astype(int) + (double[:, 2] > 1)
    two = (double[:, 0] > 0).astype(int)
    positive = abs(double[:, 0] + rng.normal(size=ROWS)) + 0.1
    weight = rng.uniform(size=ROWS)
    for dtype in (np.float32, np.float64):
        X, d = double.astype(dtype), np.dtype(dtype).name
        sparse = scipy.sparse.csr_matrix(np.where(abs(X) > 0.5, X, 0))
        for name in (*ACTIVATIONS.names(), *GROUP_ACTIVATIONS.names(), *ROW_ACTIVATIONS.names()):
            yield f"{d} {name}", BPClassifier, classes, X, None, {"activation": name}
        for loss in sorted({name.partition("+")[0] for name in LOSSES.names()}):
            yield f"{d} regressor {loss}", BPRegressor, positive, X, None, {"loss": loss}
            yield f"{d} binary {loss}", BPClassifier, two, X, None, {"loss": loss}
            yield f"{d} multiclass {loss}", BPClassifier, classes, X, None, {"loss": loss}
        limits = {"weight_decay": 0.01, "clip_value": 0.5, "max_norm": 2.0, "clip_norm": 1.0}
        for solver in sorted({*SOLVERS.names(), "lbfgs", "sgd"}):
            yield f"{d} {solver}", BPClassifier, classes, X, None, {"solver": solver}
            of_solver = {"solver": solver}
            yield f"{d} {solver} limited", BPRegressor, positive, X, weight, of_solver | limits
            yield f"{d} {solver} l1", BPRegressor, positive, X, weight, of_solver | {"l1": 0.001}
        for batch in (1, 2, 3, 7, 16, 33, 64, 200, ROWS):
            for hidden in ((), (5,), (40, 40), (130, 70)):
                shape = {"hidden_layer_sizes": hidden, "batch_size": batch, "max_iter": 2}
                yield f"{d} batches of {batch}, {hidden}", BPClassifier, classes, X, None, shape
                yield f"{d} sparse batches of {batch}, {hidden}", BPClassifier, classes, sparse, None, shape
        others = (
            {"norm": "batch"},
            {"norm": "layer"},
            {"dropout": 0.3},
            {"input_noise": 0.1},
            {"residual": True, "hidden_layer_sizes": (9, 9, 9)},
            {"early_stopping": True, "max_iter": 20},
            {"input_scaling": "robust", "learn_input_scales": True, "parametric_activation": True},
            {"rate_factors": {"biases": 0.1, "fan_in_power": 0.5}},
            {"average": "ema", "schedule": "cosine"},
            {"preset": "tabular"},
        )
        for own in others:
            yield f"{d} {own}", BPClassifier, classes, X, None, own
            yield f"{d} regressor {own}", BPRegressor, positive, X, weight, own


def digest_of(kind: type, parameters: dict, X, y: np.ndarray, weight: np.ndarray | None) -> str:
    """Fit one network and return the digest of all that it holds and says, or "refused"."""
    defaults = {"hidden_layer_sizes": (19, 5), "max_iter": 4, "random_state": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = kind(**defaults | parameters).fit(X, y, weight)
        except ValueError:
            return "refused"
    digest = hashlib.blake2b(digest_size=8)
    curves = [np.array(getattr(model, name, None) or [0.0]) for name in CURVES]
    asked = [getattr(model, name) for name in ASKED if hasattr(model, name)]
    said = [ask(X[:rows]) for rows in PREDICTED for ask in asked]
    for array in (*model.coefs_, *model.intercepts_, *model.feature_params_, *curves, *said):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write", type=Path, metavar="FILE", help="write the digests to FILE")
    how.add_argument("--compare", type=Path, metavar="FILE", help="compare them with those in FILE")
    args = parser.parse_args()
    if args.compare and not args.compare.exists():
        parser.error(f"--compare: no file {args.compare}")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
