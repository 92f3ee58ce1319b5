"""Lesson 9: handwriting from pixels."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fastbp import BPClassifier


def drawn(pixels):
    """Return an image as lines of text, darker signs for more ink."""
    return ["".join(" .:-=+*#@"[int(value // 2)] * 2 for value in row) for row in pixels.reshape(8, 8)]


def run():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    print("Four of 1797 digits, 8 x 8 pixels each. Nobody tells the network what a loop or a stroke is.\n")
    for lines in zip(*(drawn(X_train[i]) for i in range(4)), strict=True):
        print("   ".join(lines).rstrip())
    print("".join(f"{f'a {y_train[i]}':^19}" for i in range(4)).rstrip())

    network = BPClassifier((64,), batch_size=32, max_iter=40, random_state=0)
    model = make_pipeline(MinMaxScaler(), network).fit(X_train, y_train)
    print(f"\n64 pixels -> 64 hidden units (relu) -> 10 classes (softmax): {network.n_iter_} epochs")
    for epoch in (1, 5, 20, network.n_iter_):
        print(f"  epoch {epoch:2}: loss {network.loss_curve_[epoch - 1]:.4f}")
    print(f"accuracy on {len(X_test)} digits that it has not seen: {model.score(X_test, y_test):.4f}")

    found = model.predict(X_test)
    wrong = np.flatnonzero(found != y_test)
    print(f"\nIt errs on {len(wrong)} of them. The first:")
    p = model.predict_proba(X_test)
    for i in wrong[:1]:
        print("\n".join("  " + line for line in drawn(X_test[i])))
        print(f"  a {y_test[i]} (p = {p[i, y_test[i]]:.2f}), taken for {found[i]} (p = {p[i, found[i]]:.2f})")

    print("\nWhat a hidden unit looks for: the signs of its 64 weights (+ ink wanted, - ink unwanted).")
    strongest = np.argsort(-abs(network.coefs_[1]).sum(axis=1))[:4]
    weights = [network.coefs_[0][:, unit].reshape(8, 8) for unit in strongest]
    limit = 0.15
    for row in range(8):
        signs = ["".join(" +-"[int(w > limit) - int(w < -limit)] for w in unit[row]) for unit in weights]
        print("   " + "     ".join(signs).rstrip())
    print("Back-propagation has made these detectors: features are learned, not designed.")
    print("\nTo try: no hidden layer; ten rows of each digit only; a digit that is shifted by a pixel.")


if __name__ == "__main__":
    run()
