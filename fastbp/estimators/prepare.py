"""Preparation of a fit: the data are checked and encoded, the network is planned, its weights are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from fastbp.engines.dataset import Dataset
from fastbp.engines.select import get_engine
from fastbp.estimators import initial_weights, precision, seeds
from fastbp.estimators.batch_size import check_for_norm, size_for_norm
from fastbp.estimators.curves import own_lists
from fastbp.estimators.data_kinds import real_numbers
from fastbp.estimators.input_checks import canonical, checked_weights
from fastbp.estimators.options import Options
from fastbp.estimators.output_bias import with_data_bias
from fastbp.estimators.scaling import (
    check_first_block,
    completed_robust_scales,
    n_rows_that_count,
    robust_scales,
)
from fastbp.estimators.shared_checks import SharedChecks, check_rows
from fastbp.estimators.targets import Targets
from fastbp.estimators.undefined_score import is_defined, refuse_undefined
from fastbp.estimators.validation_rows import NO_ROWS, ValidationArguments
from fastbp.estimators.validation_scale import warn_of_another_scale
from fastbp.functions.loss_entry import Loss
from fastbp.functions.solvers import SOLVERS, STOCHASTIC
from fastbp.plan.network import Kind, NetworkPlan
from fastbp.plan.network_size import refuse_too_large
from fastbp.plan.planner import hidden_activations, pieces_of
from fastbp.plan.training import TrainingPlan, rule_of
from fastbp.training.call_stack import warn
from fastbp.training.callback_events import FitTasks
from fastbp.training.checkpoint_state import ACCUMULATED, FitOrigin, SavedFit, begin_fit, fit_settings
from fastbp.training.validation_split import split

FEWEST_ROWS_TO_SPLIT = 20  # with fewer rows, a preset trains on all of them


class FitArguments(NamedTuple):
    """The arguments of `fit` or `partial_fit`."""

    X: Any
    y: Any
    sample_weight: Any = None
    coefs_init: Any = None
    intercepts_init: Any = None
    validation: ValidationArguments = NO_ROWS
    incremental: bool = False
    classes: Any = None
    checks: SharedChecks | None = None


@dataclass
class PreparedFit:
    """Input of a fit, checked and encoded.

    Attributes
    ----------
    options : Options
    engine : module
        Engine of the device that trains.
    targets : Targets
    network : NetworkPlan
    rows : Dataset
        Training rows.
    held_out : Dataset or None
        Validation rows for early stopping.
    parameters : ndarray
        Initial flat vector.
    random_state : numpy.random.RandomState
        The seed of the shuffling is drawn from it next.
    resumes : bool
        Whether it resumes from the weights of an earlier fit.
    keeps_earlier : bool
        Whether attributes of an earlier fit are kept: in `partial_fit` and warm starts.
    new_weights : bool
        Whether the user has given initial weights.
    incremental : bool
        Whether it is one epoch of `partial_fit`.
    attributes : dict
        Fitted attributes that are known before training.
    source : tuple or None
        The user's X and y that contain the rows `held_out`, for scorers.
    watches_loss_instead : bool
        Whether early stopping watches the loss because no epoch could improve the score.
    origin : FitOrigin or None
        Start of the fit, for callbacks that save it.
    saved : SavedFit or None
        Saved state to resume from.
    """

    options: Options
    engine: ModuleType
    targets: Targets
    network: NetworkPlan
    rows: Dataset
    held_out: Dataset | None
    parameters: np.ndarray
    random_state: np.random.RandomState
    resumes: bool
    keeps_earlier: bool
    new_weights: bool
    incremental: bool
    attributes: dict[str, Any]
    source: tuple[Any, Any] | None = None
    watches_loss_instead: bool = False
    origin: FitOrigin | None = None
    saved: SavedFit | None = None


def prepare(
    estimator: Any, options: Options, given: FitArguments, tasks: FitTasks | None = None
) -> PreparedFit:
    """Check and encode the data, plan the network, draw its weights, split off validation rows.

    The estimator is not changed.

    Raises
    ------
    ValueError, TypeError, MemoryError
        For input that cannot be trained on.
    """
    prepared, start = _encode(estimator, options, given)
    if tasks is not None and tasks.keeps:
        _begin_or_resume(prepared, estimator, tasks, start)
    else:
        prepared.parameters = start(prepared.random_state)
    _set_rows_aside(prepared)
    options, network, targets = prepared.options, prepared.network, prepared.targets
    if prepared.held_out is not None:
        refuse_undefined(options, prepared.held_out, given.validation.X_val is not None, estimator)
    n_rows = len(prepared.rows)
    if options.normalises_batches:
        check_for_norm(options.batch_rows(n_rows), n_rows, prepared.rows.labels()[1])
    if not options.is_stochastic:
        _refuse_without_batches(options, network, targets.loss)
    if options.out_bias is not None and not prepared.resumes and given.intercepts_init is None:
        prepared.parameters = with_data_bias(
            network, prepared.parameters, prepared.rows, targets.loss, targets.out_activation
        )
    return prepared


def _encode(estimator: Any, options: Options, given: FitArguments) -> tuple[PreparedFit, "_Start"]:
    """Check and encode the data and plan the network; also return what draws its weights."""
    incremental = given.incremental
    known = estimator._known_targets(options, given)
    if incremental and options.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if options.out_bias is not None and not options.fit_intercept:
        raise ValueError("out_bias='data' sets intercepts, so it needs fit_intercept=True.")
    validates_on_given = given.validation.check(options.early_stopping, options.is_stochastic)
    hidden = options.hidden
    keeps_earlier = incremental or options.warm_start
    resumes = keeps_earlier and getattr(estimator, "coefs_", None) is not None
    dtype = precision.of_fit(options, estimator._fitted_dtype() if resumes else None)
    # Weights may have been assigned to an estimator that was never fitted.
    reset = not (resumes and hasattr(estimator, "n_features_in_"))
    check = given.checks.rows if given.checks is not None and reset else check_rows
    checked = check(estimator, given.X, given.y, reset, dtype)
    X, y = checked.X, checked.y
    engine = get_engine(options.device, X)  # refuses unsupported input before anything is computed
    is_new = not (resumes or incremental)
    targets = estimator._learn_targets(
        options, y, checked.of_y if is_new else known, resumes=resumes, incremental=incremental
    )
    if is_new:
        checked.of_y = targets.of_y
    sample_weight = targets.weights(given.sample_weight, X, y)
    targets = estimator._learn_scales(targets, y, sample_weight, resumes=resumes, incremental=incremental)
    _refuse_too_large(options, X, targets.n_outputs, engine.DEVICE)
    network = initial_weights.cached_plan(
        n_inputs=X.shape[1],
        hidden_layer_sizes=hidden,
        n_outputs=targets.n_outputs,
        **options.of_network(targets.out_activation),
        fit_intercept=options.fit_intercept,
        dtype=X.dtype,
    )
    rows = checked.encode(targets, network, sample_weight)
    features = ("n_features_in_", "feature_names_in_") if reset else ()
    own = vars(checked.checker)
    attributes = {name: own[name] for name in features if name in own}
    validation = given.validation
    held_out = _given_rows(checked.checker, validation, targets, network) if validates_on_given else None
    if held_out is not None:
        warn_of_another_scale(rows, held_out)
    source = None
    if options.takes_scorer:
        source = (validation.X_val, validation.y_val) if validates_on_given else (given.X, given.y)
    prepared = PreparedFit(
        options=options,
        engine=engine,
        targets=targets,
        network=network,
        rows=rows,
        held_out=held_out,
        parameters=np.empty(0, network.dtype),
        random_state=seeds.random_state(options.random_state),
        resumes=resumes,
        keeps_earlier=keeps_earlier,
        new_weights=given.coefs_init is not None or given.intercepts_init is not None,
        incremental=incremental,
        attributes=attributes | targets.attributes,
        source=source,
    )
    return prepared, _Start(estimator, options, given, network, rows, resumes)


def plan_training(options: Options, n_rows: int, seed: int, incremental: bool = False) -> TrainingPlan:
    """Return the training plan for `n_rows` rows."""
    batch_size, of_preset = options.batch_rows(n_rows), "batch_size" in options.of_preset
    if options.batch_size != "auto" and options.batch_size > n_rows and not of_preset:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"batch_size={options.batch_size} is taken as the {n_rows} rows that there are to train on."
        )
    if options.normalises_batches:
        batch_size = size_for_norm(batch_size, n_rows)
    return options.training_plan(
        batch_size=batch_size,
        seed=seed,
        max_epochs=1 if incremental else options.max_iter,
        planned_epochs=options.max_iter,
        monitor="external" if options.early_stopping else "loss",
    )


def _begin_or_resume(prepared: PreparedFit, estimator: Any, tasks: FitTasks, start: "_Start") -> None:
    """Begin a fit that callbacks save, or resume it from a saved state."""
    kind = type(estimator).__name__
    parameters = prepared.options.that_matter()
    settings = fit_settings(parameters, kind, prepared.rows, prepared.held_out, prepared.engine.DEVICE)
    saved = tasks.find(settings, prepared.network)
    attributes = vars(estimator) if prepared.keeps_earlier else {}
    before = own_lists({name: attributes[name] for name in ACCUMULATED if name in attributes})
    prepared.parameters, prepared.random_state, prepared.origin, prepared.saved = begin_fit(
        settings, prepared.network, prepared.random_state, start, before, saved, prepared.resumes
    )
    if prepared.saved is not None:
        prepared.attributes |= own_lists(prepared.origin.earlier)


def _set_rows_aside(prepared: PreparedFit) -> None:
    """Split off the validation rows of early stopping if the user has given none."""
    options, rows, held_out = prepared.options, prepared.rows, prepared.held_out
    of_preset = "early_stopping" in options.of_preset
    if of_preset and len(rows) < FEWEST_ROWS_TO_SPLIT:
        options = replace(options, early_stopping=held_out is not None)
    if options.early_stopping and options.is_stochastic and held_out is None:
        stratified = prepared.targets.stratified
        if stratified and of_preset:
            stratified = bool(np.unique(rows.targets, return_counts=True)[1].min() > 1)
        rows, held_out = split(rows, options.validation_fraction, prepared.random_state, stratified)
        prepared.rows, prepared.held_out = rows, held_out
        # The user has not chosen to split, or any other split would be no better.
        free = of_preset or (rows.targets == held_out.targets[0]).all()
        if options.scoring is None and free and not is_defined(options, held_out):
            options = replace(options, scoring="loss")
            prepared.watches_loss_instead = True
    prepared.options = options


def _refuse_without_batches(options: Options, network: NetworkPlan, loss: Loss) -> None:
    """Raise ValueError for options that solver='lbfgs' does not support."""
    others = list(STOCHASTIC)
    if any(op.kind == Kind.NOISE for op in network.ops):
        raise ValueError(
            "dropout, input_dropout and input_noise make the loss random, which solver='lbfgs' cannot "
            f"minimise; choose one of {others}."
        )
    if options.norm == "batch":
        raise ValueError(
            "norm='batch' takes statistics of mini-batches, which solver='lbfgs' does not have; choose "
            f"one of {others}, or norm='layer'."
        )
    if not loss.follows_its_value(loss.constants(options.loss_params or {})):
        raise ValueError(
            f"loss_params: {loss.gradient_factor} other than 0 gives a gradient that is not that of "
            f"loss={options.loss!r}, which solver='lbfgs' needs; choose one of {others}, or set it to 0."
        )
    if options.l1 > 0:
        raise ValueError(
            f"l1={options.l1!r} has no derivative at 0, which solver='lbfgs' needs; choose another of "
            f"{others}, or l2."
        )


def _refuse_too_large(options: Options, X: Any, n_outputs: int, device: str) -> None:
    """Raise MemoryError or ValueError if a network and its training do not fit in memory."""
    hidden = options.hidden
    n_moments, n_rows = None, X.shape[0]
    if options.early_stopping:
        n_rows = int(n_rows * (1 - options.validation_fraction))
    if options.is_stochastic:
        rule = rule_of(options.solver, options.momentum, options.nesterovs_momentum)
        n_moments = SOLVERS[rule].n_states + (options.average is not None)
        n_rows = options.batch_rows(n_rows)
    refuse_too_large(
        X.shape[1],
        hidden,
        n_outputs,
        pieces=_pieces(options.activations, len(hidden), options.maxout_pieces),
        fit_intercept=options.fit_intercept,
        n_moments=n_moments,
        # A GPU processes fewer rows at a time if it has to.
        n_rows=n_rows if device == "cpu" else 0,
        dtype=X.dtype,
    )


@lru_cache
def _pieces(activations: str | Sequence[str], n_hidden: int, maxout_pieces: int) -> list[int]:
    """Linear outputs for each unit of each hidden layer."""
    return [pieces_of(name, maxout_pieces) for name in hidden_activations(activations, n_hidden)]


def _given_rows(checker: Any, given: ValidationArguments, targets: Targets, network: NetworkPlan) -> Dataset:
    """Return the user's validation rows, ready for the engine, or raise ValueError."""
    try:
        real_numbers(given.X_val, "X_val")
        X, y = checker._check_Xy(
            given.X_val, given.y_val, reset=False, accept_sparse="csr", dtype=network.dtype, order="C"
        )
        X = canonical(X)
        get_engine(targets.options.device, X)
        targets.check(y)
        weight = given.sample_weight_val
        if weight is not None:
            weight = checked_weights(weight, X, X.dtype, "sample_weight_val")
        return Dataset(X, targets.encode(y, network), weight)
    except MemoryError:
        raise
    except Exception as error:  # an overflow, or an error raised by a user's class
        is_of_type = isinstance(error, TypeError) and not isinstance(error, ValueError)
        kind = TypeError if is_of_type else ValueError
        raise kind(f"In the validation rows X_val, y_val, sample_weight_val: {error}") from error


