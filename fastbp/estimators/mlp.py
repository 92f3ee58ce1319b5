"""Common base of the classifier and the regressor: adapter between scikit-learn and the training loop.

A fit is a function of options and data. Its result is stored in one assignment: a failed call leaves the old
model intact.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin

from fastbp.estimators import seeds
from fastbp.estimators.callback_pickles import refuse_unpicklable
from fastbp.estimators.cloning import cloned
from fastbp.estimators.curves import Added, extend, own_lists, restored_on_failure
from fastbp.estimators.fitted_weights import StoredWeights
from fastbp.estimators.inspection import FittedNetwork
from fastbp.estimators.options import Options
from fastbp.estimators.prepare import FitArguments, PreparedFit, plan_training, prepare
from fastbp.estimators.targets import Targets
from fastbp.estimators.validation_score import validation_score
from fastbp.estimators.warm_start import WarmStartState, remembered
from fastbp.hover_texts import DescribedInHTML
from fastbp.plan.training import LbfgsPlan, SolverState, TrainingPlan
from fastbp.training.callback_events import Epoch, FitTasks
from fastbp.training.checkpoint_state import OTHER_ROWS, TrainingState
from fastbp.training.early_stopping import Score
from fastbp.training.fit import fit
from fastbp.training.float_errors import silent_fit
from fastbp.training.problem import Problem
from fastbp.training.progress import make_progress
from fastbp.training.result import Result

# Attributes set by a fit; a new fit starts without them.
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


class PendingFit(NamedTuple):
    """A fit between its preparation and its result.

    Attributes
    ----------
    prepared : PreparedFit
    problem : Problem
    memory : WarmStartState or None
        State of the fit that it resumes.
    """

    prepared: PreparedFit
    problem: Problem
    memory: WarmStartState | None


def has_partial_fit(estimator) -> bool:
    """Check for `available_if`: True, or AttributeError with the reason. Fits refuse unknown solvers."""
    if isinstance(estimator.solver, str) and estimator.solver == "lbfgs":
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


class BackPropagation(CallbackSupportMixin, DescribedInHTML, FittedNetwork):
    """Base of BPClassifier and BPRegressor; not for direct use."""

    _memory: WarmStartState | None
    _epoch: Epoch | None = None  # the one passed to callbacks

    # --- Differences between the two classes

    def _known_targets(self, options: Options, given: FitArguments) -> Any:
        """Targets known before y: the labels of a classifier."""

    def _learn_scales(
        self, targets: Targets, y: Any, sample_weight: np.ndarray | None, *, resumes: bool, incremental: bool
    ) -> Targets:
        """Return the targets with the scales of `y`, if any."""
        return targets

    @abstractmethod
    def _learn_targets(
        self, options: Options, y: Any, known: Any = None, *, resumes: bool, incremental: bool
    ) -> Targets:
        """Return the targets of a fit on `y`, or raise ValueError; `known` is from `_known_targets`."""

    # --- Fitting

    def _fit(self, given: FitArguments) -> Self:
        """Fit; a failure, also in a callback, leaves this object unchanged."""
        with restored_on_failure(self):
            if hasattr(self, "_skl_callbacks"):
                # callbacks and their context are stored here during the fit
                self.__dict__ = dict(self.__dict__)
            return self._fit_checked(given)

    # Not named partial_fit: there scikit-learn skips parameter validation once the estimator is fitted.
    @_fit_context(prefer_skip_nested_validation=True)
    @silent_fit
    def _fit_checked(self, given: FitArguments) -> Self:
        tasks = None
        if hasattr(self, "_skl_callbacks"):
            name = "partial_fit" if given.incremental else "fit"
            n_epochs = 1 if given.incremental else self._options().max_iter
            tasks = FitTasks(self, given.X, given.y, given.sample_weight, name, n_epochs)
        pending = self._begin_fit(given, tasks)
        (result,) = fit([pending.problem])
        self._adopt(pending, result)
        if tasks is not None:
            tasks.end()
        return self

    def _begin_fit(self, given: FitArguments, tasks: FitTasks | None = None) -> PendingFit:
        """Check and encode the data and state the training problem; this object is not changed."""
        options = self._options()  # including changes by callbacks
        if given.incremental and "early_stopping" in options.of_preset:
            options = dataclasses.replace(options, early_stopping=False)  # a preset's is for complete fits
        prepared = prepare(self, options, given, tasks)
        return PendingFit(prepared, *self._problem(prepared, tasks))

    def _adopt(self, pending: PendingFit, result: Result) -> None:
        """Become the estimator that was fitted."""
        attributes, added = self._fitted(*pending, result)
        extend(attributes, added)
        self.__dict__ = attributes

    def _problem(
        self, prepared: PreparedFit, tasks: FitTasks | None
    ) -> tuple[Problem, WarmStartState | None]:
        """Training problem, and the state of the fit that it resumes."""
        options, rows, network = prepared.options, prepared.rows, prepared.network
        saved, begin = prepared.saved, prepared.origin
        position = None if saved is None else saved.position
        memory: WarmStartState | None = None
        state: SolverState | None = None
        training: TrainingPlan | LbfgsPlan
        warn_at_end = True
        if options.is_stochastic:
            if not prepared.new_weights:
                memory = getattr(self, "_memory", None) if prepared.keeps_earlier else None
            memory = memory or WarmStartState(None, seeds.draw_seed(prepared.random_state))
            if saved is not None and begin is not None and begin.seed is not None:
                memory = dataclasses.replace(memory, seed=begin.seed)
            else:
                position = None
            scored = isinstance(position, TrainingState) and position.scores is not None
            if position is not None and scored == (prepared.held_out is None):
                raise ValueError(OTHER_ROWS.format(saved.origin if saved else ""))
            if saved is None:  # else the random state may be the saved fit's, not ours
                seeds.give_back(prepared.random_state, options.random_state)
            begin = None if begin is None else dataclasses.replace(begin, seed=memory.seed)
            training = plan_training(options, len(rows), memory.seed, prepared.incremental)
            if memory.fits(training, network):
                state = memory.state
            # With a schedule that ends with the fit and no stopping rule, the last epoch is meant to be
            # reached. With constant targets, more epochs would find nothing.
            warn_at_end = not (
                prepared.incremental
                or (training.has_rate_schedule and training.patience == np.inf)
                or prepared.watches_loss_instead
            )
        else:
            training = LbfgsPlan(options.alpha, options.l2, options.max_iter, options.max_fun, options.tol)
        problem = Problem(
            engine=prepared.engine,
            network=network,
            training=training,
            rows=rows,
            parameters=prepared.parameters,
            progress=make_progress(options.verbose, 1 if prepared.incremental else options.max_iter),
            n_jobs=options.n_jobs,
            state=state,
            score=self._score_of(prepared) if options.is_stochastic else None,
            start_counts=prepared.resumes,
            warn_at_end=warn_at_end,
            tasks=tasks,
            resumed=position,
            is_stream=prepared.incremental,
        )
        if tasks is not None:
            unit = "epoch" if options.is_stochastic else "iteration"
            tasks.describe(unit, lambda result: self._model(prepared, problem, memory, result), begin)
        return problem, memory

    def _score_of(self, prepared: PreparedFit) -> Callable[[], AbstractContextManager[Score]] | None:
        """Return a factory of the score for early stopping, or None."""
        if prepared.held_out is None:
            return None
        return lambda: validation_score(self._with_weights, prepared)

    # --- The result

    def _model(
        self, prepared: PreparedFit, problem: Problem, memory: WarmStartState | None, result: Result
    ) -> Self:
        """Return a separate estimator, fitted as this one would be if the fit ended with `result`."""
        attributes, added = self._fitted(prepared, problem, memory, result)
        attributes = own_lists(attributes)
        extend(attributes, added)
        model = self._copy()
        model.__dict__ = attributes
        return model

    def _with_weights(self, prepared: PreparedFit, flat: np.ndarray) -> Self:
        """Return a separate estimator with the weights of a flat vector, for scorers."""
        model = self._copy()
        model.__dict__ = own_lists(self._known_attributes(prepared))
        model._store(StoredWeights(prepared.network, flat.copy()))
        model.n_layers_ = len(model.coefs_) + 1
        return model

    def _known_attributes(self, prepared: PreparedFit) -> dict[str, Any]:
        """Attributes before training."""
        attributes = dict(self.__dict__)
        if not prepared.keeps_earlier:
            for name in FITTED:
                attributes.pop(name, None)
        return attributes | prepared.attributes

    def _fitted(
        self, prepared: PreparedFit, problem: Problem, memory: WarmStartState | None, result: Result
    ) -> tuple[dict[str, Any], Added]:
        """Attributes after a fit, and the values to append to the lists that grow with the epochs."""
        options, network = prepared.options, prepared.network
        model = self._copy()
        model.__dict__ = attributes = self._known_attributes(prepared)
        model._store(StoredWeights(network, result.parameters))
        attributes |= {
            "_memory": None,
            "n_layers_": len(model.coefs_) + 1,
            "n_iter_": result.n_epochs,
            "loss_": result.loss,
            "t_": attributes.get("t_", 0) + result.n_samples,
        }
        if not isinstance(problem.training, TrainingPlan):
            return attributes, {}
        if memory is not None:
            attributes["_memory"] = remembered(problem.training, memory, result, prepared.incremental)
        scores = losses = None
        if options.early_stopping:
            scores = result.scores or []
            losses = [-score for score in scores] if options.watches_loss else None
            attributes |= {"best_validation_score_": result.best_score, "best_loss_": None}
        else:
            before = attributes.get("best_loss_")
            best = min([np.inf if before is None else before, *result.loss_curve])
            attributes |= {"best_validation_score_": None, "best_loss_": best}
        return attributes, {
            "loss_curve_": result.loss_curve,
            "validation_scores_": scores,
            "validation_loss_curve_": losses,
        }

    def to_sklearn(self) -> Any:
        """Return the network as scikit-learn's MLPClassifier or MLPRegressor, with the same predictions.

        After `partial_fit`, that of scikit-learn continues with the moments and the learning rate of the
        solver.

        Returns
        -------
        MLPClassifier or MLPRegressor
            Fitted if this estimator is. A warning names parameters of training that scikit-learn lacks, and
            that it would not train on with.

        Raises
        ------
        ValueError
            If the network has what scikit-learn's cannot compute, such as another activation, or, of an
            estimator that is not fitted, for any parameter that scikit-learn lacks; names the parameter.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import BPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = BPClassifier((16,), solver="lbfgs", random_state=0).fit(X, y)
        >>> type(model.to_sklearn()).__name__
        'MLPClassifier'
        """
        from fastbp.estimators.sklearn_exchange import to_sklearn

        return to_sklearn(self)

    # --- scikit-learn's protocols

    def __sklearn_clone__(self) -> Self:
        return cloned(self)

    def __getstate__(self) -> dict:
        refuse_unpicklable(self)
        return super().__getstate__()

    def _saved_state(self) -> dict:
        state = own_lists(super()._saved_state())
        state.pop("_epoch", None)  # of a running fit
        memory = state.get("_memory")
        # twice the size of the network, and of no use unless training resumes
        if memory is not None:
            kept = self.warm_start or memory.incremental
            # plain values, for formats that do not trust classes (skops)
            state = {**state, "_memory": dataclasses.asdict(memory) if kept else None}
        return state

    def _set_saved_state(self, state: dict) -> None:
        memory = state.get("_memory")
        if memory is not None:
            solver_state = memory["state"]
            whole = None if solver_state is None else SolverState(**solver_state)
            state = {**state, "_memory": WarmStartState(**{**memory, "state": whole})}
        super()._set_saved_state(state)

    def _check_saved(self) -> None:
        """Raise ValueError if the weights do not fit together."""
        if all(getattr(self, name, None) is not None for name in ("coefs_", "intercepts_")):
            self._network()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # called in every scikit-learn validation, so only what is needed is computed
        own: Any = self if self.preset is None else self._options()
        tags.input_tags.sparse = own.input_scaling is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if own.dtype == "auto" else [own.dtype]
        return tags
