"""Tables to numbers: the inputs of a network, of data frames as they are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from fastbp.hover_texts import DescribedInHTML
from fastbp.persistence.mixin import SaveMixin
from fastbp.tables.columns import ColumnSummary, fingerprint, read_kind
from fastbp.tables.frame import Column, as_table, columns_of
from fastbp.tables.treatments import Targets, Treatment, treatment_of

UNUSED = {
    "constant": "not used: one value only",
    "missing": "not used: all values are missing",
    "identifier": "not used: nearly all values are distinct, as of an identifier or of free text",
}


class Encoded(NamedTuple):
    """A table as numbers.

    `numeric` has shape (n_rows, p), float32, finite, centred and scaled; or is a sparse matrix. `binary` has
    shape (n_rows, q), float32 zeros and ones.
    """

    numeric: Any
    binary: np.ndarray


class TableEncoder(  # type: ignore[call-arg]
    DescribedInHTML, SaveMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Encode the columns of a table, each by its kind, as the inputs of a network.

    Numbers are centred by the median and scaled by the interquartile range, categories and strings become
    one-hot, dates become days and the sine and cosine of their parts, and missing values get an indicator.
    Columns without information are left out. No value at prediction is an error, be it unknown or missing.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of {bool, int, str} or None, default="from_dtype"
        Columns that are categorical although they may hold numbers: those of a categorical dtype; those of a
        mask, of indices, or of names; or none. Strings always are categories, unless all of them are numbers
        or dates.
    target_type : {"auto", "binary", "multiclass", "continuous"}, default="auto"
        The type of y, by which levels of columns of high cardinality are encoded.
    random_state : int, RandomState instance or None, default=None
        Of the folds of these encodings.

    Attributes
    ----------
    columns_ : list of ColumnSummary
        The name, the kind, the treatment and the number of outputs of each column.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all of them are strings.

    Examples
    --------
    >>> from fastbp.tables import TableEncoder
    >>> X = [[1.0, "red"], [2.5, "red"], [None, "blue"], [4.0, "blue"]]
    >>> encoder = TableEncoder()
    >>> encoded = encoder.fit_transform(X)
    >>> encoded.numeric.shape, encoded.binary.shape
    ((4, 1), (4, 2))
    >>> for column in encoder.columns_:
    ...     print(column.kind, "-", column.treatment)
    numeric - numeric with an indicator of missing values
    string - binary
    """

    _parameter_constraints: dict = {
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "target_type": [StrOptions({"auto", "binary", "multiclass", "continuous"})],
        "random_state": ["random_state"],
    }

    def __init__(self, categorical_features="from_dtype", target_type="auto", random_state=None):
        self.categorical_features = categorical_features
        self.target_type = target_type
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        """Learn the encoding of each column; return the encoder.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Without it, columns of high cardinality are encoded by their frequent levels only.
        sample_weight : array-like of shape (n_rows,), default=None
            Positive weights of the rows, by which numbers are centred and scaled.
        """
        self.fit_transform(X, y, sample_weight)
        return self

    def fit_transform(self, X, y=None, sample_weight=None) -> Encoded:
        """Learn the encoding of each column and encode it, by the target out-of-fold.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        sample_weight : array-like of shape (n_rows,), default=None
        """
        self._validate_params()
        if scipy.sparse.issparse(X):
            return self._fit_sparse(X)
        X = self._table(X, reset=True)
        targets = None
        if y is not None:
            check_consistent_length(X, y)
            y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
            targets = Targets.of(y, self.target_type, self.random_state)
        categorical = self._categorical(X)
        self.scaler_: MaxAbsScaler | None = None
        self.treatments_: list[Treatment] = []
        self.columns_: list[ColumnSummary] = []
        columns: list[Column | None] = []
        seen: dict[bytes, Any] = {}  # fingerprints of the columns, and their names
        for column, declared in zip(columns_of(X), categorical, strict=True):
            summary, treatment = _fitted(column, declared, targets, sample_weight, seen)
            self.columns_.append(summary)
            self.treatments_.append(treatment)
            columns.append(column if summary.n_outputs else None)
        if not any(summary.n_outputs for summary in self.columns_):
            reasons = "; ".join(f"{c.name!r} {c.treatment}" for c in self.columns_[:10])
            raise ValueError(f"X has no column to learn from: {reasons}.")
        return self._fill(columns, X.shape[0], training=True)

    def transform(self, X) -> Encoded:
        """Encode a table of the columns that `fit` has seen.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_rows, n_columns)
        """
        check_is_fitted(self, "columns_")
        if self.scaler_ is not None:
            X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=(np.float32, np.float64))
            return _sparse(self.scaler_.transform(scipy.sparse.csr_array(X)))
        if scipy.sparse.issparse(X):
            X = X.toarray()
        X = self._table(X, reset=False)
        return self._fill(columns_of(X), X.shape[0], training=False)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the outputs: those of `numeric`, then those of `binary`.

        Parameters
        ----------
        input_features : None
            Ignored: the names are those of the columns.
        """
        check_is_fitted(self, "columns_")
        if self.scaler_ is not None:
            return self.scaler_.get_feature_names_out(input_features)
        prefixes = [f"x{c.name}" if isinstance(c.name, int) else str(c.name) for c in self.columns_]
        both = list(zip(prefixes, self.treatments_, strict=True))
        numeric = [f"{name}{end}" for name, t in both for end in t.numeric_names]
        binary = [f"{name}{end}" for name, t in both for end in t.binary_names]
        return np.array(numeric + binary, dtype=object)

    def output_slices(self) -> Iterator[tuple[slice, slice]]:
        """Yield the positions of each column's outputs among the numeric and the binary ones."""
        if self.scaler_ is not None:
            yield from ((slice(column, column + 1), slice(0, 0)) for column in range(len(self.columns_)))
            return
        p = q = 0
        for treatment in self.treatments_:
            next_p, next_q = p + len(treatment.numeric_names), q + len(treatment.binary_names)
            yield slice(p, next_p), slice(q, next_q)
            p, q = next_p, next_q

    def _fill(self, columns, n_rows, training) -> Encoded:
        n_numeric = sum(len(t.numeric_names) for t in self.treatments_)
        n_binary = sum(len(t.binary_names) for t in self.treatments_)
        numeric = np.zeros((n_rows, n_numeric), np.float32)
        binary = np.zeros((n_rows, n_binary), np.float32)
        places = self.output_slices()
        for column, treatment, (of_numeric, of_binary) in zip(columns, self.treatments_, places, strict=True):
            if column is not None and (treatment.numeric_names or treatment.binary_names):
                fill = treatment.fill_training if training else treatment.fill
                fill(column, numeric[:, of_numeric], binary[:, of_binary])
        return Encoded(numeric, binary)

    def _fit_sparse(self, X) -> Encoded:
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float32, np.float64), ensure_min_samples=2)
        self.scaler_ = scaler = MaxAbsScaler().set_output(transform="default")
        self.treatments_ = []
        scaled = scaler.fit_transform(X)
        self.columns_ = [
            ColumnSummary(i, "numeric", "divided by its largest value", 1) for i in range(X.shape[1])
        ]
        return _sparse(scaled)

    def _table(self, X, reset: bool) -> Any:
        X = as_table(X)
        validate_data(self, X, reset=reset, skip_check_array=True)  # names and number of the columns
        n_rows, n_columns = X.shape
        least = 2 if reset else 1
        shape = f"(shape={tuple(X.shape)}) while a minimum of"
        if n_columns == 0:
            raise ValueError(f"Found array with 0 feature(s) {shape} 1 is required by {type(self).__name__}.")
        if n_rows < least:
            raise ValueError(
                f"Found array with {n_rows} sample(s) {shape} {least} is required by {type(self).__name__}."
            )
        return X

    def _categorical(self, X) -> list[bool | None]:
        """Return for each column whether it is declared categorical; None leaves it to the dtype."""
        n = X.shape[1]
        given = self.categorical_features
        if given is None:
            return [False] * n
        if isinstance(given, str):
            return [None] * n
        given = np.asarray(given)
        if given.size == 0:
            return [False] * n
        if given.dtype.kind not in "iubUO":
            raise ValueError(
                f"categorical_features must be an array-like of bool, int or str, got: {given.dtype.name}."
            )
        if given.dtype.kind in "UO":
            return self._named(given)
        if given.dtype.kind == "b":
            if given.shape != (n,):
                raise ValueError(
                    "categorical_features set as a boolean mask must have shape (n_features,), got: "
                    f"{given.shape}"
                )
            return given.tolist()
        if given.max() >= n or given.min() < 0:
            raise ValueError(
                "categorical_features set as integer indices must be in [0, n_features - 1], got: "
                f"{given.tolist()}"
            )
        return np.isin(np.arange(n), given).tolist()

    def _named(self, given) -> list[bool | None]:
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            raise ValueError(
                "categorical_features should be passed as an array of integers or as a boolean mask when the "
                "model is fitted on data without feature names."
            )
        for name in given:
            if name not in names:
                raise ValueError(
                    f"categorical_features has an item value '{name}' which is not a valid feature name of "
                    f"the training data. Observed feature names: {names.tolist()}"
                )
        return np.isin(names.astype(str), given.astype(str)).tolist()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags


def _fitted(
    column: Column,
    declared: bool | None,
    targets: Targets | None,
    weight: np.ndarray | None,
    seen: dict[bytes, Any],
) -> tuple[ColumnSummary, Treatment]:
    """Return the summary and the fitted treatment of a column; add it to the columns seen."""
    kind, read = read_kind(column, declared)
    treatment = treatment_of(kind, read)
    if type(treatment) is Treatment:
        return ColumnSummary(column.name, kind, UNUSED[kind], 0), treatment
    mark = fingerprint(read)
    if mark in seen:
        return ColumnSummary(
            column.name, "duplicate", f"not used: the same as {seen[mark]!r}", 0
        ), Treatment()
    seen[mark] = column.name
    treatment.fit(read._replace(weight=weight), targets)
    n_outputs = len(treatment.numeric_names) + len(treatment.binary_names)
    return ColumnSummary(column.name, kind, treatment.description, n_outputs), treatment


def _sparse(scaled: Any) -> Encoded:
    return Encoded(scaled, np.zeros((scaled.shape[0], 0), np.float32))
