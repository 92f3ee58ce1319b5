"""Evaluations that share their rows and the steps before the network, which are fitted once for all."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import get_config
from sklearn.callback._callback_support import callback_management_context
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._array_api import device, get_namespace
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_samples

from fastbp.engines.select import on_gpu
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.cloning import copied
from fastbp.estimators.regressor import BPRegressor
from fastbp.estimators.shared_rows import SharedRows
from fastbp.model_selection.evaluation import Evaluation


class Fold:
    """The rows of one fold, as `_fit_and_score` takes them.

    Attributes
    ----------
    X_train, y_train, X_test, y_test : array-like
    fit_params, score_params_test, score_params_train : dict
        With the rows of the fold taken from arrays of the length of X.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        estimator, X, y = evaluation.estimator, evaluation.X, evaluation.y
        arguments = evaluation.arguments
        namespace, _ = get_namespace(X)
        train = namespace.asarray(arguments["train"], device=device(X))
        test = namespace.asarray(arguments["test"], device=device(X))
        scores = arguments.get("score_params") or {}
        self.fit_params = _check_method_params(X, params=arguments.get("fit_params") or {}, indices=train)
        self.score_params_train = _check_method_params(X, params=scores, indices=train)
        self.score_params_test = _check_method_params(X, params=scores, indices=test)
        self.X_train, self.y_train = _safe_split(estimator, X, y, train)
        self.X_test, self.y_test = _safe_split(estimator, X, y, test, train)
        self.n_train, self.n_test = _num_samples(self.X_train), _num_samples(self.X_test)
        self.pairwise = get_tags(estimator).input_tags.pairwise


