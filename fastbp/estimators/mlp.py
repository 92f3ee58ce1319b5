"""What the classifier and the regressor share: the adapter between scikit-learn and the training loop.

A fit works on a draft, a second object with the same parameters. Only when everything has succeeded does the
estimator take over the draft's attributes, in one assignment: a failed call leaves the old model whole.
"""

import dataclasses
from abc import abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions

from fastbp.engines.select import get_engine
from fastbp.estimators import initial_weights, precision
from fastbp.estimators.batch_size import check_for_norm, size_for_norm
from fastbp.estimators.callback_pickles import refuse_unpicklable
from fastbp.estimators.curves import Added, extend, own_lists, restored_on_failure
from fastbp.estimators.data_kinds import real_numbers
from fastbp.estimators.fitted_weights import StoredWeights
from fastbp.estimators.input_checks import canonical, checked_weights
from fastbp.estimators.inspection import FittedNetwork
from fastbp.estimators.output_bias import with_data_bias
from fastbp.estimators.parameter_checks import hidden_sizes
from fastbp.estimators.scaling import (
    check_first_block,
    completed_robust_scales,
    n_rows_that_count,
    robust_scales,
)
from fastbp.estimators.validation_scale import warn_of_another_scale
from fastbp.estimators.validation_score import is_defined, refuse_undefined, takes_scorer, validation_score
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.functions.initialisers import INITIALISERS
from fastbp.functions.losses import find_loss, loss_names
from fastbp.functions.schedules import RATE_SCHEDULES, SCHEDULES
from fastbp.functions.solvers import SOLVERS, STOCHASTIC
from fastbp.plan.network import Kind, NetworkPlan
from fastbp.plan.network_size import refuse_too_large
from fastbp.plan.planner import hidden_activations, pieces_of
from fastbp.plan.training import AVERAGES, SolverState, TrainingPlan, rule_of, training_plan
from fastbp.presets import NAMES as PRESETS
from fastbp.training import dataset
from fastbp.training.call_stack import warn
from fastbp.training.callback_events import Epoch, FitTasks
from fastbp.training.checkpoint_state import (
    ADDED_TO,
    OTHER_ROWS,
    FitOrigin,
    LbfgsHistory,
    SavedFit,
    TrainingState,
    begin_fit,
    fit_settings,
)
from fastbp.training.dataset import NO_ROWS, Dataset, ValidationArguments
from fastbp.training.early_stopping import Validation
from fastbp.training.float_errors import silent_fit
from fastbp.training.lbfgs import fit_lbfgs
from fastbp.training.minibatch import adapt_rate, fit_stochastic
from fastbp.training.progress import make_progress
from fastbp.training.result import Result

AUTO_BATCH_SIZE = 200
FEWEST_ROWS_TO_SPLIT = 20  # a preset trains on all of fewer rows

# What a fit sets; a fit that starts afresh starts without them.
FITTED = (
    "n_features_in_",
    "feature_names_in_",
    "classes_",
    "coefs_",
    "intercepts_",
    "feature_params_",
    "target_mean_",
    "target_scale_",
    "target_range_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
    "t_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
    "_indicator",
    "_memory",
    "_stored",
)


@dataclass
class WarmStartState:
    """What `partial_fit` and warm starts need to go on where the last call ended.

    Attributes
    ----------
    state : SolverState or None
    seed : int
        Of the shuffling, whose epochs are counted by the state.
    incremental : bool
        Whether the last call was `partial_fit`.
    best, n_stale
        Of the adaptive learning rate across calls of `partial_fit`.
    """

    state: SolverState | None
    seed: int
    incremental: bool = False
    best: float = float("inf")
    n_stale: int = 0


@dataclass
class Prepared:
    """What a fit works on, checked and encoded.

    Attributes
    ----------
    network : NetworkPlan
    rows : Rows
        To train on.
    held_out : Rows or None
        For early stopping to watch.
    parameters : ndarray
        Flat vector to start from.
    random_state : numpy.random.RandomState
        From which the seed of the shuffling is drawn next.
    goes_on : bool
        Whether it goes on from an earlier fit.
    begin : FitOrigin or None
        For callbacks that keep the fit.
    saved : SavedFit or None
        What one of them has kept of it.
    source : tuple or None
        X and y of the user's that `held_out` are rows of, where a scorer shall see them.
    """

    network: NetworkPlan
    rows: Dataset
    held_out: Dataset | None
    parameters: np.ndarray
    random_state: np.random.RandomState
    goes_on: bool
    begin: FitOrigin | None = None
    saved: SavedFit | None = None
    source: tuple[Any, Any] | None = None


