"""Checks of a checkpoint file's content before it is used."""

from typing import Any

import numpy as np

from fastbp.persistence.random_states import checked_random_state
from fastbp.plan.training import SolverState
from fastbp.training.checkpoint_state import (
    ACCUMULATED,
    FitOrigin,
    LbfgsHistory,
    SavedFit,
    TrainingState,
)

LARGEST = 2**63 - 1
DIGEST_BYTES = 16


def checked(begin: Any, position: Any) -> SavedFit:
    """Return the fit that a file describes; ValueError if the content is invalid."""
    saved = SavedFit(_begin(begin), _position(position))
    if isinstance(saved.position, TrainingState) and not saved.begin.earlier:
        counted = saved.position.state.n_epochs
        _need(counted == saved.position.n_epochs, "loss_curve is not as long as the count of epochs says")
    return saved


def _begin(given: Any) -> FitOrigin:
    _need_names(given, FitOrigin, "begin")
    _need(isinstance(given["settings"], dict), "settings are no dictionary")
    _need(isinstance(given["start"], str), "start is no text")
    _need(given["seed"] is None or _is_count(given["seed"]), "seed is no count")
    checked_random_state(given["random_state"])
    _check_earlier(given["earlier"])
    return FitOrigin(**given)


def _position(given: Any) -> TrainingState | LbfgsHistory:
    is_lbfgs = isinstance(given, dict) and "points" in given
    return _evaluations(given) if is_lbfgs else _epoch(given)


def _epoch(given: Any) -> TrainingState:
    _need_names(given, TrainingState, "position")
    state = given["state"]
    _need_names(state, SolverState, "state")
    n_parameters, dtype = _check_vector(given["parameters"], "parameters")
    _check_vector(given["result"], "result", n_parameters, dtype)
    _need(isinstance(state["solver"], str), "solver is no text")
    moments = state["moments"]
    _check_array(moments, "moments", (None, n_parameters), (dtype,))
    # A moment may have overflowed while the weights have not.
    _need(not np.isnan(moments).any(), "moments are not all numbers")
    for name in ("n_steps", "n_samples_seen", "n_epochs"):
        _need(_is_count(state[name]), f"{name} is no count")
    rate = state["learning_rate"]
    _need(_is_float(rate) and 0 <= rate < np.inf, "learning_rate is no finite number from 0")
    n_epochs, _ = _check_vector(given["loss_curve"], "loss_curve", dtype=np.dtype(float))
    _need(0 < n_epochs <= state["n_epochs"], "loss_curve is not as long as the count of epochs says")
    _need(_is_float(given["best"]) and not np.isnan(given["best"]), "best is no number")
    _need(_is_count(given["n_stale"]), "n_stale is no count")
    _need(isinstance(given["converged"], bool), "converged is neither true nor false")
    if given["scores"] is None:
        others = given["best_score"] is None and given["best_parameters"] is None
        _need(others, "best_score and best_parameters go with scores")
    else:
        _check_vector(given["scores"], "scores", n_epochs, np.dtype(float))
        best = given["best_score"]
        _need(_is_float(best) and np.isfinite(best), "best_score is no finite number")
        _check_vector(given["best_parameters"], "best_parameters", n_parameters, dtype)
    return TrainingState(**{**given, "state": SolverState(**state)})


def _evaluations(given: Any) -> LbfgsHistory:
    _need_names(given, LbfgsHistory, "position")
    _, dtype = _check_vector(given["result"], "result")
    n_points, _ = _check_vector(given["losses"], "losses", dtype=np.dtype(float))
    _check_array(given["points"], "points", (n_points, DIGEST_BYTES), (np.dtype(np.uint8),))
    _check_array(given["gradients"], "gradients", (n_points, None), (dtype,))
    _need(bool(np.isfinite(given["gradients"]).all()), "gradients are not all finite")
    _need(_is_count(given["n_epochs"]) and given["n_epochs"] > 0, "n_epochs is no count from 1")
    return LbfgsHistory(**given)


def _check_earlier(given: Any) -> None:
    known = isinstance(given, dict) and given.keys() <= set(ACCUMULATED)
    _need(known, f"earlier holds other names than {list(ACCUMULATED)}")
    for name, value in given.items():
        if name == "t_":
            _need(_is_count(value), "t_ is no count")
        elif name.startswith("best_"):
            _need(value is None or _is_float(value), f"{name} is no number")
        else:
            is_curve = isinstance(value, list) and all(_is_float(one) for one in value)
            _need(is_curve or (value is None and name != "loss_curve_"), f"{name} is no list of numbers")


def _check_vector(
    given: Any, name: str, length: int | None = None, dtype: np.dtype | None = None
) -> tuple[int, np.dtype]:
    """Check a vector of finite floats; return its length and dtype."""
    dtypes = (np.dtype(np.float32), np.dtype(np.float64)) if dtype is None else (dtype,)
    _check_array(given, name, (length,), dtypes)
    _need(bool(np.isfinite(given).all()), f"{name} are not all finite")
    return len(given), given.dtype


def _check_array(given: Any, name: str, shape: tuple[int | None, ...], dtypes: tuple[np.dtype, ...]) -> None:
    _need(isinstance(given, np.ndarray), f"{name} is no array")
    _need(given.dtype in dtypes, f"{name} has the dtype {given.dtype}")
    fits = given.ndim == len(shape) and all(
        wanted is None or own == wanted for own, wanted in zip(given.shape, shape, strict=True)
    )
    _need(fits, f"{name} has the shape {given.shape}")


def _need_names(given: Any, of: type, name: str) -> None:
    wanted = of.__dataclass_fields__.keys()  # type: ignore[attr-defined]
    _need(isinstance(given, dict) and given.keys() == wanted, f"{name} does not hold {list(wanted)}")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_float(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST)


def _need(condition: bool, fault: str) -> None:
    if not condition:
        raise ValueError(fault)
