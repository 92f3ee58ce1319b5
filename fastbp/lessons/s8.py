"""Lesson 8: the same network on a GPU."""

import textwrap
import time

import numpy as np
from sklearn.datasets import load_digits

from fastbp import BPClassifier


def run():
    print("A GPU is thousands of slow arithmetic units: it needs as many multiplications at a time.")
    print("For each row of a batch, a layer of n inputs and m units takes 2 n m operations forward, 2 n m")
    print("for the gradient of its weights and, but for the first, 2 n m to send the error back.\n")
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    BPClassifier((64,), max_iter=1).fit(X, y)  # compiles, if this was not done before
    devices = ["cpu"]
    try:
        BPClassifier((64,), device="cuda", max_iter=1).fit(X, y)
        devices.append("cuda")
    except (ImportError, RuntimeError, ValueError) as error:
        print("There is no GPU here, so this runs on the CPU alone:")
        print(textwrap.indent(textwrap.fill(str(error), 90), "  ") + "\n")

    print("  device   units   seconds an epoch   1e9 operations a second   accuracy")
    for device in devices:
        for units in (16, 64, 256):
            model = BPClassifier(
                (units,),
                device=device,
                batch_size=256,
                learning_rate_init=0.01,
                max_iter=10,
                tol=0,
                n_iter_no_change=np.inf,
                random_state=0,
            )
            started = time.perf_counter()
            model.fit(X, y)
            seconds = (time.perf_counter() - started) / model.n_iter_
            rate = len(X) * (4 * 64 * units + 6 * units * 10) / seconds / 1e9
            accuracy = model.score(X, y)
            print(f"  {device:6} {units:7} {seconds:18.5f} {rate:25.1f} {accuracy:10.3f}")
    print("\nThe more units, the more operations a second: the work that does not grow with them - drawing")
    print(
        "batches, starting the step - is shared among more. This is truer still of a GPU, for which a start"
    )
    print("is dearer: it pays for large layers and batches, or for many networks at once.")
    print("The results are the same but for rounding: the device is where a network is trained, not how.")
    print(
        "\nTo try: batch_size=32 and 1797; (1024, 1024); device='auto', which takes a GPU where there is one."
    )


if __name__ == "__main__":
    run()
