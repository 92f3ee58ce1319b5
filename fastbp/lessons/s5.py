"""Lesson 5: a recipe for training - each step has a number that must come out."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import BPClassifier


def run():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    fixed: dict = {"alpha": 0, "random_state": 0}
    frozen: dict = {**fixed, "solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}

    print("1. Look at the data.")
    n_twice = len(X_train) - len(np.unique(X_train, axis=0))
    shares = np.bincount(y_train) / len(y_train)
    print(
        f"   {len(X_train)} rows, {n_twice} duplicates, classes of {shares.min():.1%} to {shares.max():.1%}"
    )

    print("2. The loss before training, output weights of zero: it has to be -log(1/10) = 2.3026.")
    first = BPClassifier((30,), out_init="zeros", batch_size=len(X_train), **frozen).fit(X_train, y_train)
    print(f"   {first.loss_curve_[0]:.4f}")

    print("3. Output biases from the data: a class of 10 % has p = 0.1 before training.")
    rare = np.arange(len(X_train)) % 10 == 0
    biased = BPClassifier((30,), out_init="zeros", out_bias="data", **frozen).fit(X_train, rare)
    print(
        f"   {biased.predict_proba(X_train[:1])[0, 1]:.4f}, by a bias of log(0.1 / 0.9) = {np.log(1 / 9):.3f}"
    )

    print("4. A network that sees nothing, inputs of zeros: whatever sees must be better.")
    params: dict = {"hidden_layer_sizes": (30,), "learning_rate_init": 0.01, "max_iter": 40, **fixed}
    blind = BPClassifier(**params).fit(0 * X_train, y_train)
    print(f"   accuracy {blind.score(0 * X_test, y_test):.3f}, loss {blind.loss_:.4f}")

    print("5. Learn one batch by heart: 32 rows with labels drawn at random; the loss has to come near 0.")
    labels = np.random.RandomState(0).randint(0, 10, 32)
    every: dict = {"tol": 0, "n_iter_no_change": np.inf}
    heart = BPClassifier((100,), batch_size=32, learning_rate_init=0.01, max_iter=500, **fixed, **every)
    heart.fit(X_train[:32], labels)
    print(f"   loss {heart.loss_:.5f}, accuracy {heart.score(X_train[:32], labels):.2f}")

    print("6. Now train; the same seed gives the same result twice.")
    first, second = (BPClassifier(**params).fit(X_train, y_train) for _ in range(2))
    print(f"   loss {first.loss_:.6f} and {second.loss_:.6f}")
    print(f"   accuracy on all {len(y_test)} test rows {first.score(X_test, y_test):.3f}")

    print("7. Look at the rows that it gets most wrong: they tell what is hard, or mislabelled.")
    p = first.predict_proba(X_test)[np.arange(len(y_test)), y_test]
    for i in np.argsort(p)[:3]:
        print(f"   test row {i}: a {y_test[i]}, taken for {first.predict(X_test[[i]])[0]}, p = {p[i]:.4f}")
    print("\nTo try: steps 2 and 5 for your own data; a tenth of wrong labels: does step 7 find them?")


if __name__ == "__main__":
    run()
