"""Common base of the ensembles: members are made, trained in one run, and kept if all of them succeed."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from fastbp.ensembles.rows import EnsembleRows
from fastbp.ensembles.samples import draws, n_drawn, weights_of
from fastbp.estimators.curves import own_lists
from fastbp.estimators.exports import Exported, of_ensemble
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.estimators.mlp import BackPropagation
from fastbp.export.prediction import Prediction
from fastbp.hover_texts import DescribedInHTML
from fastbp.persistence.mixin import SaveMixin
from fastbp.training.call_stack import warn
from fastbp.training.progress import make_fleet_progress
from fastbp.training.result import NON_FINITE

MAX_SEED = np.iinfo(np.int32).max


class Ensemble(DescribedInHTML, SaveMixin, Exported, MetaEstimatorMixin, BaseEstimator):
    """Base of BPEnsembleClassifier and BPEnsembleRegressor; not for direct use."""

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "max_samples": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="right"),
            None,
        ],
        "oob_score": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "device": [StrOptions({"cpu", "cuda", "auto"}), None],
        "verbose": ["verbose"],
    }

    estimators_: list[Any]

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 8,
        bootstrap: bool = False,
        max_samples: float | int | None = None,
        oob_score: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
        verbose: bool | int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    # --- Differences between the two classes

    _kind: type[BackPropagation]

    @abstractmethod
    def _set_oob(self, attributes: dict[str, Any], X: Any, y: Any) -> None:
        """Add the out-of-bag attributes."""

    # --- Fitting

    def _template(self) -> Any:
        """The estimator that members are clones of."""
        template = self._kind() if self.estimator is None else self.estimator
        if not isinstance(template, self._kind):
            raise TypeError(
                f"estimator must be a {self._kind.__name__}, whose networks {type(self).__name__} trains "
                f"together; got {template!r}. For other estimators there are scikit-learn's ensembles."
            )
        return template

    @_fit_context(prefer_skip_nested_validation=False)
    def _fit(self, X: Any, y: Any, sample_weight: Any, **others: Any) -> Self:
        self._template()  # refuses other estimators
        if self.oob_score and not self.bootstrap:
            raise ValueError("oob_score=True needs rows that members have not seen: set bootstrap=True.")
        kept = list(getattr(self, "estimators_", [])) if self.warm_start else []
        if len(kept) > self.n_estimators:
            raise ValueError(
                f"n_estimators={self.n_estimators} must be at least the {len(kept)} members that "
                "warm_start=True keeps."
            )
        if kept and len(kept) == self.n_estimators:
            warn("Warm-start fitting without increasing n_estimators does not fit new members.")
            return self
        random_state = check_random_state(self.random_state)
        random_state.randint(MAX_SEED, size=2 * len(kept))  # the draws of the members that are kept
        seeds = list(self._sample_seeds)[: len(kept)] if kept else []
        jobs = []
        for member, seed in self._new_members(self.n_estimators - len(kept), random_state):
            seeds.append(seed)
            weight = sample_weight
            if self._draws_rows:
                weight = weights_of(self._counts(seed, _num_samples(X)), sample_weight)
            arguments = {"sample_weight": weight, **others}
            jobs.append(FitJob(member, X, y, {k: v for k, v in arguments.items() if v is not None}))
        members = kept + self._fitted(jobs, len(kept))
        self._adopt(members, seeds, X, y)
        return self

    def _fit_incrementally(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        members = [_own_copy(member) for member in getattr(self, "estimators_", [])]
        seeds = list(getattr(self, "_sample_seeds", []))
        if not members:
            random_state = check_random_state(self.random_state)
            for member, seed in self._new_members(self.n_estimators, random_state):
                members.append(member)
                seeds.append(seed)
        given = {"sample_weight": sample_weight, "incremental": True, "classes": classes}
        self._adopt(self._fitted([FitJob(one, X, y, given) for one in members], 0), seeds, X=None, y=None)
        return self

    def _new_members(self, n_members: int, random_state: np.random.RandomState) -> Iterator[tuple[Any, int]]:
        """Yield unfitted members, each with the seed of its rows."""
        for _ in range(n_members):
            member = clone(self._template()).set_params(random_state=int(random_state.randint(MAX_SEED)))
            if self.device is not None:
                member.set_params(device=self.device)
            yield member, int(random_state.randint(MAX_SEED))

    def _fitted(self, jobs: list[FitJob], first: int) -> list[Any]:
        """Fit members in one run, or raise the error of the first that failed."""
        progress = make_fleet_progress(self.verbose, len(jobs))
        outcomes = fit_many(jobs, self.n_jobs, progress)
        errors = [(i, one) for i, one in enumerate(outcomes, first) if isinstance(one, Exception)]
        if errors:
            number, error = errors[0]
            of_all = len(errors) == len(jobs) and len({str(one) for _, one in errors}) == 1
            if of_all and not str(error).startswith(NON_FINITE):
                raise error  # of the data or the parameters
            kind = type(error) if type(error) in (ValueError, TypeError, RuntimeError) else ValueError
            raise kind(f"Member {number} of the ensemble: {error}") from error
        return outcomes

    def _adopt(self, members: list[Any], seeds: list[int], X: Any, y: Any) -> None:
        """Become the fitted ensemble in one assignment."""
        attributes = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        attributes |= {"estimators_": members, "_sample_seeds": seeds}
        for name in ("classes_", "n_features_in_", "feature_names_in_", "n_outputs_"):
            if hasattr(members[0], name):
                attributes[name] = getattr(members[0], name)
        if self.oob_score and X is not None:
            self._set_oob(attributes, X, y)
        self.__dict__ = attributes

    # --- Rows of members

    @property
    def _draws_rows(self) -> bool:
        return self.bootstrap or self.max_samples is not None

    def _counts(self, seed: int, n_rows: int) -> np.ndarray:
        return draws(seed, n_rows, n_drawn(self.max_samples, n_rows), self.bootstrap)

    def _mean_out_of_bag(self, attributes: dict[str, Any], X: Any, method: str) -> np.ndarray:
        """Mean prediction of each row by the members that have not seen it; NaN where all have."""
        rows, n_rows = EnsembleRows(self._with(attributes), X), _num_samples(X)
        total: Any = 0.0
        n_members = np.zeros(n_rows)
        for member, seed in zip(attributes["estimators_"], attributes["_sample_seeds"], strict=True):
            unseen = self._counts(seed, n_rows) == 0
            values = np.asarray(getattr(member, method)(rows), np.float64)
            total = total + np.where(unseen.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
            n_members += unseen
        if (n_members == 0).any():
            warn(
                "Some rows have no out-of-bag prediction: every member has seen them. More n_estimators "
                "leave rows out more often."
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: np.ndarray = total / n_members.reshape(-1, *[1] * (total.ndim - 1))
        return mean

    def _with(self, attributes: dict[str, Any]) -> Self:
        """Return a separate ensemble with these attributes."""
        fitted = object.__new__(type(self))
        fitted.__dict__.update(attributes)
        return fitted

    # --- Predictions

    def _members(self, X: Any) -> Iterator[tuple[Any, EnsembleRows]]:
        """Members with the rows of X, validated once."""
        check_is_fitted(self, "estimators_")
        rows = EnsembleRows(self, X)
        return ((member, rows) for member in self.estimators_)

    def _mean(self, X: Any, method: str) -> np.ndarray:
        """Mean of a prediction method over the members."""
        return mean_of(getattr(member, method)(rows) for member, rows in self._members(X))

    def _prediction(self) -> Prediction:
        check_is_fitted(self, "estimators_")
        return of_ensemble(self, self.estimators_)

    # --- scikit-learn's protocols

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is None or isinstance(self.estimator, BackPropagation):
            of_member = get_tags(self._kind() if self.estimator is None else self.estimator)
            tags.input_tags.sparse = of_member.input_tags.sparse
            tags.target_tags = of_member.target_tags
            tags.classifier_tags = of_member.classifier_tags
        return tags


def mean_of(values: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of arrays, added in their order, in their dtype."""
    total: Any = None
    n = 0
    for n, one in enumerate(values, 1):  # noqa: B007
        total = one if total is None else total + one
    mean: np.ndarray = total / total.dtype.type(n)
    return mean


def _own_copy(member: Any) -> Any:
    """Return a copy of a fitted member that further training leaves the original whole by."""
    copied = member._copy()
    copied.__dict__ = own_lists(copied.__dict__)
    return copied
