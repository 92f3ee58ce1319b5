"""Common base of the table models: the table is encoded, members are trained in one run, then calibrated."""

import copy
import time
from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbp.ensembles.base import MAX_SEED
from fastbp.estimators.mlp import BackPropagation
from fastbp.hover_texts import DescribedInHTML
from fastbp.persistence.mixin import SaveMixin
from fastbp.tables.encoder import Encoded, TableEncoder
from fastbp.tables.frame import as_table
from fastbp.tables.held_out import member_rows
from fastbp.tables.importance import importances, sample_rows
from fastbp.tables.linear import MOST_ROWS as MOST_ROWS_OF_LINEAR
from fastbp.tables.linear import with_linear_models
from fastbp.tables.members import EFFORTS, Member, new_member, rows_of, views_of
from fastbp.tables.networks import n_epochs, network_parameters
from fastbp.tables.summary import describe
from fastbp.tables.training import train, train_until
from fastbp.tables.training_table import MemberRows, TrainingTable
from fastbp.training.progress import make_fleet_progress

PREDICTED_AT_ONCE = 1 << 14  # rows


class TableModel(DescribedInHTML, SaveMixin, BaseEstimator):
    """Base of TabularClassifier and TabularRegressor; not for direct use."""

    _parameter_constraints: dict = {
        "effort": [StrOptions(set(EFFORTS))],
        "n_members": [Interval(Integral, 1, None, closed="left"), None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "scoring": [str, callable, None],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "verbose": ["verbose"],
    }

    members_: list[Member]
    encoder_: TableEncoder
    _held_out: list[TrainingTable]
    _importances: np.ndarray | None

    # --- Differences between the two classes

    _kind: type[BackPropagation]
    _task: str

    @abstractmethod
    def _calibrated(self, held_out: list[tuple[Member, TrainingTable]]) -> dict[str, Any]:
        """Return the attributes that are learnt from the held-out rows of each member."""

    @abstractmethod
    def _row_losses(self, member: Member, table: TrainingTable) -> np.ndarray:
        """Return the loss of each row of shape (n_samples,), without weights."""

    def _losses(self, member: Member, table: TrainingTable) -> np.ndarray:
        """Return the loss of each row of shape (n_samples,), times its weight."""
        losses = self._row_losses(member, table)
        return losses if table.weight is None else losses * table.weight

    # --- Fitting

    @_fit_context(prefer_skip_nested_validation=False)
    def _fit(
        self,
        X: Any,
        targets: np.ndarray,
        target_type: str,
        weight: np.ndarray | None,
        validation: tuple[Any, np.ndarray, np.ndarray | None] | None,
        attributes: dict[str, Any],
    ) -> Self:
        """Encode, train, calibrate; then become the fitted model in one assignment.

        Parameters
        ----------
        targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        target_type : str
            As of `TableEncoder`.
        validation : (X, targets, weight) or None
        attributes : dict
            Of the target, to be added to the fitted ones.
        """
        started = time.monotonic()
        random_state = check_random_state(self.random_state)
        encoder = TableEncoder(self.categorical_features, target_type, int(random_state.randint(MAX_SEED)))
        if weight is not None and not weight.all():  # rows without weight do not exist
            rows_that_count = np.flatnonzero(weight)
            X = _safe_indexing(X, rows_that_count)
            targets, weight = targets[rows_that_count], weight[rows_that_count]
        table = TrainingTable(encoder.fit_transform(X, targets, weight), targets, weight)
        given = None
        if validation is not None:
            given = TrainingTable(encoder.transform(validation[0]), *validation[1:])
        epochs = n_epochs(len(targets), EFFORTS[self.effort].epochs)
        is_sparse = scipy.sparse.issparse(table.encoded.numeric)
        options = network_parameters(self._task, len(targets), epochs, is_sparse)
        options |= {"n_jobs": self.n_jobs, "device": self.device}
        if self.scoring is not None:
            options["scoring"] = self.scoring
        members = [
            new_member(view, self._kind(**options), random_state)
            for view in views_of(self.effort, self.n_members)
        ]
        splits = list(member_rows(targets, len(members), self._task == "classifier", random_state))
        rows = MemberRows(table, splits, given)
        progress = make_fleet_progress(self.verbose, len(members), epochs)
        if self.time_limit is None:
            train(members, rows, self.n_jobs, progress)
        else:
            members = train_until(started + self.time_limit, members, rows, progress)
        held_out = [rows.held_out(number) for number in range(len(members))]
        held_out = [one for one in held_out if len(one.targets)]
        if held_out and len(targets) <= MOST_ROWS_OF_LINEAR and not is_sparse:
            members = with_linear_models(members, rows, self._losses, self.n_jobs)
        sampled = [sample_rows(one, len(held_out), random_state) for one in held_out]
        attributes |= {"encoder_": encoder, "members_": members, "n_epochs_": epochs}
        attributes |= {"_held_out": sampled, "_importances": None}
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(encoder, name):
                attributes[name] = getattr(encoder, name)
        attributes |= self._calibrated(list(zip(members, held_out, strict=bool(held_out))))
        kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        self.__dict__ = kept | attributes
        return self

    def _refuse_no_targets(self, y: Any) -> None:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )

    # --- What the model is made of

    def _encoded(self, X: Any) -> Iterator[Encoded]:
        """Yield the encoded rows of X, some thousand at a time."""
        check_is_fitted(self, "members_")
        if not scipy.sparse.issparse(X):
            X = as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)  # errors about columns name this model
        encoded = self.encoder_.transform(X)
        n_rows = encoded.binary.shape[0]
        for begin in range(0, n_rows, PREDICTED_AT_ONCE):
            yield rows_of(encoded, slice(begin, begin + PREDICTED_AT_ONCE))

    @property
    def feature_importances_(self) -> np.ndarray:
        """How much worse held-out rows are predicted without each column, of sum 1 where any is needed.

        The values of a column are permuted among rows that a member was not trained on, and the increase of
        its loss is averaged over the members (Breiman 2001; Fisher, Rudin, Dominici 2019). Computed when
        first asked for, from at most 500 rows. NaN where no rows were held out.
        """
        check_is_fitted(self, "members_")
        if self._importances is None:
            self._importances = importances(
                self.members_, self._held_out, self.encoder_, self._losses, self.n_features_in_
            )
        return self._importances

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Leave out importances that nobody has asked for: they take seconds for many columns."""
        if self._importances is not None:
            return super()._get_fitted_attr_html(doc_link)
        shown_one = copy.copy(self)
        shown_one._importances = np.empty(0)
        shown = super(TableModel, shown_one)._get_fitted_attr_html(doc_link)
        shown.pop("feature_importances_", None)
        return shown

    def summary(self) -> str:
        """Describe what was made of each column, and the members of the model.

        Returns
        -------
        str
            A text of a line for each column and each member.
        """
        check_is_fitted(self, "members_")
        return describe(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags
