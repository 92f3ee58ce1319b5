"""scikit-learn's own estimator checks, all of them, without expected failures.

Among them are the equivalence of integer sample weights with repeated rows, dense and sparse.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import BPClassifier, BPRegressor

# Some have 100 epochs, as in scikit-learn's own checks of its MLP. All have a batch of all rows ("auto") and
# a schedule that does not count rows, for only then can integer weights stand for repeated rows. lbfgs stops
# early: where the problem is not convex, its line search turns rounding into other paths in the long run.
ESTIMATORS = [
    BPClassifier(),
    BPClassifier(solver="sgd", learning_rate_init=0.1, max_iter=100),
    BPClassifier((8, 4), activation="tanh", solver="lbfgs", max_iter=20),
    BPClassifier((), l2=1e-2, alpha=0.0, max_iter=100, learning_rate_init=0.05),
    # No probabilities: decision_function instead of predict_proba.
    BPClassifier(
        (10,),
        loss="squared_error",
        out_activation="identity",
        fit_intercept=False,
        max_iter=100,
        learning_rate_init=0.05,
    ),
    BPRegressor(),
    BPRegressor(
        solver="sgd",
        momentum=0.5,
        nesterovs_momentum=False,
        learning_rate="adaptive",
        learning_rate_init=0.003,
        max_iter=400,
    ),
    BPRegressor((8,), activation="logistic", solver="lbfgs", max_iter=20),
    # Without a GPU, "auto" is the CPU.
    BPClassifier(
        (16, 16),
        activation=["gelu", "tanh"],
        solver="adamw",
        loss="hinge",
        residual=True,
        device="auto",
        max_iter=100,
    ),
    BPClassifier((8, 8), activation=["maxout", "relu"], maxout_pieces=3, learning_rate_init=0.01),
    BPRegressor(
        (16,),
        activation="silu",
        loss="huber",
        schedule="cosine",
        clip_norm=5.0,
        average="ema",
        average_params={"decay": 0.9},
        learning_rate_init=0.02,
        max_iter=200,
        device="auto",
    ),
    BPRegressor((16,), loss="gaussian_nll", learning_rate_init=0.02, max_iter=100),
    BPRegressor((), loss="mean_squared_error", n_jobs=2, max_iter=100, learning_rate_init=0.05),
    BPClassifier((16,), norm="batch", learn_input_scales=True, learning_rate_init=0.05, max_iter=100),
    BPRegressor(
        (16,),
        norm="layer",
        input_scaling="robust",
        parametric_activation=True,
        target_scaling="standard",
        rate_factors={"biases": 0.5, "fan_in_power": 0.5},
        learning_rate_init=0.05,
        max_iter=100,
    ),
]


@parametrize_with_checks(ESTIMATORS)
def test_estimator(estimator, check):
    check(estimator)


def test_the_weight_checks_are_among_them():
    """The two checks that are easiest to skip by a tag are really run."""
    from sklearn.utils.estimator_checks import estimator_checks_generator

    for estimator in (BPClassifier(), BPRegressor()):
        names = [
            getattr(check, "func", check).__name__
            for _, check in estimator_checks_generator(estimator, legacy=True)
        ]
        assert "check_sample_weight_equivalence_on_dense_data" in names
        assert "check_sample_weight_equivalence_on_sparse_data" in names
        assert "check_estimator_sparse_array" in names
        assert ("check_class_weight_classifiers" in names) == isinstance(estimator, BPClassifier)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_tags(Estimator):
    tags = Estimator().__sklearn_tags__()
    assert tags.input_tags.sparse
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert tags.target_tags.multi_output or tags.classifier_tags.multi_label
