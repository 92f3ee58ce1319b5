"""State needed to resume a fit after an epoch with the same bits, apart from its data and parameters.

Vectors are row-major, as in the plan; only the evaluations of L-BFGS are at points of the engine's
``Objective``, and a checkpoint names its engine.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import scipy.sparse

from fastbp.engines.dataset import Dataset
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.values import python_number
from fastbp.persistence.random_states import new_random_state, same_state
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState


@dataclass
class TrainingState:
    """State of mini-batch training after an epoch.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,)
        Parameters that the next step changes.
    state : SolverState
        Solver state, with moments of shape (n_moments, n_parameters).
    loss_curve : ndarray of shape (n_epochs,)
    best, n_stale, converged
        State of the stopping rule.
    scores : ndarray of shape (n_epochs,) or None
        Scores of the validation rows under early stopping; then `best_score` is set, too, and
        `best_parameters` once there are any.
    result : ndarray of shape (n_parameters,)
        The weights of the model, had the fit stopped here.
    """

    parameters: np.ndarray
    state: SolverState
    loss_curve: np.ndarray
    best: float
    n_stale: int
    converged: bool
    scores: np.ndarray | None
    best_score: float | None
    best_parameters: np.ndarray | None
    result: np.ndarray

    @property
    def n_epochs(self) -> int:
        return len(self.loss_curve)


@dataclass
class LbfgsHistory:
    """State of L-BFGS after an iteration: all evaluations so far.

    SciPy does not expose its own state, so a fit resumes by replaying the same path. Known evaluations cost
    nothing; if the path differs, new ones are computed.

    Attributes
    ----------
    points : ndarray of uint8 of shape (n, 16)
        Digests of the vectors at which the loss was evaluated.
    losses : ndarray of shape (n,)
    gradients : ndarray of shape (n, number of weights)
    n_epochs : int
        Number of completed iterations.
    result : ndarray of shape (n_parameters,)
        The weights of the model, had the fit stopped here.
    """

    points: np.ndarray
    losses: np.ndarray
    gradients: np.ndarray
    n_epochs: int
    result: np.ndarray


@dataclass
class FitOrigin:
    """Start of a fit.

    Attributes
    ----------
    settings : dict
        Settings that must be equal to resume it: plain values that JSON can hold.
    random_state : dict
        Random state before anything was drawn from it.
    start : str
        Digest of the initial weights.
    earlier : dict
        Fitted attributes of the earlier fits that it resumed.
    seed : int or None
        Seed of shuffling and noise.
    """

    settings: dict[str, Any]
    random_state: dict[str, Any]
    start: str
    earlier: dict[str, Any]
    seed: int | None = None


@dataclass
class SavedFit:
    """State of a fit after an epoch, and the name of the file that it was read from."""

    begin: FitOrigin
    position: TrainingState | LbfgsHistory
    origin: str = ""  # for messages


class CheckpointCallback(ABC):
    """Callback that saves the state needed to resume a fit."""

    @abstractmethod
    def find(self, estimator, settings: dict[str, Any], network: NetworkPlan) -> SavedFit | None:
        """Return the saved fit with these settings; None or ValueError if there is none to resume."""

    @abstractmethod
    def keep_last(self, estimator, epoch) -> None:
        """Save the last epoch of a fit."""


OTHER_START = (
    "The checkpoint{} is of a fit that began with other weights. Begin with the same (coefs_init, "
    "intercepts_init, or the model that a warm start goes on from), or delete the checkpoint."
)
OTHER_ROWS = (
    "The checkpoint{} is of a fit with or without early stopping, other than this one, or damaged. Delete it "
    "to begin anew, or choose another path."
)
# Fitted attributes that accumulate over resumed fits.
ACCUMULATED = ("t_", "best_loss_", "loss_curve_", "validation_scores_", "validation_loss_curve_")


def misfit(saved: SavedFit, settings: dict[str, Any], network: NetworkPlan) -> str | None:
    """Return why a saved fit cannot belong to these settings; None if it can."""
    position, n_parameters = saved.position, network.n_parameters
    if position.result.shape != (n_parameters,):
        return f"it holds {len(position.result)} weights for a network of {n_parameters}"
    if position.result.dtype != network.dtype:
        return f"it holds weights of {position.result.dtype} for a network of {network.dtype}"
    solver = settings["solver"]
    if isinstance(position, LbfgsHistory):
        n_weights = int(network.mask().sum())
        if solver != "lbfgs":
            return f"it holds evaluations of lbfgs for solver={solver!r}"
        if position.gradients.shape[1] != n_weights:
            return f"it holds gradients of {position.gradients.shape[1]} weights for {n_weights}"
        return None
    rules = ("sgd", "momentum", "nesterov") if solver == "sgd" else (solver,)
    if position.state.solver not in rules or solver == "lbfgs":
        return f"it holds moments of {position.state.solver!r} for solver={solver!r}"
    n_moments = SOLVERS[position.state.solver].n_states + (settings["average"] is not None)
    if len(position.state.moments) != n_moments:
        return f"it holds {len(position.state.moments)} moments of each weight, not {n_moments}"
    if saved.begin.seed is None:
        return "it holds no seed"
    return None


def fit_settings(
    parameters: Mapping[str, Any], estimator: str, rows: Dataset, held_out: Dataset | None, engine: str
) -> dict[str, Any]:
    """Return the settings that must be equal to resume a fit, as plain values.

    Parameters
    ----------
    parameters : mapping
        Parameters of the estimator that the course of the fit depends on.
    estimator : str
        Name of the estimator's class.
    rows, held_out : Dataset
        Rows of the user; `held_out` are validation rows given to `fit`.
    engine : str
        Device of the engine.
    """
    settings = {name: plain(value) for name, value in parameters.items()}
    settings["estimator"], settings["engine"] = estimator, engine
    settings["shape of X"] = list(rows.X.shape)
    settings["dtype"] = str(rows.X.dtype)  # the actual one, also if the parameter is "auto"
    settings["digest of the data"] = digest(*_arrays(rows), *_arrays(held_out)).hex()
    return settings


def _arrays(rows: Dataset | None) -> list[np.ndarray]:
    """Arrays of some rows, except those on a GPU."""
    if rows is None:
        return []
    X: Any = rows.X
    values = [X.data, X.indices, X.indptr] if scipy.sparse.issparse(X) else [X]
    return [one for one in [*values, rows.targets, rows.sample_weight] if isinstance(one, np.ndarray)]


def begin_fit(
    settings: dict[str, Any],
    network: NetworkPlan,
    random_state: np.random.RandomState,
    draw: Callable[[np.random.RandomState], np.ndarray],
    earlier: dict[str, Any],
    saved: SavedFit | None,
    resumes: bool,
) -> tuple[np.ndarray, np.random.RandomState, FitOrigin, SavedFit | None]:
    """Begin a fit that callbacks save, from the start of `saved` if that is this fit.

    Parameters
    ----------
    draw : callable
        Function that draws the initial weights from a random state.
    earlier : dict
        Fitted attributes that the fit extends.
    resumes : bool
        Whether it resumes from the weights of an earlier fit.

    Returns
    -------
    parameters, random_state, begin, saved
        The last is None if the fit starts afresh.
    """
    at_first = random_state.get_state(legacy=False)
    parameters = draw(random_state)
    begin = FitOrigin(settings, at_first, digest(parameters).hex(), earlier)
    if saved is None:
        return parameters, random_state, begin, None
    if resumes and saved.begin.start != begin.start:
        if np.array_equal(saved.position.result, parameters):
            return parameters, random_state, begin, None  # that was the fit before this one
        raise ValueError(OTHER_START.format(saved.origin))
    if not same_state(saved.begin.random_state, at_first):
        random_state = new_random_state(saved.begin.random_state)
        parameters = draw(random_state)
    # The weights that a warm start resumes from are known to that model only.
    comparable = not (resumes or saved.begin.earlier)
    if comparable and digest(parameters).hex() != saved.begin.start:
        raise ValueError(OTHER_START.format(saved.origin))
    return parameters, random_state, saved.begin, saved


def digest(*arrays: np.ndarray) -> bytes:
    """Return a 16-byte digest of the values of some arrays."""
    hashed = hashlib.blake2b(digest_size=16)
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).data.cast("B"))
    return hashed.digest()


def plain(value: Any) -> Any:
    """Convert a parameter's value for JSON; values that JSON cannot hold become names."""
    value = python_number(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Number | np.generic | bytes):
        return f"{type(value).__qualname__} {value!r}"
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return getattr(value, "__qualname__", type(value).__qualname__)


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describe the differences between two dictionaries of plain values."""
    names = [*before, *(name for name in now if name not in before)]
    return [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in names
        if not same_state(before.get(name), now.get(name))
    ]


def digest_of_text(text: str) -> str:
    """Return the digest of a text, in hexadecimal."""
    return digest(np.frombuffer(text.encode(), np.uint8)).hex()
