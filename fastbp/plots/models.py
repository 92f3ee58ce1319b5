"""The networks inside of what users fit: pipelines, searches, ensembles, table models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastbp.ensembles.base import Ensemble
from fastbp.estimators.mlp import BackPropagation
from fastbp.tables.base import TableModel

NETWORKS = (BackPropagation, MLPClassifier, MLPRegressor)


def innermost(estimator: Any) -> Any:
    """Return the estimator that trains: the last step of pipelines, the best model of a search."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "regressor_"):  # TransformedTargetRegressor
            estimator = estimator.regressor_
        else:
            return estimator


def members_of(estimator: Any) -> list[Any] | None:
    """Return the members of an ensemble, of a table model or of scikit-learn's ensembles; else None."""
    if isinstance(estimator, TableModel):
        return [member.network for member in getattr(estimator, "members_", [])]
    members = getattr(estimator, "estimators_", None)
    if members is None:
        return None
    return [innermost(one) for one in np.ravel(np.array(members, dtype=object))]


def check_is_network(network: Any, caller: str, kinds: Sequence[type] = NETWORKS) -> Any:
    """Return a fitted network, or raise TypeError or NotFittedError."""
    if isinstance(network, type):
        raise TypeError(
            f"{caller} needs a fitted estimator, got the class {network.__name__}: call it first."
        )
    if not isinstance(network, tuple(kinds)):
        _refuse_unfitted_parent(network, caller)
        raise TypeError(
            f"{caller} needs a network: BPClassifier, BPRegressor, or a pipeline or search with one; got "
            f"{type(network).__name__}."
        )
    if getattr(network, "coefs_", None) is None:
        _refuse_unfitted(network, caller)
    return network


def network_of(estimator: Any, caller: str, kinds: Sequence[type] = NETWORKS) -> Any:
    """Return the one fitted network of an estimator.

    Raises
    ------
    TypeError
        For an estimator without a network, or with several.
    NotFittedError
    """
    network = innermost(estimator)
    members = None if isinstance(network, NETWORKS) else members_of(network)
    if members is not None:
        if not members:
            _refuse_unfitted(network, caller)
        how = (
            "model.members_[0].network, whose inputs are the encoded columns"
            if isinstance(network, TableModel)
            else "ensemble.estimators_[0]"
        )
        raise TypeError(
            f"{caller} shows one network, but {type(network).__name__} has {len(members)}: give it a member, "
            f"such as {how}."
        )
    return check_is_network(network, caller, kinds)


def networks_of(estimator: Any, caller: str) -> tuple[list[Any], bool]:
    """Return the fitted networks of an estimator, and whether they are members of an ensemble."""
    network = innermost(estimator)
    members = None if isinstance(network, NETWORKS) else members_of(network)
    if members:
        return [check_is_network(member, caller) for member in members], True
    return [check_is_network(network, caller)], False


def _refuse_unfitted(estimator: Any, caller: str) -> None:
    raise NotFittedError(
        f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments "
        f"before {caller}."
    )


def _refuse_unfitted_parent(estimator: Any, caller: str) -> None:
    """Raise for what would have networks if it were fitted, and for searches that have kept none."""
    if hasattr(estimator, "cv_results_"):
        raise TypeError(
            f"{caller}: {type(estimator).__name__} with refit=False keeps no network; "
            "SearchResultsDisplay draws its scores."
        )
    parts = [getattr(estimator, name, None) for name in ("estimator", "regressor")]
    if isinstance(estimator, Ensemble | TableModel) or any(isinstance(innermost(p), NETWORKS) for p in parts):
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            _refuse_unfitted(estimator, caller)


# --- Names


def feature_names_of(estimator: Any, n_features: int) -> list[str] | None:
    """Return the names of the network's inputs; None if they have none."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    names: Any = None
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError, NotFittedError):  # a step that does not know them
            names = None
        if (
            names is not None
            and not hasattr(estimator[:-1], "feature_names_in_")
            and keeps_columns(estimator)
        ):
            return None  # x0, x1, … say nothing
    else:
        names = getattr(innermost(estimator), "feature_names_in_", None)
    return None if names is None or len(names) != n_features else [str(name) for name in names]


def keeps_columns(estimator: Any) -> bool:
    """Return whether the inputs of the network are the columns of X, perhaps scaled."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return True
    return all(
        step in (None, "passthrough") or isinstance(step, OneToOneFeatureMixin)
        for _, step in estimator.steps[:-1]
    )


def hidden_units(network: Any, layer: int) -> tuple[int, str]:
    """Return the linear outputs for each unit of a layer, from 0, and the name of its activation."""
    n_layers = len(network.coefs_)
    is_ours = isinstance(network, BackPropagation)
    if layer == n_layers - 1:
        return 1, str(network._out_activation() if is_ours else network.out_activation_)
    if not is_ours:
        return 1, str(network.activation)
    options = network._options()
    names = options.activations
    name = names if isinstance(names, str) else names[layer]
    return (int(options.maxout_pieces) if name == "maxout" else 1), name


def layer_names(n_layers: int) -> list[str]:
    """Return the names of the layers with weights: those of hidden ones by number, and the output."""
    return [*[f"hidden {number}" for number in range(1, n_layers)], "output"]
