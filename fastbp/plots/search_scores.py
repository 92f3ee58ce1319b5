"""The scores of a search as lines of points, one for each setting of the other parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from fastbp.plots.curves import text_of

MOST_LINES = 8
NOT_SET = "not set"  # of a parameter that other candidates have


@dataclass(frozen=True, eq=False)
class ScoreLine:
    """Scores of candidates that differ in one parameter, or of one candidate with growing resources.

    Attributes
    ----------
    name : str or None
        The values of the other parameters.
    x : ndarray of shape (n,)
        Values of the parameter, ascending; of one that is no number the position of its value.
    mean, std : ndarray of shape (n,)
        Of the test scores over the folds.
    index : ndarray of shape (n,)
        Rows of `cv_results_`.
    """

    name: str | None
    x: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    index: np.ndarray


@dataclass(frozen=True, eq=False)
class SearchScores:
    """What is drawn of a search.

    Attributes
    ----------
    label : str
        Of the x-axis.
    lines : list of ScoreLine
    ticks : list of str or None
        Names of the positions 0, 1, … if the parameter is no number.
    connected : bool
        Whether the points of a line are neighbours; else all are points of one cloud.
    best : int
        Row of the best candidate.
    is_halving : bool
    """

    label: str
    lines: list[ScoreLine]
    ticks: list[str] | None
    connected: bool
    best: int
    is_halving: bool


def results_of(results: Any, caller: str) -> Mapping[str, Any]:
    """Return `cv_results_` of a fitted search, or the dictionary itself."""
    if hasattr(results, "cv_results_"):
        return results.cv_results_
    if hasattr(results, "fit") and hasattr(results, "get_params"):
        if hasattr(results, "refit"):
            raise NotFittedError(
                f"This {type(results).__name__} instance is not fitted yet. Call 'fit' with appropriate "
                f"arguments before {caller}."
            )
        raise TypeError(f"{caller} needs a search or its cv_results_, got {type(results).__name__}.")
    if not isinstance(results, Mapping) or "params" not in results:
        raise TypeError(
            f"{caller} needs a fitted search or its cv_results_, which has the key 'params'; got "
            f"{type(results).__name__}."
        )
    return results


def read_scores(results: Mapping[str, Any], metric: str | None, param: str | None) -> SearchScores:
    """Return the lines to draw.

    Raises
    ------
    ValueError
        For a metric or a parameter that the search does not have.
    """
    metric = _metric(results, metric)
    mean = np.asarray(results[f"mean_test_{metric}"], np.float64)
    std = np.asarray(results[f"std_test_{metric}"], np.float64)
    if not np.isfinite(mean).any():
        raise ValueError(f"All candidates failed: there is no finite value of mean_test_{metric}.")
    params = list(results["params"])
    if "n_resources" in results and param is None:
        return _by_resources(results, params, mean, std)
    varied = [name for name in _names(params) if len({_key(one.get(name)) for one in params}) > 1]
    if param is not None:
        found = [name for name in _names(params) if name == param or name.rpartition("__")[2] == param]
        if not found:
            raise ValueError(f"param={param!r} was not searched; choose one of {_names(params)}.")
        param = found[0]
    else:
        param = _most_telling(params, varied or _names(params), mean)
    rows = np.flatnonzero(np.isfinite(mean))
    if "iter" in results:  # of halving, the last scores of each candidate
        rows = rows[_is_last(params, results, rows)]
    return _by_parameter(params, param, [one for one in varied if one != param], rows, mean, std)


def _metric(results: Mapping[str, Any], metric: str | None) -> str:
    prefix = "mean_test_"
    known = [name.removeprefix(prefix) for name in results if name.startswith(prefix)]
    if metric is None:
        if "score" in known:
            return "score"
        if len(known) == 1:
            return known[0]
        raise ValueError(f"The search has several metrics: set metric to one of {known}.")
    if metric not in known:
        raise ValueError(f"metric={metric!r} was not scored; choose one of {known}.")
    return metric


def _names(params: list[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in params for name in one))


def _key(value: Any) -> str:
    return repr(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _most_telling(params: list[Mapping[str, Any]], names: list[str], mean: np.ndarray) -> str:
    """Return the numeric parameter with the most values; without numeric ones, of all.

    Of several, as in a random search, the one along which the score changes least from a candidate to the
    next.
    """
    if not names:
        raise ValueError("The search has no parameters.")
    numeric = [name for name in names if all(_is_number(one.get(name)) for one in params)]
    n_values = {name: len({_key(one.get(name)) for one in params}) for name in numeric or names}
    most = [name for name in n_values if n_values[name] == max(n_values.values())]
    if not numeric or len(most) == 1:
        return most[0]

    def roughness(name: str) -> float:
        order = np.argsort([float(one[name]) for one in params], kind="stable")
        return float(np.nanmean(np.abs(np.diff(mean[order])))) if len(order) > 1 else 0.0

    return min(most, key=roughness)


def short_name(name: str) -> str:
    """Return the name of a parameter without the steps that lead to it."""
    return name.rpartition("__")[2]


def describe(params: Mapping[str, Any], names: list[str]) -> str | None:
    """Return the values of some parameters of a candidate as text."""
    return (
        ", ".join(f"{short_name(name)}={text_of(params[name])}" for name in names if name in params) or None
    )


def _is_last(params: list[Mapping[str, Any]], results: Mapping[str, Any], rows: np.ndarray) -> np.ndarray:
    resource = _resource(params, np.asarray(results["n_resources"]))
    latest = {}
    for row in rows:
        latest[_candidate(params[row], resource)] = row
    kept = set(latest.values())
    return np.array([row in kept for row in rows], bool)


def _resource(params: list[Mapping[str, Any]], n_resources: np.ndarray) -> str | None:
    """Return the parameter that is the resource; None if it is the number of rows."""
    for name in _names(params):
        values = [one.get(name) for one in params]
        if len(set(map(_key, n_resources))) > 1 and all(
            _is_number(value) and value == n for value, n in zip(values, n_resources, strict=True)
        ):
            return name
    return None


def _candidate(params: Mapping[str, Any], resource: str | None) -> tuple:
    return tuple((name, _key(value)) for name, value in sorted(params.items()) if name != resource)


def _by_resources(
    results: Mapping[str, Any], params: list[Mapping[str, Any]], mean: np.ndarray, std: np.ndarray
) -> SearchScores:
    """Return a line for each candidate of a halving search, over its resources."""
    n_resources, iteration = np.asarray(results["n_resources"]), np.asarray(results["iter"])
    resource = _resource(params, n_resources)
    of_candidates: dict[tuple, list[int]] = {}
    for row in range(len(params)):
        if np.isfinite(mean[row]):
            of_candidates.setdefault(_candidate(params[row], resource), []).append(row)
    varied = [
        name
        for name in _names(params)
        if name != resource and len({_key(one.get(name)) for one in params}) > 1
    ]
    lines = []
    for rows in of_candidates.values():
        at = np.array(sorted(rows, key=lambda row: iteration[row]))
        name = describe(params[rows[0]], varied)
        lines.append(ScoreLine(name, n_resources[at].astype(float), mean[at], std[at], at))
    lines.sort(key=lambda line: (len(line.x), line.mean[-1]), reverse=True)
    last = np.flatnonzero((iteration == iteration.max()) & np.isfinite(mean))
    best = int(last[mean[last].argmax()]) if len(last) else int(np.nanargmax(mean))
    label = "number of training rows" if resource is None else short_name(resource)
    return SearchScores(label, lines, None, True, best, True)


def _by_parameter(
    params: list[Mapping[str, Any]],
    param: str,
    others: list[str],
    rows: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> SearchScores:
    values = [params[row].get(param, NOT_SET) for row in rows]
    ticks: list[str] | None = None
    if all(map(_is_number, values)):
        x = np.array(values, np.float64)
    else:
        keys = list(dict.fromkeys(map(_key, values)))
        x = np.array([keys.index(_key(value)) for value in values], np.float64)
        ticks = [text_of(next(value for value in values if _key(value) == key)) for key in keys]
    groups: dict[tuple, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(tuple(_key(params[row].get(name)) for name in others), []).append(at)
    connected = len(groups) <= MOST_LINES and all(
        len(group) > 1 or len(rows) == 1 for group in groups.values()
    )
    if not connected:
        groups = {(): list(range(len(rows)))}
    lines = []
    for group in groups.values():
        name = describe(params[rows[group[0]]], others) if connected else None
        order = np.array(sorted(group, key=lambda i: x[i]))
        lines.append(ScoreLine(name, x[order], mean[rows[order]], std[rows[order]], rows[order]))
    best = int(rows[mean[rows].argmax()])
    return SearchScores(short_name(param), lines, ticks, connected, best, False)
