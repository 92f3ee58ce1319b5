"""Classification of tables as they are."""

from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import _check_y

from fastbp.ensembles.base import mean_of
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.data_kinds import labels as refuse_other_kinds
from fastbp.estimators.input_checks import checked_weights
from fastbp.estimators.labels import Labels, target_kind
from fastbp.estimators.validation_rows import ValidationArguments
from fastbp.tables.base import TableModel, TrainingTable
from fastbp.tables.calibration import SMALLEST, fit_sharpness, sharpened
from fastbp.tables.members import Member
from fastbp.training.float_errors import silent


class TabularClassifier(ClassifierMixin, TableModel):
    """Classifier for tables as they are: data frames with numbers, categories, text, dates and gaps.

    A few networks, each with another view of the numbers and another tenth of the rows held out, are trained
    in one run, and their probabilities averaged. Nothing has to be scaled, encoded or imputed; no parameter
    has to be set.

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
    class_weight : dict or 'balanced', default=None
        Weights of the classes, by which `sample_weight` is multiplied.
    scoring : str or callable, default=None
        Score of the held-out rows by which the epoch that is kept is chosen: 'loss', or a scorer of
        scikit-learn's. None: accuracy, of at most 1,000 rows the loss.
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
    classes_ : ndarray of shape (n_classes,)
    members_ : list of Member
        Each with its `view`, its `network` (a fitted BPClassifier, with `loss_curve_` and
        `validation_scores_`) and the `transformer` of the numeric columns.
    encoder_ : TableEncoder
        Its `columns_` say what was made of each column; `summary` prints them.
    sharpness_ : float
        Exponent of the mean probabilities, found on held-out rows (inverse temperature).
    n_epochs_ : int
        Epochs of each network.
    feature_importances_ : ndarray of shape (n_features_in_,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.

    See Also
    --------
    TabularRegressor : For numbers.
    BPClassifier : A single network, for numeric arrays.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import TabularClassifier
    >>> colours = ["red", "red", "blue", "green"]
    >>> table = pd.DataFrame({"size": [1.0, 2.5, None, 4.0] * 20, "colour": colours * 20})
    >>> model = TabularClassifier(random_state=0).fit(table, ["small", "small", "large", "large"] * 20)
    >>> model.predict(pd.DataFrame({"size": [3.9, 0.5], "colour": ["blue", "unknown"]})).tolist()
    ['large', 'small']
    """

    _parameter_constraints: dict = {
        **TableModel._parameter_constraints,
        "class_weight": BPClassifier._parameter_constraints["class_weight"],
    }
    _kind = BPClassifier
    _task = "classifier"
    _labels: Labels
    classes_: np.ndarray
    sharpness_: float

    def __init__(
        self,
        *,
        effort: str = "default",
        n_members: int | None = None,
        time_limit: float | None = None,
        categorical_features: Any = "from_dtype",
        class_weight: Any = None,
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
        self.class_weight = class_weight
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or an indicator matrix of several labels a row.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_val, y_val, sample_weight_val : array-like, default=None
            Held-out rows for all members, instead of a tenth of X for each.

        Returns
        -------
        self : TabularClassifier

        Raises
        ------
        ValueError
            If X has no column to learn from, or a network cannot be trained; the model is then as it was.
        """
        y = self._checked(y)
        labels = Labels.of(y)
        weight = self._weights(labels, y, sample_weight, "sample_weight")
        validation = None
        if ValidationArguments(X_val, y_val, sample_weight_val).check(True, True):
            y_val = self._checked(y_val)
            labels.check_known(y_val, exactly=False)
            weight_val = self._weights(labels, y_val, sample_weight_val, "sample_weight_val")
            validation = X_val, _encoded(labels, y_val), weight_val
        attributes = {"_labels": labels, "classes_": labels.classes}
        kind = "binary" if labels.kind == "multilabel" or len(labels.classes) <= 2 else "multiclass"
        return self._fit(X, _encoded(labels, y), kind, weight, validation, attributes)

    @silent
    def predict(self, X: Any) -> np.ndarray:
        """Class labels with the largest probability.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        probabilities = self.predict_proba(X)
        if self._labels.kind == "multilabel":
            return self._labels.decode(probabilities, 0.5)
        return self.classes_[probabilities.argmax(axis=1)]

    @silent
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; of each label for an indicator matrix.
        """
        mean = self._mean(X)
        if self._labels.kind == "multilabel":
            return mean
        return np.exp(sharpened(np.log(np.maximum(mean, SMALLEST)), self.sharpness_))

    @silent
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Finite.
        """
        logs = np.log(np.maximum(self._mean(X), SMALLEST))
        return logs if self._labels.kind == "multilabel" else sharpened(logs, self.sharpness_)

    def _mean(self, X: Any) -> np.ndarray:
        parts = [
            mean_of(member.predict("predict_proba", encoded) for member in self.members_)
            for encoded in self._encoded(X)
        ]
        mean: np.ndarray = np.concatenate(parts)
        return mean

    # --- What differs from the regressor

    def _calibrated(self, held_out: list[tuple[Member, TrainingTable]]) -> dict[str, Any]:
        if not held_out or held_out[0][1].targets.ndim > 1:
            return {"sharpness_": 1.0}
        predicted = [member.predict("predict_proba", rows.encoded) for member, rows in held_out]
        targets = np.concatenate([rows.targets for _, rows in held_out])
        weights = [rows.weight for _, rows in held_out if rows.weight is not None]
        weight = np.concatenate(weights) if weights else None
        return {"sharpness_": fit_sharpness(np.concatenate(predicted), targets, weight)}

    def _row_losses(self, member: Member, table: TrainingTable) -> np.ndarray:
        """Log loss."""
        p, y = member.predict("predict_proba", table.encoded), table.targets
        of_targets = np.where(y, p, 1 - p).T if y.ndim > 1 else p[np.arange(len(y)), y][np.newaxis]
        losses: np.ndarray = -np.log(np.maximum(of_targets, SMALLEST)).sum(axis=0)
        return losses

    # --- Targets

    def _checked(self, y: Any) -> Any:
        self._refuse_no_targets(y)
        y = refuse_other_kinds(y)
        if not scipy.sparse.issparse(y):
            y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1 and target_kind(y) == "multilabel":
            return y
        return _check_y(y, estimator=self)

    def _weights(self, labels: Labels, y: Any, given: Any, name: str) -> np.ndarray | None:
        weight = None if given is None else checked_weights(given, y, np.float64, name)
        if self.class_weight is None:
            return weight
        of_class = labels.row_weights(self.class_weight, y)
        return of_class if weight is None else weight * of_class

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _encoded(labels: Labels, y: Any) -> np.ndarray:
    """Numbers of classes, or the indicator matrix."""
    if labels.kind == "multilabel":
        return y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    return labels.positions(y)
