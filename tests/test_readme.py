"""What README and docstrings say is true: their Python runs, and they leave no parameter or attribute out."""

import inspect
import re
import warnings
from pathlib import Path

import data
import pytest
from helpers import fitted_attributes
from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS
from fastbp.functions.initialisers import INITIALISERS
from fastbp.functions.losses import loss_names
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import STOCHASTIC

README = Path(__file__).parent.parent / "README.md"
text = README.read_text(encoding="utf-8")

# Blocks with prompts are run by pytest's doctest (see pyproject.toml).
BLOCKS = [
    (text.count("\n", 0, match.start()) + 1, match["code"])
    for match in re.finditer(r"^```(?:python|py)\n(?P<code>.*?)^```", text, re.MULTILINE | re.DOTALL)
    if ">>>" not in match["code"]
]


def test_python_in_the_readme_runs(capsys, tmp_path, monkeypatch):
    """In order and in one namespace, as a reader would type it."""
    assert ">>>" in text or BLOCKS
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    for line, code in BLOCKS:
        # Padded, so that a traceback names the line of the README.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            exec(compile("\n" * line + code, str(README), "exec"), namespace)


@pytest.mark.parametrize("command", ["python -m fastbp demo", "pytest"])
def test_the_two_commands_are_there(command):
    assert command in text


ESTIMATORS = [BPClassifier, BPRegressor]


def described(name, doc):
    """Whether a numpydoc section has an entry for it, maybe with others: "beta_1, beta_2 : float"."""
    return re.search(rf"^(\w+, )*{name}(, \w+)* : ", doc, re.MULTILINE)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_readme_names_every_parameter(Estimator):
    for name in Estimator().get_params():
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_docstrings_name_every_parameter_and_attribute(Estimator):
    X, y = data.iris()
    doc = inspect.getdoc(Estimator)
    for name in [*Estimator().get_params(), *fitted_attributes(Estimator((2,), max_iter=1).fit(X, y))]:
        assert described(name, doc), name
    assert described("feature_names_in_", doc)
    assert ">>> " in doc


def public_methods(Estimator):
    for name in (
        "fit",
        "predict",
        "score",
        "transform",
        "activations",
        "loss_and_gradients",
        "partial_fit",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "get_feature_names_out",
    ):
        method = getattr(Estimator, name, None)
        if method is not None and getattr(method, "__module__", "fastbp").startswith("fastbp"):
            yield pytest.param(method, id=f"{Estimator.__name__}.{name}")


@pytest.mark.parametrize(
    "method", [method for Estimator in ESTIMATORS for method in public_methods(Estimator)]
)
def test_docstrings_of_methods(method):
    doc = inspect.getdoc(method) or ""
    assert doc
    for name in inspect.signature(method).parameters:
        if name != "self":
            assert described(name, doc), name


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_docstrings_and_readme_name_every_registered_function(Estimator):
    task = Estimator.__name__.removeprefix("BP").lower()
    names = ACTIVATIONS.names() + GROUP_ACTIVATIONS.names() + loss_names(task) + INITIALISERS.names()
    names += [*STOCHASTIC, *RATE_SCHEDULES.names()]
    for name in names:
        assert f"`{name}`" in text, name
        assert f"'{name}'" in Estimator.__doc__, name
