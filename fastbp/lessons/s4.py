"""Lesson 4: a step after each row, after some rows, or after all rows."""

import time

import numpy as np
from sklearn.datasets import load_digits

from fastbp import BPClassifier


def run():
    X, y = load_digits(return_X_y=True)
    X, y = X[:1500] / 16, y[:1500]
    print(f"{len(X)} handwritten digits of 8 x 8 pixels, 10 epochs of stochastic gradient descent.")
    print("The gradient of a batch is an estimate of the gradient of all rows: the smaller the batch,")
    print("the noisier it is, but the more steps an epoch has.\n")
    print("   batch  steps   loss after 1   after 10   accuracy   seconds")
    BPClassifier((32,), solver="sgd", max_iter=1).fit(X, y)  # compiles, if this was not done before
    for batch_size, rate in ((1, 0.01), (8, 0.05), (32, 0.1), (256, 0.3), (1500, 0.5)):
        model = BPClassifier(
            (32,),
            solver="sgd",
            learning_rate_init=rate,
            batch_size=batch_size,
            max_iter=10,
            tol=0,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        started = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - started
        steps = -(-len(X) // batch_size) * 10  # the last batch may be shorter
        losses = f"{model.loss_curve_[0]:12.3f} {model.loss_curve_[-1]:10.3f}"
        print(f"  {batch_size:6} {steps:6} {losses} {model.score(X, y):10.3f} {seconds:9.3f}")
    print("\nbatch 1: online learning, many cheap, noisy steps. batch 1500: full batch, ten exact steps,")
    print("which are far too few. Between them, mini-batches: vectors are used well, and there are")
    print("enough steps. A larger batch also allows, and needs, a higher learning rate.")
    print("\nHow noisy is it? The angle between the gradient of a batch and that of all rows, at the start:")
    model = BPClassifier((32,), solver="sgd", learning_rate_init=1e-300, max_iter=1, random_state=0)
    model.fit(X, y)
    whole = np.concatenate([g.ravel() for g in model.loss_and_gradients(X, y).coefs])
    for n in (1, 8, 32, 256):
        part = np.concatenate([g.ravel() for g in model.loss_and_gradients(X[:n], y[:n]).coefs])
        cosine = part @ whole / np.sqrt((part @ part) * (whole @ whole))
        print(f"  {n:4} rows: {np.degrees(np.arccos(cosine)):.0f} degrees")
    print("\nTo try: the same learning rate for all; momentum=0; batch 32 for as many steps as batch 1.")


if __name__ == "__main__":
    run()
