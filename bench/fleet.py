"""Many small networks in one call: seconds, memory, and the share of single fits one after another.

    python bench/fleet.py                     # 10,000 networks
    python bench/fleet.py --networks 1000 --n-jobs 1

Networks of 8 hidden units on iris, 100 epochs each, with seeds of their own. The first 200 are also fitted
alone, before and after, and must have the same weights to the bit, or the exit code is 1.
"""

import argparse
import resource
import sys
import time
import warnings

import numpy as np
import peers
import report
from sklearn.datasets import load_iris

ALONE = 200


def main() -> int:
    from fastbp import BPClassifier
    from fastbp.estimators.fit_many import FitJob, fit_many

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--n-jobs", type=int, default=None, help="threads; as many as help by default")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    machine = report.machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, fastbp {peers.version('fastbp')}")
    X, y = load_iris(return_X_y=True)

    def network(seed: int) -> BPClassifier:
        return BPClassifier((8,), max_iter=100, random_state=seed)

    def alone() -> tuple[float, list]:
        models = [network(seed) for seed in range(min(ALONE, args.networks))]
        start = time.perf_counter()
        for model in models:
            model.fit(X, y)
        return (time.perf_counter() - start) / len(models), models

    fit_many([FitJob(network(0), X, y), FitJob(network(1), X, y)], args.n_jobs)
    before, models = alone()
    memory = peak_megabytes()
    start = time.perf_counter()
    fitted = fit_many((FitJob(network(seed), X, y) for seed in range(args.networks)), args.n_jobs)
    seconds = time.perf_counter() - start
    grown = peak_megabytes() - memory
    after, _ = alone()
    print(f"{args.networks} networks: {seconds:.2f} s, {seconds / args.networks * 1e3:.3f} ms each")
    print(f"fitted alone: {1e3 * min(before, after):.3f} to {1e3 * max(before, after):.3f} ms each")
    print(f"memory: {grown:.0f} MB more, {grown / args.networks * 1e3:.1f} KB each, with all fitted models")
    same = all(
        np.array_equal(W, V)
        for one, other in zip(models, fitted, strict=False)
        for W, V in zip(one.coefs_, other.coefs_, strict=True)
    )
    if not same:
        print("FAILED: a network's weights differ from those of the same network fitted alone")
    return 0 if same else 1


def peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    sys.exit(main())
