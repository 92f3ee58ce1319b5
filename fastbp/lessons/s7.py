"""Lesson 7: kinds of neurons - and a network without hidden layers is an old friend."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier


def run():
    print("A neuron adds its weighted inputs to z and answers f(z):")
    shapes: dict = {
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
        "relu": lambda z: np.maximum(z, 0),
    }
    print("        z   " + "".join(f"{z:8.1f}" for z in (-4, -1, 0, 1, 4)))
    for name, f in shapes.items():
        print(f"  {name:9} " + "".join(f"{f(float(z)):8.3f}" for z in (-4, -1, 0, 1, 4)))
    print("  maxout answers the largest of several z; softmax makes probabilities of the z of all classes.")

    print("\nNo hidden layer and a sigmoid: this is logistic regression, learned by back-propagation.")
    exact: dict = {"solver": "lbfgs", "tol": 1e-9, "max_iter": 5000, "max_fun": 50_000}
    for name, load, kind in (("2", load_breast_cancer, "sigmoid"), ("3", load_iris, "softmax")):
        X, y = load(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000).fit(X, y)
        ours = BPClassifier((), alpha=1.0, **exact).fit(X, y)
        difference = abs(ours.coefs_[0] - theirs.coef_.T).max()
        print(
            f"  {name} classes, {kind}: coefficients differ from scikit-learn's by at most {difference:.0e}"
        )

    print("\nSuch a network draws one straight line. Exclusive or needs more:")
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    every: dict = {"alpha": 0, "max_iter": 1000, "tol": 0, "n_iter_no_change": np.inf, "random_state": 0}
    for sizes, activation in (
        ((), "identity"),
        ((8,), "identity"),
        ((8,), "logistic"),
        ((8,), "tanh"),
        ((8,), "relu"),
        ((8,), "maxout"),
    ):
        model = BPClassifier(sizes, activation=activation, learning_rate_init=0.05, **every).fit(X, y)
        what = f"8 hidden units, {activation}" if sizes else "no hidden layer"
        print(f"  {what:26} probabilities of class 1: {model.predict_proba(X)[:, 1].round(2)}")
    print("Hidden units without a bend ('identity') add nothing: lines of lines are lines.")
    print("\nTo try: two hidden units instead of eight; which activations still solve it, from which seeds?")


if __name__ == "__main__":
    run()
