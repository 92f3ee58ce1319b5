"""What is diagnosed: the network within a model, and the steps before it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastbp.ensembles.base import Ensemble
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.options import CLASSIFIER
from fastbp.estimators.regressor import BPRegressor
from fastbp.tables.base import TableModel
from fastbp.tables.encoder import TableEncoder


@dataclass(frozen=True)
class Subject:
    """A network, and what is done to X before it.

    Attributes
    ----------
    name : str
    network : BPClassifier or BPRegressor
        As given; not to be changed.
    is_fitted : bool
    steps : Pipeline, TableEncoder or None
        Steps before the network, as given or unfitted copies.
    steps_are_fitted : bool
    notes : tuple of str
    """

    name: str
    network: Any
    is_fitted: bool
    steps: Any = None
    steps_are_fitted: bool = False
    notes: tuple[str, ...] = ()

    def transformed(self, X: Any, y: Any, X_val: Any) -> tuple[Any, Any, list[str] | None]:
        """Return X and X_val as the network gets them, and the names of the columns if known."""
        if self.steps is None:
            return X, X_val, _names_of(X)
        steps = self.steps if self.steps_are_fitted else clone(self.steps)
        if isinstance(steps, TableEncoder):
            inputs = _joined(steps.fit_transform(X, y))
            inputs_val = None if X_val is None else _joined(steps.transform(X_val))
        else:
            inputs = steps.transform(X) if self.steps_are_fitted else steps.fit_transform(X, y)
            inputs_val = None if X_val is None else steps.transform(X_val)
        names: list[str] | None
        try:
            names = [str(name) for name in steps.get_feature_names_out()]
        except Exception:  # a step of the user's that has no names
            names = _names_of(inputs)
        return inputs, inputs_val, names


def subject_of(model: Any, random_state: int) -> Subject:
    """Return the network within a model.

    Raises
    ------
    TypeError
        For models without a network of this package that could be diagnosed; it says what to pass instead.
    """
    searched = getattr(model, "best_estimator_", None)
    if searched is not None:
        found = subject_of(searched, random_state)
        return _renamed(found, f"best_estimator_ of {type(model).__name__}: {found.name}")
    if isinstance(model, Pipeline):
        return _of_pipeline(model, random_state)
    if isinstance(model, BackPropagation):
        return Subject(_described(model), model, _is_fitted(model))
    if isinstance(model, Ensemble):
        return _of_ensemble(model)
    if isinstance(model, TableModel):
        return _of_table_model(model, random_state)
    kind = model.__name__ if isinstance(model, type) else type(model).__name__
    hint = ""
    if isinstance(model, type):
        hint = f" This is the class: pass an object, {kind}()."
    elif hasattr(model, "estimator"):
        hint = f" Pass the estimator within the {kind}, or fit a search before."
    raise TypeError(
        "diagnose needs a BPClassifier or BPRegressor, a Pipeline that ends with one, an ensemble of them, "
        f"a TabularClassifier or TabularRegressor, or a fitted search; got {kind}.{hint}"
    )


def _of_pipeline(model: Pipeline, random_state: int) -> Subject:
    inner = model.steps[-1][1]
    if isinstance(inner, Pipeline):
        steps = [(f"{model.steps[-1][0]}-{name}", step) for name, step in inner.steps]
        return _of_pipeline(Pipeline([*model.steps[:-1], *steps]), random_state)
    last = subject_of(inner, random_state)
    if len(model.steps) == 1:
        return last
    if last.steps is not None:
        raise TypeError(
            f"a {type(inner).__name__} within a Pipeline is not diagnosed: pass it alone, with the X that "
            "it gets there."
        )
    before = model[:-1]
    fitted = last.is_fitted
    try:
        check_is_fitted(before)
    except Exception:
        fitted = False
    before = before if fitted else clone(before)
    names = ", ".join(type(step).__name__ for _, step in model.steps[:-1])
    return Subject(
        f"Pipeline({names}, {last.name})", last.network, fitted and last.is_fitted, before, fitted, last.notes
    )


def _of_ensemble(model: Ensemble) -> Subject:
    members = getattr(model, "estimators_", None)
    if members:
        note = f"The first of the {len(members)} members of the ensemble is diagnosed."
        network = members[0]
    else:
        note = "One member of the ensemble is diagnosed."
        network = model._template()
    return Subject(
        f"{type(model).__name__} of {_described(network)}", network, _is_fitted(network), notes=(note,)
    )


def _of_table_model(model: TableModel, random_state: int) -> Subject:
    kind = BPClassifier if model._task == CLASSIFIER else BPRegressor
    encoder = TableEncoder(model.categorical_features, random_state=random_state)
    name = f'{kind.__name__}(preset="tabular")'
    note = (
        f"The columns are encoded as {type(model).__name__} does; diagnosed is {name} on them, not the "
        "members themselves."
    )
    return Subject(f"{type(model).__name__}: {name}", kind(preset="tabular"), False, encoder, False, (note,))


def _renamed(found: Subject, name: str) -> Subject:
    return Subject(name, found.network, found.is_fitted, found.steps, found.steps_are_fitted, found.notes)


def _is_fitted(network: Any) -> bool:
    return getattr(network, "coefs_", None) is not None


def _described(network: Any) -> str:
    state = "fitted" if _is_fitted(network) else "not fitted"
    text = " ".join(repr(network).split())
    short = text if len(text) <= 100 else text[:97] + "..."
    return f"{short} ({state})"


def _joined(encoded: Any) -> Any:
    if scipy.sparse.issparse(encoded.numeric):
        return encoded.numeric
    return np.hstack([encoded.numeric, encoded.binary])


def _names_of(X: Any) -> list[str] | None:
    columns = getattr(X, "columns", None)
    if columns is None or callable(columns):
        return None
    return [str(name) for name in columns]
