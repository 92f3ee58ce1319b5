"""Reads the public data sets of `accuracy.py` from a folder and splits them as was published.

Images are ``<name>.npz`` with X_train, y_train, X_test, y_test; the UCI regression sets ``uci_<name>.npz``
with data, index_features, index_target and, a row a split, index_train and index_test; ten-fold sets
``<name>.npz`` with X, y and test_mask; the rest is ``<name>.csv.gz`` with a header line and the target in
the last column.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

IMAGES = ("fashion_mnist", "mnist")
UCI = ("boston", "energy", "kin8nm", "power_plant", "wine_red")
TEN_FOLD = ("pol", "elevators", "kin40k")
# the rows of the original training set, where there is one: the others follow it in the file
CLASSES = {
    "adult": 32_561,
    "letter": 16_000,
    "electricity": None,
    "mammography": None,
    "satimage": 4_435,
    "spambase": None,
    "covtype_20k": None,
    "shuttle": 43_500,
    "telco_churn": None,
}
VALUES = ("california_housing", "diamonds", "abalone", "cpu_act", "house_16H", "ames_housing")
TABULAR = (*CLASSES, *VALUES, *TEN_FOLD, *UCI)
LARGEST = 10_000  # rows of a training or test part of a tabular set


class Split(NamedTuple):
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    def largest(self, rows: int, rng) -> "Split":
        """Return at most so many rows of each part, drawn at random."""
        train, test = (rng.permutation(len(y))[:rows] for y in (self.y_train, self.y_test))
        return Split(
            _rows(self.X_train, train), self.y_train[train], _rows(self.X_test, test), self.y_test[test]
        )


def images(folder: Path, name: str) -> Split:
    """Return flat images with pixels from 0 to 1."""
    with np.load(folder / f"{name}.npz") as file:
        X_train, X_test = (file[k].reshape(len(file[k]), -1) for k in ("X_train", "X_test"))
        y_train, y_test = file["y_train"], file["y_test"]
    return Split(X_train.astype(np.float32) / 255, y_train, X_test.astype(np.float32) / 255, y_test)


def uci(folder: Path, name: str, split: int) -> Split:
    """Return a published split of a UCI regression set, not scaled."""
    with np.load(folder / f"uci_{name}.npz") as file:
        data, train, test = file["data"], file["index_train"][split], file["index_test"][split]
        X, y = data[:, file["index_features"]], data[:, int(np.squeeze(file["index_target"]))]
    return Split(X[train], y[train], X[test], y[test])


def table(folder: Path, name: str, seed: int) -> Split:
    """Return a split of a tabular set as it is: X a data frame or an array, classes as numbers."""
    return _raw_tabular(folder, name, seed).largest(LARGEST, np.random.default_rng(seed))


def encoded(name: str, split: Split) -> Split:
    """Return a split of a tabular set with X imputed, scaled, one-hot and float32."""
    if name not in CLASSES and name not in VALUES:
        scaler = StandardScaler().fit(split.X_train)
        return split._replace(
            X_train=scaler.transform(split.X_train).astype(np.float32),
            X_test=scaler.transform(split.X_test).astype(np.float32),
        )
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    one_hot = OneHotEncoder(
        min_frequency=10, max_categories=50, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    columns = make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (
            make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), one_hot),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=0,
    )
    return split._replace(
        X_train=columns.fit_transform(split.X_train).astype(np.float32),
        X_test=columns.transform(split.X_test).astype(np.float32),
    )


def _raw_tabular(folder: Path, name: str, seed: int) -> Split:
    if name in UCI:
        return uci(folder, name, seed)
    if name in TEN_FOLD:
        with np.load(folder / f"{name}.npz") as file:
            X, y, test = file["X"], file["y"], file["test_mask"][:, seed].astype(bool)
        return Split(X[~test], y[~test], X[test], y[test])
    import pandas as pd

    # a level named None must not be taken for a missing value
    table = pd.read_csv(folder / f"{name}.csv.gz", keep_default_na=False, na_values=[""])
    X, y = table.iloc[:, :-1], table.iloc[:, -1].to_numpy()
    for column in X.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes]]:
        X[column] = X[column].astype(object).where(X[column].notna(), None)
    classes = name in CLASSES
    if classes:
        y = LabelEncoder().fit_transform(y)
        if CLASSES[name]:
            n = CLASSES[name]
            return Split(X.iloc[:n], y[:n], X.iloc[n:], y[n:])
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=seed, stratify=y if classes else None
    )
    return Split(X_train, y_train, X_test, y_test)


def _rows(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
