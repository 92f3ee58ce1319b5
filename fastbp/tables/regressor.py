"""Regression on tables as they are."""

from collections.abc import Iterator
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_y

from fastbp.estimators.data_kinds import real_numbers
from fastbp.estimators.input_checks import checked_weights, one_column
from fastbp.estimators.parameter_checks import check
from fastbp.estimators.regressor import BPRegressor
from fastbp.estimators.validation_rows import ValidationArguments
from fastbp.tables.base import TableModel, TrainingTable
from fastbp.tables.calibration import interval_scores, interval_width
from fastbp.tables.encoder import Encoded
from fastbp.tables.members import Member
from fastbp.training.float_errors import silent

COVERAGE: dict = {"coverage": [Interval(Real, 0, 1, closed="neither")]}


class TabularRegressor(RegressorMixin, TableModel):
    """Regressor for tables as they are: data frames with numbers, categories, text, dates and gaps.

    A few networks, each with another view of the numbers and another tenth of the rows held out, are trained
    in one run, and their predictions averaged. Each predicts a mean and a variance. Nothing has to be scaled,
    encoded or imputed; no parameter has to be set.

    Parameters
    ----------
    effort : {'fast', 'default', 'best'}, default='default'
        Two, four or eight networks, the eight with twice the epochs.
    n_members : int, default=None
        Number of networks, if not that of `effort`.
    time_limit : float, default=None
        Seconds that `fit` may take, about: no further network begins after it, and one that it interrupts
        is dropped, the first one excepted. Results then depend on the speed of the machine.
    categorical_features : 'from_dtype', array-like of {bool, int, str} or None, default='from_dtype'
        Columns that are categorical although they may hold numbers: by dtype, by a mask, indices or names,
        or none. Text always is, unless all of it is numbers or dates.
    scoring : str or callable, default=None
        Score of the held-out rows by which the epoch that is kept is chosen: None: R², 'loss', or a scorer
        of scikit-learn's.
    random_state : int, RandomState instance or None, default=None
        Source of the members' random states, encodings and held-out rows.
    n_jobs : int, default=None
        Number of threads; None: as many as help. Does not change the result.
    device : {'cpu', 'cuda', 'auto'}, default='cpu'
        Where networks are trained.
    verbose : bool or int, default=False
        Whether to show a progress bar, in a terminal or a notebook.

    Attributes
    ----------
    members_ : list of Member
        Each with its `view`, its `network` (a fitted BPRegressor, with `loss_curve_` and
        `validation_scores_`) and the `transformer` of the numeric columns.
    encoder_ : TableEncoder
        Its `columns_` say what was made of each column; `summary` prints them.
    n_outputs_ : int
        Targets.
    n_epochs_ : int
        Epochs of each network.
    feature_importances_ : ndarray of shape (n_features_in_,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.

    See Also
    --------
    TabularClassifier : For classes.
    BPRegressor : A single network, for numeric arrays.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastbp import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(random_state=0).fit(X[:400], y[:400])
    >>> mean, std = model.predict(X[400:], return_std=True)
    >>> low, high = model.predict_interval(X[400:], coverage=0.9).T
    """

    _parameter_constraints: dict = {**TableModel._parameter_constraints}
    _kind = BPRegressor
    _task = "regressor"
    n_outputs_: int
    _scores: np.ndarray | None
    _one_target: bool

    def __init__(
        self,
        *,
        effort: str = "default",
        n_members: int | None = None,
        time_limit: float | None = None,
        categorical_features: Any = "from_dtype",
        scoring: Any = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        device: str = "cpu",
        verbose: bool | int = False,
    ) -> None:
        self.effort = effort
        self.n_members = n_members
        self.time_limit = time_limit
        self.categorical_features = categorical_features
        self.scoring = scoring
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
            A data frame of pandas, polars or pyarrow, an array, or a sparse matrix of numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_val, y_val, sample_weight_val : array-like, default=None
            Held-out rows for all members, instead of a tenth of X for each.

        Returns
        -------
        self : TabularRegressor

        Raises
        ------
        ValueError
            If X has no column to learn from, or a network cannot be trained; the model is then as it was.
        """
        y = self._checked(y)
        weight = _weights(sample_weight, y, "sample_weight")
        validation = None
        if ValidationArguments(X_val, y_val, sample_weight_val).check(True, True):
            y_val = self._checked(y_val)
            validation = X_val, y_val, _weights(sample_weight_val, y_val, "sample_weight_val")
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        return self._fit(
            X, y, "continuous", weight, validation, {"n_outputs_": n_outputs, "_one_target": y.ndim == 1}
        )

    @silent
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean prediction of the members, and its standard deviation.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations, too.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
        std : ndarray of the same shape
            Only with `return_std`. That of the mixture of the members' normal distributions: the square root
            of the mean of their variances plus the variance of their means.
        """
        mean, std = self._distribution(X)
        if self._one_target:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    @silent
    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that contain a new target with at least about a given probability.

        The interval is the mean plus and minus a multiple of the standard deviation: the multiple within
        which that share of held-out residuals lay, of rows that the member which predicts them was not
        trained on. A member's residuals are larger than those of the mean of several, so that the intervals
        contain more than they promise. Where no rows were held out, the multiple is that of a normal
        distribution.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
        coverage : float, default=0.9
            In (0, 1). Probability of the interval.

        Returns
        -------
        ndarray of shape (n_samples, 2) for one target, else (n_samples, n_targets, 2)
            Lower and upper ends.
        """
        check(COVERAGE, {"coverage": coverage}, "predict_interval")
        mean, std = self._distribution(X)
        half = (std * interval_width(self._scores, coverage)).astype(std.dtype)
        ends = np.stack([mean - half, mean + half], axis=-1)
        return ends[:, 0] if self._one_target else ends

    def _distribution(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the mixture, of shape (n_samples, n_targets)."""
        parts = [
            _mixture(_normal(member, encoded) for member in self.members_) for encoded in self._encoded(X)
        ]
        means, stds = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(stds)

    # --- What differs from the classifier

    def _calibrated(self, held_out: list[tuple[Member, TrainingTable]]) -> dict[str, Any]:
        residuals, stds = [], []
        for member, rows in held_out:
            mean, std = _normal(member, rows.encoded)
            residuals.append(rows.targets.reshape(mean.shape) - mean)
            stds.append(std)
        if not residuals:
            return {"_scores": None}
        return {"_scores": interval_scores(np.concatenate(residuals), np.concatenate(stds))}

    def _row_losses(self, member: Member, table: TrainingTable) -> np.ndarray:
        """Squared error, in variances of the target."""
        mean = member.predict("predict", table.encoded).reshape(len(table.targets), -1)
        targets = table.targets.reshape(mean.shape)
        variance = np.maximum(targets.var(axis=0), np.finfo(float).tiny)
        losses: np.ndarray = np.mean(np.square(targets - mean, dtype=np.float64) / variance, axis=1)
        return losses

    # --- Targets

    def _checked(self, y: Any) -> np.ndarray:
        self._refuse_no_targets(y)
        y = real_numbers(y, "y")
        return one_column(_check_y(y, multi_output=True, y_numeric=True, estimator=self))


def _weights(given: Any, y: np.ndarray, name: str) -> np.ndarray | None:
    return None if given is None else checked_weights(given, y, np.float64, name)


def _normal(member: Member, encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by a member, of shape (n_samples, n_targets)."""
    mean, std = member.predict("predict", encoded, return_std=True)
    n_rows = len(mean)
    return mean.reshape(n_rows, -1), std.reshape(n_rows, -1)


def _mixture(normals: Iterator[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of normal distributions of equal weights."""
    means, stds = (np.stack(values) for values in zip(*normals, strict=True))
    variance = np.mean(np.square(stds), axis=0) + np.var(means, axis=0)
    return means.mean(axis=0), np.sqrt(variance)
