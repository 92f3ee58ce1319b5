"""The split into training and validation rows for early stopping."""

import numpy as np
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.model_selection._split import _validate_shuffle_split
from sklearn.utils.extmath import _approximate_mode

from fastbp.engines.dataset import Dataset
from fastbp.engines.flat_data import ROW_NUMBER


def split(
    rows: Dataset, fraction: float, random_state: np.random.RandomState, stratify: bool
) -> tuple[Dataset, Dataset]:
    """Split into training and validation rows, as scikit-learn does for the same random state."""
    if fraction == 0:
        raise ValueError("early_stopping=True needs validation_fraction > 0, got validation_fraction=0.")
    if stratify:
        train, held_out = _stratified_split(rows.targets, fraction, random_state)
    else:
        splitter = ShuffleSplit(test_size=fraction, random_state=random_state)
        train, held_out = (index.astype(ROW_NUMBER) for index in next(splitter.split(rows.targets)))
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    parts = rows.only(train), rows.only(held_out)
    for part, name in zip(parts, ("training", "validation"), strict=True):
        weight = part.sample_weight
        if weight is not None and not weight[part.index].any():
            raise ValueError(
                f"Sample weights must contain at least one non-zero number among the {name} rows."
            )
    return parts


def _stratified_split(
    targets: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Row indices that scikit-learn's ``StratifiedShuffleSplit`` would draw for two classes.

    That makes lists of Python integers, and a string for each row of a matrix: hundreds of bytes per row.
    """
    n_train, n_test = _validate_shuffle_split(len(targets), fraction, None)
    second = targets[:, 0].astype(bool)
    classes = [np.flatnonzero(of_class).astype(ROW_NUMBER) for of_class in (~second, second)]
    classes = [rows for rows in classes if len(rows)]
    counts = np.array([len(rows) for rows in classes])
    if counts.min() < 2 or min(n_train, n_test) < len(classes):
        labels = targets.astype(bool)
        train_test_split(
            labels, random_state=0, test_size=fraction, stratify=labels
        )  # raises scikit-learn's error
    of_train = _approximate_mode(counts, n_train, random_state)
    of_test = _approximate_mode(counts - of_train, n_test, random_state)
    train, test = [], []
    for rows, k, m in zip(classes, of_train, of_test, strict=True):
        permuted = rows[random_state.permutation(len(rows))]
        train.append(permuted[:k])
        test.append(permuted[k : k + m])
    return random_state.permutation(np.concatenate(train)), random_state.permutation(np.concatenate(test))
