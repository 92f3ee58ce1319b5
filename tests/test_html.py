"""The HTML representation of every public estimator: parameters with the texts of the docstrings."""

import html
import inspect
import re

import data
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.utils._repr_html.common import get_docstring

import fastbp
from fastbp import preprocessing, tables

ESTIMATORS = sorted(
    {
        value
        for module in (fastbp, preprocessing, tables)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, BaseEstimator)
    },
    key=lambda kind: kind.__name__,
)
ROW = re.compile(r'<tr class="(?:default|user-set)">.*?</tr>', re.DOTALL)


def estimator(kind):
    needed = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is inspect.Parameter.empty
    ]
    assert needed in ([], ["estimator"])
    return kind(fastbp.BPClassifier()) if needed else kind()


def hover_texts(shown):
    """Name -> text of each parameter that an HTML representation shows."""
    found = re.findall(
        r"--doc-link-(\w+);\">\s*\w+\s*<span class=\"param-doc-description\".*?>(.*?)</span>",
        shown,
        re.DOTALL,
    )
    return {name: " ".join(html.unescape(re.sub("<br>", " ", text)).split()) for name, text in found}


def test_public_estimators_are_found():
    names = {kind.__name__ for kind in ESTIMATORS}
    assert names >= {
        "BPClassifier",
        "BPEnsembleRegressor",
        "TabularClassifier",
        "TableEncoder",
        "PeriodicEncoder",
    }


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_every_parameter_is_described(kind):
    """In numpydoc, where scikit-learn and editors look for it: an entry for each, of a few words at least."""
    for name in kind._get_param_names():
        text = get_docstring(kind, "Parameters", name)
        assert text is not None, name
        described = text.partition("<br><br>")[2]
        assert len(described.split()) >= 2, (name, text)


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_every_text_is_shown(kind):
    model = estimator(kind)
    shown = model._repr_html_()
    texts = hover_texts(shown)
    for name in kind._get_param_names():
        assert name in texts, name
        expected = " ".join(
            html.unescape(re.sub("<br>", " ", get_docstring(kind, "Parameters", name))).split()
        )
        assert texts[name] == expected
    # names link nowhere: a click would leave the notebook
    assert "href" not in "".join(ROW.findall(shown))


def test_in_a_pipeline():
    shown = make_pipeline(preprocessing.PeriodicEncoder(), fastbp.BPClassifier(alpha=0.5))._repr_html_()
    texts = hover_texts(shown)
    assert "n_frequencies" in texts
    assert "L2 penalty" in texts["alpha"]


def test_importances_are_shown_once_they_are_known():
    """A notebook shows a model after its fit: that may not start a computation of its own."""
    X, y = data.iris()
    model = fastbp.TabularClassifier(effort="fast", time_limit=1e-3, random_state=0)
    with pytest.warns(UserWarning, match="time_limit"):
        model.fit(X, y)
    assert "feature_importances_" not in model._repr_html_()
    assert model._importances is None
    assert "sharpness_" in model._repr_html_()
    assert model.feature_importances_.shape == (4,)
    assert "feature_importances_" in model._repr_html_()


def test_fitted_attributes_have_texts():
    X, y = data.iris()
    model = fastbp.BPClassifier((3,), max_iter=1).fit(X, y)
    shown = model._repr_html_()
    assert "Mean loss of the last epoch" in hover_texts(shown)["loss_"]
    assert model._get_params_html()["alpha"] == model.alpha  # what scikit-learn reads of it is there
