"""scikit-learn's own tests of its MLP, with the two classes exchanged before import.

The source of `sklearn/neural_network/tests/test_mlp.py` is run with our classes under its names, and its test
functions become tests of this file.
"""

import importlib.util
from pathlib import Path

import pytest

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
EXCHANGED = "from fastbp import BPClassifier as MLPClassifier, BPRegressor as MLPRegressor\n"

LEFT_OUT = {
    "test_gradient": "calls the private _loss_grad_lbfgs; test_gradients.py checks gradients",
    "test_learning_rate_warmstart": "reads the private _optimizer; test_fit_semantics.py has the warm start",
    "test_adaptive_learning_rate": "reads the private _optimizer; test_fit_semantics.py counts the epochs",
    "test_n_iter_no_change": "reads the private _no_improvement_count, and expects one stale epoch too many",
    "test_n_iter_no_change_inf": "reads the private _no_improvement_count; see test_fit_semantics.py",
    "test_mlp_diverging_loss": "expects the fault that a diverging fit says nothing; test_divergence.py",
}


def exchanged_tests():
    package = Path(importlib.util.find_spec("sklearn.neural_network").origin).parent
    path = package / "tests" / "test_mlp.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    namespace = {"__name__": "sklearn_test_mlp", "__file__": str(path)}
    exec(compile(source.replace(IMPORT, EXCHANGED), str(path), "exec"), namespace)
    return {name: function for name, function in namespace.items() if name.startswith("test_")}


TESTS = exchanged_tests()

for _name, _function in TESTS.items():
    if _name not in LEFT_OUT:
        # Warnings are none of these tests' business where they do not look for them.
        globals()[_name] = pytest.mark.filterwarnings("default")(_function)


def test_what_is_left_out_exists():
    assert LEFT_OUT.keys() <= TESTS.keys()


def test_the_exchange_took_place():
    assert TESTS["test_fit"].__globals__["MLPClassifier"].__module__.startswith("fastbp")
    assert len(TESTS) - len(LEFT_OUT) > 30