def draw_seed(random_state: np.random.RandomState) -> int:
    """The seed of shuffling and noise."""
    return int(random_state.randint(0, 2**63 - 1, dtype=np.int64))


def _remembered(
    training: TrainingPlan, memory: WarmStartState, result: Result, incremental: bool
) -> WarmStartState:
    """What is remembered of a fit that went on from `memory`."""
    state, best, n_stale = result.state, float("inf"), 0
    if incremental and state is not None and result.n_epochs:
        state, best, n_stale = adapt_rate(training, state, result.loss, memory.best, memory.n_stale)
    return WarmStartState(state, memory.seed, incremental, best, n_stale)


def is_stochastic(estimator) -> bool:
    """Whether the solver works on mini-batches."""
    return estimator.solver in STOCHASTIC


def has_partial_fit(estimator) -> bool:
    """For `available_if`: true, or AttributeError with the reason. The call refuses unknown solvers."""
    if isinstance(estimator.solver, str) and estimator.solver == "lbfgs":
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


class BackPropagation(CallbackSupportMixin, FittedNetwork):
    """Base of BPClassifier and BPRegressor; not for direct use."""

    _memory: WarmStartState | None
    _epoch: Epoch | None = None  # the one that callbacks hear of

    _parameter_constraints: dict = {
        "preset": [StrOptions(set(PRESETS)), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [
            StrOptions({entry.name for entry in ACTIVATIONS if entry.hidden} | {*GROUP_ACTIVATIONS.names()}),
            list,
            tuple,
        ],
        "maxout_pieces": [Interval(Integral, 2, None, closed="left")],
        "out_activation": [StrOptions({"auto", *OUTPUT_ACTIVATIONS})],
        "loss": [StrOptions(set(loss_names()))],
        "loss_params": [dict, None],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
        "solver_params": [dict, None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "clip_value": [Interval(Real, 0, None, closed="neither"), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "input_noise": [Interval(Real, 0, None, closed="left")],
        "residual": ["boolean"],
        "norm": [StrOptions({"batch", "layer"}), None],
        "input_scaling": [StrOptions({"robust"}), None],
        "learn_input_scales": ["boolean"],
        "parametric_activation": ["boolean"],
        "rate_factors": [dict, None],
        "average": [StrOptions(set(AVERAGES)), None],
        "average_params": [dict, None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "schedule": [StrOptions({*RATE_SCHEDULES.names(), "plateau"}), None],
        "schedule_params": [dict, None],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "fit_intercept": ["boolean"],
        "init": [StrOptions(set(INITIALISERS.names()))],
        "out_init": [StrOptions({"auto", *INITIALISERS.names()})],
        "out_bias": [StrOptions({"data"}), None],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "scoring": [str, callable, None],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
        ],
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "dtype": [StrOptions(set(precision.NAMES))],
    }

    # --- What the two classes differ in

    @abstractmethod
    def _held_out_score(self, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
        """The score that early stopping watches."""

    @abstractmethod
    def _stratified(self) -> bool:
        """Whether early stopping keeps the shares of the classes in its split."""

    # --- Fitting

    def _fit(self, *arguments, **options) -> Self:
        """Fit; what fails, callbacks included, leaves this object as it was."""
        with restored_on_failure(self):
            if hasattr(self, "_skl_callbacks"):
                # on which callbacks and their context are kept while the fit lasts
                self.__dict__ = dict(self.__dict__)
            return self._fit_draft(*arguments, **options)

    # Not called partial_fit, for which scikit-learn skips the validation of parameters once it is fitted.
    @_fit_context(prefer_skip_nested_validation=True)
    @silent_fit
    def _fit_draft(
        self,
        X,
        y,
        sample_weight=None,
        *,
        incremental=False,
        coefs_init=None,
        intercepts_init=None,
        classes=None,
        given=NO_ROWS,
    ) -> Self:
        tasks = None
        if hasattr(self, "_skl_callbacks"):
            name, n_epochs = ("partial_fit", 1) if incremental else ("fit", int(self._resolved().max_iter))
            tasks = FitTasks(self, X, y, sample_weight, name, n_epochs)
        draft = self._resolved()._with_plain_numbers()._draft()  # with what the callbacks have set
        if incremental:
            draft.early_stopping = self.early_stopping  # a preset's is for whole fits
        if not (incremental or self.warm_start):
            for name in FITTED:
                draft.__dict__.pop(name, None)
        if incremental:
            draft._check_classes(classes)
        added = draft._train(X, y, sample_weight, incremental, coefs_init, intercepts_init, given, tasks)
        draft._take_own_parameters_back()
        extend(draft.__dict__, added)
        self.__dict__ = draft.__dict__
        if tasks is not None:
            tasks.end()
        return self

    def _check_classes(self, classes) -> None:
        """Look at the argument `classes` of a classifier's partial_fit."""

    def _train(
        self,
        X,
        y,
        sample_weight,
        incremental: bool,
        coefs_init,
        intercepts_init,
        given: ValidationArguments,
        tasks: FitTasks | None = None,
    ) -> Added:
        """Fit this object in place, but for the lists that grow with the epochs."""
        prepared = self._prepare(X, y, sample_weight, incremental, coefs_init, intercepts_init, given, tasks)
        network, rows = prepared.network, prepared.rows
        if coefs_init is not None or intercepts_init is not None or not hasattr(self, "_memory"):
            self._memory = None
        if is_stochastic(self):
            with ExitStack() as scoring:
                result = self._train_stochastic(prepared, scoring, incremental, tasks)
        else:
            self._refuse_without_batches(network)
            if tasks is not None:
                tasks.describe("iteration", lambda result: self._model(network, result), prepared.begin)
            position = None if prepared.saved is None else prepared.saved.position
            assert position is None or isinstance(position, LbfgsHistory)
            result = fit_lbfgs(
                get_engine(self.device, rows.X),
                network,
                rows,
                prepared.parameters,
                alpha=self.alpha,
                l2=self.l2,
                max_iter=self.max_iter,
                max_fun=self.max_fun,
                tol=self.tol,
                progress=make_progress(self.verbose, self.max_iter),
                n_jobs=self.n_jobs,
                tasks=tasks,
                resumed=position,
            )
            self._memory = None
        return self._take_over(network, result)

    def _refuse_without_batches(self, network: NetworkPlan) -> None:
        """ValueError for what solver='lbfgs' cannot minimise."""
        others = list(STOCHASTIC)
        if any(op.kind == Kind.NOISE for op in network.ops):
            raise ValueError(
                "dropout, input_dropout and input_noise make the loss random, which solver='lbfgs' cannot "
                f"minimise; choose one of {others}."
            )
        if self.norm == "batch":
            raise ValueError(
                "norm='batch' takes statistics of mini-batches, which solver='lbfgs' does not have; choose "
                f"one of {others}, or norm='layer'."
            )
        if self.l1 > 0:
            raise ValueError(
                f"l1={self.l1!r} has no derivative at 0, which solver='lbfgs' needs; choose another of "
                f"{others}, or l2."
            )

    def _prepare(
        self,
        X,
        y,
        sample_weight,
        incremental: bool = False,
        coefs_init=None,
        intercepts_init=None,
        given: ValidationArguments = NO_ROWS,
        tasks: FitTasks | None = None,
    ) -> Prepared:
        """Check and encode the data, plan the network, draw its weights, set rows aside."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.out_bias is not None and not self.fit_intercept:
            raise ValueError("out_bias='data' sets intercepts, so it needs fit_intercept=True.")
        validates_on_given = given.check(self.early_stopping, is_stochastic(self))
        hidden = hidden_sizes(self.hidden_layer_sizes)
        goes_on = getattr(self, "coefs_", None) is not None
        source = None
        if takes_scorer(self):
            source = (given.X_val, given.y_val) if validates_on_given else (X, y)
        dtype = precision.of_fit(self, self._fitted_dtype() if goes_on else None)
        # Weights may have been assigned to an estimator that was never fitted.
        reset = not (goes_on and hasattr(self, "n_features_in_"))
        X, y = self._check_Xy(X, y, reset=reset, accept_sparse="csr", dtype=dtype, order="C")
        X = canonical(X)
        get_engine(self.device, X)  # refuses what it lacks before anything is computed
        self._learn_targets(y, goes_on=goes_on, incremental=incremental)
        sample_weight = self._check_weights(sample_weight, X, y)
        self._learn_scales(y, sample_weight, goes_on, incremental)
        self._refuse_too_large(X, hidden)
        network = initial_weights.cached_plan(
            n_inputs=X.shape[1],
            hidden_layer_sizes=hidden,
            n_outputs=self.n_outputs_,
            **self._plan_options(),
            fit_intercept=self.fit_intercept,
            dtype=X.dtype,
        )
        rows = Dataset(X, self._encode(y, network), sample_weight)
        held_out = self._check_given(given, network) if validates_on_given else None
        if held_out is not None:
            warn_of_another_scale(rows, held_out)
        random_state = check_random_state(self.random_state)

        def draw(random_state: np.random.RandomState) -> np.ndarray:
            return self._start(network, rows, random_state, goes_on, incremental, coefs_init, intercepts_init)

        begin = saved = None
        if tasks is not None and tasks.keeps:
            settings = fit_settings(self, rows, held_out, get_engine(self.device, X).DEVICE)
            saved = tasks.find(settings, network)
            earlier = own_lists({name: self.__dict__[name] for name in ADDED_TO if name in self.__dict__})
            beginning = begin_fit(settings, network, random_state, draw, earlier, saved, goes_on)
            parameters, random_state, begin, saved = beginning
            if saved is not None:
                self.__dict__.update(own_lists(begin.earlier))
        else:
            parameters = draw(random_state)
        if self._is_of_preset("early_stopping") and len(rows) < FEWEST_ROWS_TO_SPLIT:
            self.early_stopping = held_out is not None
        if self.early_stopping and is_stochastic(self) and held_out is None:
            stratified = self._stratified()
            if stratified and self._is_of_preset("early_stopping"):
                stratified = np.unique(rows.targets, return_counts=True)[1].min() > 1
            rows, held_out = dataset.split(rows, self.validation_fraction, random_state, stratified)
            # Nobody has chosen these rows, or others would be no better.
            free = self._is_of_preset("early_stopping") or (rows.targets == held_out.targets[0]).all()
            if self.scoring is None and free and not is_defined(self, held_out):
                self._own_parameters, self.scoring = {**self._own_parameters, "scoring": None}, "loss"
        if held_out is not None:
            refuse_undefined(self, held_out, validates_on_given)
        if self._normalises_batches():
            check_for_norm(self._batch_size(len(rows)), len(rows), rows.labels()[1])
        if self.out_bias is not None and not goes_on and intercepts_init is None:
            head = find_loss(self.loss, self.out_activation_)
            parameters = with_data_bias(network, parameters, rows, head, self.out_activation_)
        return Prepared(network, rows, held_out, parameters, random_state, goes_on, begin, saved, source)

    def _refuse_too_large(self, X, hidden: tuple[int, ...]) -> None:
        """MemoryError or ValueError where memory does not hold a network and its training."""
        names, n_moments, n_rows = hidden_activations(self.activation, len(hidden)), None, X.shape[0]
        if self.early_stopping:
            n_rows = int(n_rows * (1 - self.validation_fraction))
        if is_stochastic(self):
            rule = rule_of(self.solver, self.momentum, self.nesterovs_momentum)
            n_moments = SOLVERS[rule].n_states + (self.average is not None)
            n_rows = min(n_rows, AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size)
        refuse_too_large(
            X.shape[1],
            hidden,
            self.n_outputs_,
            pieces=[pieces_of(name, self.maxout_pieces) for name in names],
            fit_intercept=self.fit_intercept,
            n_moments=n_moments,
            # A GPU takes fewer rows at a time where it has to.
            n_rows=n_rows if get_engine(self.device, X).DEVICE == "cpu" else 0,
            dtype=X.dtype,
        )

    def _start(
        self,
        network: NetworkPlan,
        rows: Dataset,
        random_state: np.random.RandomState,
        goes_on: bool,
        incremental: bool,
        coefs_init,
        intercepts_init,
    ) -> np.ndarray:
        """The flat parameter vector before training."""
        # Drawn even where they are not used: the random state then stands at the same place, and a warm
        # start with early stopping sets the same rows aside as the fit before.
        coefs, intercepts = initial_weights.draw(
            network, self.init, self.out_init, self._activation_names(), random_state
        )
        if goes_on:
            shapes = [np.shape(coef) for coef in self.coefs_]
            if shapes != network.layer_shapes:
                raise ValueError(
                    f"hidden_layer_sizes={self.hidden_layer_sizes!r}, activation={self.activation!r} and the "
                    f"data ask for layers of the shapes {network.layer_shapes}, but training goes on from "
                    f"coefs_ of the shapes {shapes}."
                )
            coefs, intercepts = self._checked_weights()
        known = goes_on and hasattr(self, "feature_params_")
        features = initial_weights.check_features(network, self.feature_params_) if known else network.start
        if self.input_scaling == "robust":
            robust = f"input_scaling='robust'{self._set_by('input_scaling')}"
            if scipy.sparse.issparse(rows.X):
                raise ValueError(f"{robust} makes zeros other numbers: it needs a dense X, got a sparse one.")
            X = rows.X if isinstance(rows.X, np.ndarray) else rows.X.to_host()  # from the GPU
            if known:
                features[0] = completed_robust_scales(features[0], X, rows.sample_weight)
            else:
                features[0] = robust_scales(X, rows.sample_weight)
                if incremental:
                    n_rows = n_rows_that_count(rows.targets, rows.sample_weight)
                    check_first_block(features[0][1] != 0, n_rows, robust, "column of X")
        if coefs_init is not None:
            coefs = initial_weights.given(network, coefs_init, "coefs_init")
        if intercepts_init is not None:
            intercepts = initial_weights.given(network, intercepts_init, "intercepts_init")
            layers = zip(network.dense, intercepts, strict=True)
            if any(intercept.any() and not op.bias for op, intercept in layers):
                raise ValueError(
                    "intercepts_init must be zero where there are no intercepts: with fit_intercept=False, "
                    "and in hidden layers with norm='batch'."
                )
        return network.pack(coefs, intercepts, features)

    def _check_given(self, given: ValidationArguments, network: NetworkPlan) -> Dataset:
        """The user's validation rows, ready for the engine; or ValueError."""
        draft = self._draft()
        try:
            real_numbers(given.X_val, "X_val")
            X, y = draft._check_Xy(
                given.X_val, given.y_val, reset=False, accept_sparse="csr", dtype=network.dtype, order="C"
            )
            X = canonical(X)
            get_engine(self.device, X)
            draft._learn_targets(y, goes_on=True, incremental=True)
            weight = given.sample_weight_val
            if weight is not None:
                weight = checked_weights(weight, X, X.dtype, "sample_weight_val")
            return Dataset(X, draft._encode(y, network), weight)
        except MemoryError:
            raise
        except Exception as error:  # an overflow, or an error of a class of the user's
            is_of_type = isinstance(error, TypeError) and not isinstance(error, ValueError)
            kind = TypeError if is_of_type else ValueError
            raise kind(f"In the validation rows X_val, y_val, sample_weight_val: {error}") from error

    def _train_stochastic(
        self, prepared: Prepared, scoring: ExitStack, incremental: bool, tasks: FitTasks | None
    ) -> Result:
        network, rows, parameters = prepared.network, prepared.rows, prepared.parameters
        validation = None
        if prepared.held_out is not None:
            score = scoring.enter_context(validation_score(self, network, prepared.held_out, prepared.source))
            validation = Validation(score, parameters if prepared.goes_on else None)
        memory = self._memory or WarmStartState(None, draw_seed(prepared.random_state))
        begin, position = prepared.begin, None
        if prepared.saved is not None and begin is not None and begin.seed is not None:
            position = prepared.saved.position
            memory = dataclasses.replace(memory, seed=begin.seed)
        assert position is None or isinstance(position, TrainingState)
        if position is not None and (position.scores is None) != (validation is None):
            raise ValueError(OTHER_ROWS.format(prepared.saved.origin if prepared.saved else ""))
        training = self._training_plan(len(rows), memory.seed, incremental)
        if tasks is not None:
            begin = None if begin is None else dataclasses.replace(begin, seed=memory.seed)
            tasks.describe(
                "epoch", lambda result: self._model(network, result, training, memory, incremental), begin
            )
        state = memory.state
        if state is not None and (
            state.solver != training.solver
            or state.moments.shape != (training.n_moments, network.n_parameters)
            or state.moments.dtype != network.dtype
        ):
            state = None  # another solver or another network: what it remembers means nothing here
        result = fit_stochastic(
            get_engine(self.device, rows.X),
            network,
            training,
            rows,
            parameters,
            state=state,
            validation=validation,
            progress=make_progress(self.verbose, training.max_epochs),
            n_jobs=self.n_jobs,
            # A schedule that ends with the fit, and no rule that would stop it: it was meant to take so long.
            # Of targets that are all the same there is nothing that more epochs would find.
            warn_at_end=not (
                incremental
                or (training.has_rate_schedule and training.patience == np.inf)
                or "scoring" in self._own_parameters
            ),
            tasks=tasks,
            resumed=position,
            is_stream=incremental,
        )
        self._memory = _remembered(training, memory, result, incremental)
        return result

    def _model(
        self,
        network: NetworkPlan,
        result: Result,
        training: TrainingPlan | None = None,
        memory: WarmStartState | None = None,
        incremental: bool = False,
    ) -> Self:
        """An estimator of its own, fitted as this one would be if the fit ended with `result`."""
        model = self._draft()
        model.__dict__ = own_lists(model.__dict__)
        model._memory = None
        if training is not None and memory is not None and result.state is not None:
            moments = result.state.moments.copy()  # the fit goes on with them
            result.state = dataclasses.replace(result.state, moments=moments)
            model._memory = _remembered(training, memory, result, incremental)
        extend(model.__dict__, model._take_over(network, result))
        model._take_own_parameters_back()
        return model

    def _watches_loss(self) -> bool:
        return isinstance(self.scoring, str) and self.scoring == "loss"

    def _batch_size(self, n_rows: int) -> int:
        return min(AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size, n_rows)

    def _normalises_batches(self) -> bool:
        return self.norm == "batch" and is_stochastic(self) and len(hidden_sizes(self.hidden_layer_sizes)) > 0

    def _training_plan(self, n_rows: int, seed: int, incremental: bool) -> TrainingPlan:
        batch_size = self._batch_size(n_rows)
        if self.batch_size != "auto" and self.batch_size > n_rows and not self._is_of_preset("batch_size"):
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
                f"batch_size={self.batch_size} is taken as the {n_rows} rows that there are to train on."
            )
        if self._normalises_batches():
            batch_size = size_for_norm(batch_size, n_rows)
        return training_plan(
            solver=self.solver,
            solver_params=self.solver_params,
            schedule=self.schedule,
            schedule_params=self.schedule_params,
            l1=self.l1,
            weight_decay=self.weight_decay,
            clip_value=self.clip_value,
            clip_norm=self.clip_norm,
            max_norm=self.max_norm,
            average=self.average,
            average_params=self.average_params,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init,
            power_t=self.power_t,
            momentum=self.momentum,
            nesterovs_momentum=self.nesterovs_momentum,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            alpha=self.alpha,
            l2=self.l2,
            batch_size=batch_size,
            shuffle=self.shuffle,
            seed=seed,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            max_epochs=1 if incremental else self.max_iter,
            planned_epochs=self.max_iter,
            monitor="external" if self.early_stopping else "loss",
        )

    def _take_over(self, network: NetworkPlan, result: Result) -> Added:
        """Set the fitted attributes, but for the lists that grow with the epochs: what they grow by."""
        self._store(StoredWeights(network, network.to_row_major(result.parameters)))
        self.n_layers_ = len(self.coefs_) + 1
        self.n_iter_ = result.n_epochs
        self.loss_ = result.loss
        earlier: dict = self.__dict__
        self.t_ = earlier.get("t_", 0) + result.n_samples
        if not is_stochastic(self):
            return {}
        scores = losses = None
        if self.early_stopping:
            scores = result.scores or []
            losses = [-score for score in scores] if self._watches_loss() else None
            self.best_validation_score_ = result.best_score
            self.best_loss_ = None
        else:
            before = earlier.get("best_loss_")
            self.best_loss_ = min([np.inf if before is None else before, *result.loss_curve])
            self.best_validation_score_ = None
        return {
            "loss_curve_": result.loss_curve,
            "validation_scores_": scores,
            "validation_loss_curve_": losses,
        }

    # --- scikit-learn's protocols

    def __getstate__(self) -> dict:
        refuse_unpicklable(self)
        state = own_lists(super().__getstate__())
        state.pop("_epoch", None)  # of a fit under way
        memory = state.get("_memory")
        # twice the size of the network, and of no use unless training goes on
        if memory is not None:
            kept = self.warm_start or memory.incremental
            # plain values, so that formats that trust no classes (skops) hold an estimator, too
            state = {**state, "_memory": dataclasses.asdict(memory) if kept else None}
        return state

    def __setstate__(self, state: dict) -> None:
        memory = state.get("_memory")
        if memory is not None:
            solver_state = memory["state"]
            whole = None if solver_state is None else SolverState(**solver_state)
            state = {**state, "_memory": WarmStartState(**{**memory, "state": whole})}
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        own = self._resolved()
        tags.input_tags.sparse = own.input_scaling is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if own.dtype == "auto" else [own.dtype]
        return tags