class Group:
    """Evaluations with the same rows and the same earlier steps.

    Where there are callbacks, which see every fit and its steps, a group has one evaluation.

    Attributes
    ----------
    evaluations : list of Evaluation
    n_evaluations, n_left : int
        Number of evaluations, and of those that are not finished.
    fold : Fold
    X_train : array-like
        Rows for the network, after the earlier steps.
    fit_params : dict
        Arguments of the network's fit.
    error : Exception or None
        Raised by an earlier step.
    prepare_time, test_time, transform_time : float
        Seconds that the earlier steps took for the fit, for the test rows, and for any rows after the fit.
    """

    def __init__(self, evaluations: list[Evaluation]) -> None:
        self.evaluations = evaluations
        self.n_evaluations = self.n_left = len(evaluations)
        self.first = evaluations[0]
        estimator = self.first.estimator
        # The pipeline whose steps before the last are fitted.
        self.pipeline: Pipeline | None = estimator if isinstance(estimator, Pipeline) else None
        self.observed = self.first.observed
        for evaluation in evaluations:
            evaluation.group = self
        self.error: Exception | None = None
        self.prepare_time = self.transform_time = self.test_time = 0.0
        self.fit_params: dict[str, Any] = {}
        self.X_train: Any = None
        self._tasks = ExitStack()
        self._at_success: list[Any] = []

    # --- Before the networks

    def prepare(self, fold: Fold | None) -> Fold:
        """Take the rows of the fold and fit the earlier steps; `fold` has the rows if they are known."""
        parameters = self.first.parameters.earlier
        if parameters and self.pipeline is not None:
            self.pipeline.set_params(**{name: copied(value) for name, value in parameters.items()})
        for evaluation in self.evaluations:
            evaluation.set_parameters()
        self._predicts_only = type(self.first.network) in (BPClassifier, BPRegressor)
        started = time.perf_counter()
        if fold is None or fold.pairwise != get_tags(self.first.estimator).input_tags.pairwise:
            fold = Fold(self.first)
        self.fold = fold
        self.X_train, self.fit_params = self.fold.X_train, self.fold.fit_params
        try:
            if self.observed:
                self._begin()
            if self.pipeline is not None:
                self._fit_steps(self.pipeline)
        except Exception as error:
            self.error = error
        if self.error is not None or not self.observed:
            self.end(failed=self.error is not None)
        self.prepare_time = time.perf_counter() - started
        return fold

    def _begin(self) -> None:
        """Tell the callbacks of the search that the evaluation begins, as `_fit_and_score` does."""
        arguments, fold = self.first.arguments, self.fold
        context = arguments.get("callback_ctx")
        if context is None:
            return
        weight = fold.fit_params.get("sample_weight")
        about = {
            "estimator": arguments.get("caller"),
            "X": fold.X_train,
            "y": fold.y_train,
            "metadata": None if weight is None else {"sample_weight": weight},
        }
        self._tasks.callback(context.call_on_fit_task_end, **about)
        self._tasks.enter_context(context.propagate_callback_context(self.first.estimator))
        context.call_on_fit_task_begin(**about)

    def _fit_steps(self, pipeline: Pipeline) -> None:
        """Fit the steps before the network, as `Pipeline.fit` does."""
        fold = self.fold
        if not get_config()["skip_parameter_validation"]:
            pipeline._validate_params()
        self._tasks.enter_context(callback_management_context(pipeline))
        context = pipeline._init_callback_context(max_subtasks=len(pipeline.steps))
        context.call_on_fit_task_begin(estimator=pipeline, X=fold.X_train, y=fold.y_train)
        routed = pipeline._check_method_params(method="fit", props=fold.fit_params)
        rows = pipeline._fit(
            fold.X_train, fold.y_train, routed, raw_params=fold.fit_params, callback_ctx=context
        )
        name, network = pipeline.steps[-1]
        if self.observed:
            about = {"estimator": pipeline, "X": rows, "y": fold.y_train}
            task = context.subcontext(task_name="fit-final-estimator")
            self._tasks.enter_context(task.propagate_callback_context(network))
            task.call_on_fit_task_begin(**about)
            self._at_success = [(task, about), (context, about)]
        of_step = pipeline._get_metadata_for_step(
            step_idx=len(pipeline) - 1, step_params=routed[name], all_params=fold.fit_params
        )
        self.X_train, self.fit_params = rows, of_step["fit"]

    # --- After the networks

    def end(self, failed: bool) -> None:
        """End what callbacks know as the evaluation."""
        try:
            if not failed:
                for context, about in self._at_success:
                    context.call_on_fit_task_end(**about)
        finally:
            self._at_success = []
            self._tasks.close()

    def transformed(self, X: Any) -> Any:
        """Return rows as the network sees them."""
        started = time.perf_counter()
        if self.pipeline is not None:
            for _, step in self.pipeline.steps[:-1]:
                if step is not None and step != "passthrough":
                    X = step.transform(X)
        self.transform_time += time.perf_counter() - started
        return X

    @cached_property
    def test_rows(self) -> Any:
        """Test rows for the network."""
        before = self.transform_time
        rows = self.transformed(self.fold.X_test)
        self.test_time = self.transform_time - before
        return self._shared(rows)

    @cached_property
    def train_rows(self) -> Any:
        """Training rows for scores; the `fit_transform` of a step may differ from its `transform`."""
        return self._shared(self.transformed(self.fold.X_train))

    def _shared(self, rows: Any) -> Any:
        """Return rows that are validated once, if nobody but the network looks at them."""
        shares = self._predicts_only and hasattr(rows, "shape") and not on_gpu(rows)
        return SharedRows(rows) if shares else rows

    def whole(self, evaluation: Evaluation) -> Any:
        """Return the evaluation's fitted pipeline, or its network where there is none."""
        if self.pipeline is not None and evaluation is not self.first:
            evaluation.estimator.steps = [*self.pipeline.steps[:-1], evaluation.estimator.steps[-1]]
        return evaluation.estimator

    def finish(self, n_evaluations: int = 1) -> None:
        """Count finished evaluations, and free the rows after the last one."""
        self.n_left -= n_evaluations
        if self.n_left == 0:
            del self.fold
            self.X_train, self.fit_params, self.evaluations, self.pipeline = None, {}, [], None
            for name in ("test_rows", "train_rows"):
                self.__dict__.pop(name, None)

    @property
    def n_bytes(self) -> int:
        """Bytes of the rows that are kept for the networks, those still to be made included."""
        fold = self.fold
        own = [] if self.X_train is fold.X_train else [self.X_train, fold.X_test]
        if self.first.arguments.get("return_train_score") and own:
            own.append(self.X_train)
        return sum(map(bytes_of, [fold.X_train, fold.X_test, *own]))


def grouped(evaluations: Iterable[Evaluation]) -> Iterator[Group]:
    """Yield the groups, all groups of a fold one after the other."""
    folds: dict[tuple, dict[tuple, list[Evaluation]]] = {}
    for evaluation in evaluations:
        arguments = evaluation.arguments
        kind = evaluation.parameters.key, evaluation.number if evaluation.observed else None
        folds.setdefault((id(arguments["train"]), id(arguments["test"])), {}).setdefault(kind, []).append(
            evaluation
        )
    for kinds in folds.values():
        for members in kinds.values():
            yield Group(members)


def bytes_of(rows: Any) -> int:
    """Return the memory of rows, or an estimate of it."""
    if scipy.sparse.issparse(rows):
        parts = [getattr(rows, name, None) for name in ("data", "indices", "indptr")]
        return sum(int(part.nbytes) for part in parts if part is not None)
    n_bytes = getattr(rows, "nbytes", None)
    return int(8 * np.prod(getattr(rows, "shape", (0,)))) if n_bytes is None else int(n_bytes)
