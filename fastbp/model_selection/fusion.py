"""What can be trained as one job, or the reason why not."""

from numbers import Number
from typing import Any

from joblib._parallel_backends import (
    LokyBackend,
    MultiprocessingBackend,
    SequentialBackend,
    ThreadingBackend,
)
from joblib.parallel import get_active_backend
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import _routing_enabled

from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.regressor import BPRegressor
from fastbp.model_selection.evaluation import Call, Parameters, is_evaluation

OF_THIS_MACHINE = (LokyBackend, MultiprocessingBackend)  # but not their subclasses, such as Ray's
OF_THIS_PROCESS = (SequentialBackend, ThreadingBackend)
OWN_FITS = (BPClassifier.fit, BPRegressor.fit)


def is_distributed() -> bool:
    """Return whether joblib's active backend may use other machines."""
    backend, _ = get_active_backend()
    return type(backend) not in OF_THIS_MACHINE and not isinstance(backend, OF_THIS_PROCESS)


def reason_against_search(search: Any) -> str | None:
    """Return why no candidate of a search can be fused, or None if some may be."""
    estimator = search.estimator
    if isinstance(estimator, Pipeline):
        reason = reason_against_pipeline(estimator)
        if reason is not None:
            return reason
        networks = [estimator.steps[-1][1], *_replacements(search, estimator.steps[-1][0])]
    else:
        networks = [estimator]
    reasons = [reason_against_network(network) for network in networks]
    return None if None in reasons else reasons[0]


def reason_against_pipeline(pipeline: Pipeline) -> str | None:
    """Return why a pipeline's steps cannot be fitted apart from its network, or None."""
    if type(pipeline) is not Pipeline:
        return f"{type(pipeline).__name__} may fit its steps in another way than scikit-learn's Pipeline"
    if pipeline.transform_input is not None and not _routing_enabled():
        return "the pipeline has transform_input without metadata routing"
    try:
        last = dict(pipeline.steps)[pipeline.steps[-1][0]]
    except (TypeError, ValueError, IndexError):
        return "the pipeline has invalid steps"
    return None if last is pipeline.steps[-1][1] else "two steps of the pipeline have one name"


def reason_against_network(estimator: Any) -> str | None:
    """Return why an estimator cannot be trained together with others, or None."""
    if not isinstance(estimator, BackPropagation):
        return f"{type(estimator).__name__} is not an estimator of fastbp"
    if type(estimator).fit not in OWN_FITS:
        return f"{type(estimator).__name__} has a fit of its own"
    return None


def reason_against_call(call: Call) -> str | None:
    """Return why a call cannot be fused, or None."""
    if not is_evaluation(call):
        return "it is not a call that this version knows"
    _, (_, _, y), arguments = call
    if arguments.get("return_estimator") or arguments.get("return_parameters"):
        return "the fitted estimators are asked for"
    error_score = arguments.get("error_score")
    if not isinstance(error_score, Number) and error_score != "raise":
        return f"error_score={error_score!r}"
    return "there is no y" if y is None else None


def reason_against_candidate(estimator: Any, parameters: Parameters) -> str | None:
    """Return why a candidate cannot be fused, or None."""
    network = estimator
    if isinstance(estimator, Pipeline):
        reason = reason_against_pipeline(estimator)
        if reason is not None:
            return reason
        if parameters.others:
            return f"{parameters.others[0]} is a parameter of the pipeline itself"
        network = estimator.steps[-1][1]
    return reason_against_network(network if parameters.replacement is None else parameters.replacement)


def _replacements(search: Any, name: str) -> list[Any]:
    """Estimators among the searched values of the last step."""
    given = getattr(search, "param_grid", None) or getattr(search, "param_distributions", None)
    grids = [given] if isinstance(given, dict) else given
    values: list[Any] = []
    for grid in grids if isinstance(grids, list | tuple) else []:
        found = grid.get(name) if isinstance(grid, dict) else None
        if isinstance(found, list | tuple):
            values.extend(found)
    return values
