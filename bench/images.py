"""How good a dense network gets on MNIST and Fashion-MNIST, and how long that takes.

    python bench/images.py --data FOLDER
    python bench/images.py --data FOLDER --sets fashion_mnist --epochs 5 --json FILE

Two hidden layers with dropout, a cosine schedule and smoothed labels; pixels from 0 to 1, the original split
into 60,000 and 10,000 images, nothing chosen by the test images. The folder holds mnist.npz and
fashion_mnist.npz with the arrays X_train, y_train, X_test and y_test (see `datasets.py`).
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import datasets
import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
from report import table
from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier

SETS = ("mnist", "fashion_mnist")
RECIPE = {
    "hidden_layer_sizes": (1024, 512),
    "batch_size": 128,
    "learning_rate_init": 1e-3,
    "schedule": "cosine",
    "dropout": 0.4,
    "input_dropout": 0.1,
    "loss_params": {"label_smoothing": 0.1},
    "tol": 0.0,
    "n_iter_no_change": np.inf,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER")
    add("--sets", nargs="+", choices=SETS, default=list(SETS))
    add("--epochs", type=int, default=40, help="40 by default")
    add("--seeds", type=int, default=1, help="fits of each set, 1 by default")
    add("--threads", type=int, default=None, help="as many as help by default")
    add("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    rows, results = [], {}
    for name in args.sets:
        X_train, y_train, X_test, y_test = datasets.images(args.data, name)
        for seed in range(args.seeds):
            model = BPClassifier(
                **RECIPE,
                max_iter=args.epochs,
                random_state=seed,
                n_jobs=args.threads,
                verbose=sys.stderr.isatty(),
            )
            start = time.perf_counter()
            model.fit(X_train, y_train)
            seconds = time.perf_counter() - start
            accuracy = model.score(X_test, y_test)
            rows.append([name, str(seed), f"{accuracy:.4f}", f"{seconds:.0f}"])
            results[f"{name}/{seed}"] = {"accuracy": accuracy, "seconds": seconds, "epochs": args.epochs}
    print(table(["images", "seed", "test accuracy", "fit, s"], rows))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