class _Start:
    """Function that draws the initial flat parameter vector from a random state."""

    def __init__(
        self,
        estimator: Any,
        options: Options,
        given: FitArguments,
        network: NetworkPlan,
        rows: Dataset,
        resumes: bool,
    ) -> None:
        self.estimator, self.options, self.given = estimator, options, given
        self.network, self.rows, self.resumes = network, rows, resumes

    def __call__(self, random_state: np.random.RandomState) -> np.ndarray:
        options, network = self.options, self.network
        # Drawn even if not used: the random state then advances equally, and a warm start with early stopping
        # splits off the same rows as the previous fit.
        coefs, intercepts = initial_weights.draw(
            network, options.init, options.out_init, options.activations, random_state
        )
        if self.resumes:
            coefs, intercepts = self._earlier()
        features = self._features()
        if self.given.coefs_init is not None:
            coefs = initial_weights.given(network, self.given.coefs_init, "coefs_init")
        if self.given.intercepts_init is not None:
            intercepts = initial_weights.given(network, self.given.intercepts_init, "intercepts_init")
            layers = zip(network.dense, intercepts, strict=True)
            if any(intercept.any() and not op.bias for op, intercept in layers):
                raise ValueError(
                    "intercepts_init must be zero where there are no intercepts: with fit_intercept=False, "
                    "and in hidden layers with norm='batch'."
                )
        return network.pack(coefs, intercepts, features)

    def _earlier(self) -> initial_weights.Layers:
        """Weights of the fit that this one resumes."""
        shapes = [np.shape(coef) for coef in self.estimator.coefs_]
        if shapes != self.network.layer_shapes:
            raise ValueError(
                f"hidden_layer_sizes={self.options.hidden_layer_sizes!r}, "
                f"activation={self.options.activation!r} and the data ask for layers of the shapes "
                f"{self.network.layer_shapes}, but training goes on from coefs_ of the shapes {shapes}."
            )
        layers: initial_weights.Layers = self.estimator._checked_weights()
        return layers

    def _features(self) -> list[np.ndarray]:
        """Parameters per feature; those of robust scaling come from the data."""
        network, rows, X = self.network, self.rows, self.rows.X
        known = self.resumes and hasattr(self.estimator, "feature_params_")
        features = network.start
        if known:
            features = initial_weights.check_features(network, self.estimator.feature_params_)
        if self.options.input_scaling != "robust":
            return features
        robust = f"input_scaling='robust'{self.options.set_by('input_scaling')}"
        if scipy.sparse.issparse(X):
            raise ValueError(f"{robust} makes zeros other numbers: it needs a dense X, got a sparse one.")
        if not isinstance(X, np.ndarray):
            X = X.to_host()  # from the GPU
        if known:
            features[0] = completed_robust_scales(features[0], X, rows.sample_weight)
        else:
            features[0] = robust_scales(X, rows.sample_weight)
            if self.given.incremental:
                n_rows = n_rows_that_count(rows.targets, rows.sample_weight)
                check_first_block(features[0][1] != 0, n_rows, robust, "column of X")
        return features
