"""Lesson 6: depth - gradients that vanish, and connections that carry them past the layers."""

import numpy as np
from sklearn.datasets import load_digits

from fastbp import BPClassifier


def slopes(depth, activation, residual=False, **options):
    """Return the mean size of the gradient of each layer's weights before training."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:200] / 16, y[:200]
    options |= {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
    model = BPClassifier((32,) * depth, activation=activation, residual=residual, **options).fit(X, y)
    return [abs(gradient).mean() for gradient in model.loss_and_gradients(X, y).coefs]


def run():
    print("On its way back the error is multiplied, at each layer, by the weights and by the slope of")
    print("the activation. A sigmoid's slope is 0.25 at most: after 12 layers little is left.\n")
    print("mean size of dF/dW before training, 12 hidden layers of 32 units:")
    kinds = [("sigmoid", "logistic", False), ("tanh", "tanh", False), ("relu", "relu", False)]
    kinds.append(("tanh and residual", "tanh", True))
    print(f"  {'':18}" + "".join(f"  layer {n:<4}" for n in (1, 4, 8, 12)) + "  first / last")
    for name, activation, residual in kinds:
        sizes = slopes(12, activation, residual)
        row = "".join(f"  {sizes[n - 1]:.1e} ".ljust(12) for n in (1, 4, 8, 12))
        print(f"  {name:18}{row}  {sizes[0] / sizes[-2]:.0e}")
    large = slopes(12, "identity", init="normal")
    print(
        f"\nToo large weights do the opposite. N(0, 1) and f(z) = z: layer 1 has {large[0]:.0e}; it explodes."
    )

    print("\nResidual connections: a layer computes h + f(h) in place of f(h). The error comes back")
    print("through the '+' undiminished. Now 152 layers of weights, 8 epochs, gradients clipped at 1:")
    X, y = load_digits(return_X_y=True)
    for residual in (False, True):
        model = BPClassifier(
            (32,) * 151,
            activation="tanh",
            residual=residual,
            clip_norm=1.0,
            batch_size=64,
            learning_rate_init=3e-3,
            max_iter=8,
            tol=0,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        model.fit(X[:1000] / 16, y[:1000])
        name = "with residual connections" if residual else "plain"
        print(f"  {name:26} loss {model.loss_:.3f}, accuracy {model.score(X[:1000] / 16, y[:1000]):.3f}")
    print("\nTo try: init='he' with relu; norm='layer' instead of residual connections; depths 20, 50, 100.")


if __name__ == "__main__":
    run()
