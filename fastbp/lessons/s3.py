"""Lesson 3: the building blocks - one layer forward, two losses, and the chain rule."""

import numpy as np

from fastbp import BPClassifier, BPRegressor


def run():
    x = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    W = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    print("A linear unit: five inputs (1, 5) times five weights (5, 1) are one number.")
    linear = BPRegressor((), loss="sum_squared_error", fit_intercept=False, alpha=0, max_iter=1)
    linear.fit(x, [5.0])
    linear.coefs_ = [W]
    print(f"  forward: 1*0.1 + 2*0.2 + 3*0.3 + 4*0.4 + 5*0.5 = {linear.predict(x)[0]:.2f}")
    result = linear.loss_and_gradients(x, [5.0])
    print(f"  squared error for the target 5: (5.5 - 5)^2 = {result.loss:.2f}")
    print("  chain rule: dF/dw = dF/dp dp/dw = 2 (p - y) x = 1 * x")
    print(f"  gradient from fastbp: {result.coefs[0].ravel()}")

    print("\nIs it right? Move one weight a little and see how the error changes.")
    for i in range(5):
        errors = []
        for step in (1e-6, -1e-6):
            moved = W.copy()
            moved[i] += step
            linear.coefs_ = [moved]
            errors.append(linear.loss_and_gradients(x, [5.0]).loss)
        print(f"  weight {i}: slope measured {(errors[0] - errors[1]) / 2e-6:.6f}, computed {x[0, i]:.6f}")
    print("Five measurements need ten forward passes. Back-propagation needs one pass back, however")
    print("many weights there are: this is why it is used.")

    print("\nA sigmoid unit with weights of zero: sigmoid(0) = 1 / (1 + e^0) = 0.5.")
    unit = BPClassifier((), fit_intercept=False, alpha=0, max_iter=1).fit(np.r_[x, -x], [0, 1])
    unit.coefs_ = [np.zeros((5, 1))]
    print(f"  probability of class 1: {unit.predict_proba(x)[0, 1]}")
    result = unit.loss_and_gradients(x, [1])
    print(f"  cross-entropy if the class is 1: -log 0.5 = {result.loss:.4f}")
    print("  of sigmoid and cross-entropy together the chain rule leaves (p - y) x: no p (1 - p)")
    print(f"  gradient from fastbp: {result.coefs[0].ravel()}")
    print("  A confident wrong answer therefore has the largest gradient; with squared error,")
    print("  p (1 - p) would make it the smallest.")

    print("\nShapes have to fit:")
    try:
        linear.predict(x[:, :4])
    except ValueError as error:
        print(f"  {str(error).splitlines()[0]}")
    print("\nTo try: W = [[10]] * 5 for the sigmoid unit and class 0; what are loss and gradient?")


if __name__ == "__main__":
    run()
