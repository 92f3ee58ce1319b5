"""Lesson 1: back-propagation in ten lines of NumPy, and the same network in fastbp."""

import numpy as np

from fastbp import BPRegressor


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def run():
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0], [1], [1], [0]])
    print("Four rows of three inputs; the target is the exclusive or of the first two:")
    print("\n".join(f"  {inputs} -> {target}" for inputs, (target,) in zip(X, y, strict=True)))

    print("\nThree layers: 3 inputs, 4 hidden units, 1 output, all of them sigmoids.")
    print("  forward    h = sigmoid(X W1),  p = sigmoid(h W2),  error F = sum of (p - y)^2")
    print("  backward   d2 = 2 (p - y) p (1 - p)       dF/dW2 = h' d2")
    print("             d1 = (d2 W2') h (1 - h)        dF/dW1 = X' d1")
    print("The error goes back through the weights that the signal came by: hence the name.\n")

    rng = np.random.RandomState(1)
    W1, W2 = start = [rng.uniform(size=(3, 4)), rng.uniform(size=(4, 1))]
    for step in range(1500):
        h = sigmoid(X @ W1)
        p = sigmoid(h @ W2)
        d2 = 2 * (p - y) * p * (1 - p)
        d1 = d2 @ W2.T * h * (1 - h)
        W1, W2 = W1 - X.T @ d1, W2 - h.T @ d2  # a learning rate of 1
        if step in (0, 10, 100, 500, 1499):
            print(f"  step {step + 1:4}: F = {((p - y) ** 2).sum():.4f}")

    model = BPRegressor(
        (4,),
        activation="logistic",
        out_activation="logistic",
        loss="sum_squared_error",
        fit_intercept=False,  # no biases
        solver="sgd",
        momentum=0,
        learning_rate_init=4,  # fastbp takes the mean over the four rows, where F is their sum
        batch_size=4,
        alpha=0,
        max_iter=1500,
        tol=0,  # with the next line: every step is made
        n_iter_no_change=np.inf,
    )
    model.fit(X, y.ravel(), coefs_init=start)
    print(f"\nPredictions of NumPy:  {sigmoid(sigmoid(X @ W1) @ W2).ravel().round(4)}")
    print(f"Predictions of fastbp: {model.predict(X).round(4)}")
    difference = max(abs(a - b).max() for a, b in zip(model.coefs_, (W1, W2), strict=True))
    print(f"Largest difference of a weight: {difference:.0e}")
    print("\nTo try: other random weights, RandomState(2); two hidden units, which sometimes get stuck.")


if __name__ == "__main__":
    run()
