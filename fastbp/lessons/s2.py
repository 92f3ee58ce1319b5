"""Lesson 2: hours of study and of sleep, and the score of an exam."""

import numpy as np

from fastbp import BPRegressor


def run():
    hours = np.array([[2.0, 9.0], [1.0, 5.0], [3.0, 6.0]])
    scores = np.array([92.0, 86.0, 89.0])
    print("Three students: hours of study, hours of sleep, and the score of their exam.")
    for (study, sleep), score in zip(hours, scores, strict=True):
        print(f"  {study:.0f} h and {sleep:.0f} h -> {score:.0f}")
    largest = hours.max(axis=0)
    print(f"\nInputs are divided by their largest values {largest} and scores by 100: sigmoids")
    print("answer with numbers between 0 and 1, and learn best from inputs of that size.")

    model = BPRegressor(
        (3,),  # 2 inputs, 3 hidden units, 1 output
        activation="logistic",
        out_activation="logistic",
        loss="mean_squared_error",
        fit_intercept=False,
        init="normal",  # weights drawn from N(0, 1)
        solver="sgd",
        momentum=0,
        learning_rate_init=0.5,
        batch_size=3,
        alpha=0,
        max_iter=1200,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    model.fit(hours / largest, scores / 100)
    print("\nGradient descent: each step goes a little way down the slope of the error.")
    for step in (1, 10, 100, 1200):
        loss = model.loss_curve_[step - 1]
        print(f"  step {step:4}: mean squared error {loss:.6f}, about {100 * loss**0.5:.1f} points")
    for (study, sleep), found, score in zip(hours, model.predict(hours / largest), scores, strict=True):
        print(f"  {study:.0f} h and {sleep:.0f} h -> {100 * found:.1f}, truly {score:.0f}")

    (score,) = model.predict(np.array([[4.0, 8.0]]) / largest)
    print(f"\nA student whom it has not seen, 4 h and 8 h -> {100 * score:.1f}")
    others = [
        model.set_params(random_state=seed).fit(hours / largest, scores / 100).predict([[4 / 3, 8 / 9]])[0]
        for seed in range(1, 6)
    ]
    print("From five other starts: " + ", ".join(f"{100 * score:.1f}" for score in others))
    print("Three rows do not say what comes beyond them; each start fills the gap in its own way.")
    print("\nTo try: learning_rate_init=50 (does the error still fall at every step?); more hidden units.")


if __name__ == "__main__":
    run()
