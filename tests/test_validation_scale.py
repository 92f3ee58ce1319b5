"""Validation rows that a pipeline has not scaled like the training rows are warned of; no others are."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context, datasets
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from fastbp import BPClassifier, BPRegressor

PARAMS = {
    "hidden_layer_sizes": (3,),
    "max_iter": 1,
    "early_stopping": True,
    "scoring": "loss",
    "solver": "sgd",
    "learning_rate_init": 1e-300,
}
WARNING = r'X_val lies on another scale than X.*transform_input=\["X_val"\]'
TABLES = pytest.mark.parametrize("table", ["iris", "breast_cancer", "digits", "wine"])
LAYOUT = pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])


def fit(X, X_val, *, warns):
    """A fit on targets that do not matter."""
    y, y_val = (np.arange(part.shape[0]) % 3 * 1.0 for part in (X, X_val))
    model = BPRegressor(**PARAMS, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, X_val=X_val, y_val=y_val)
    found = [one for one in caught if "another scale" in str(one.message)]
    assert len(found) == warns
    assert all(one.filename == __file__ for one in found)


def load(table):
    X, y = getattr(datasets, f"load_{table}")(return_X_y=True)
    return train_test_split(X, y, test_size=0.2, random_state=0)


@TABLES
@LAYOUT
@pytest.mark.parametrize(
    "scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()], ids=repr
)
def test_a_pipeline_that_scales_the_training_rows_only(table, layout, scaler):
    X, X_val, _, _ = load(table)
    fit(layout(scaler.fit_transform(X)), layout(X_val), warns=1)
    fit(layout(scaler.transform(X)), layout(scaler.transform(X_val)), warns=0)
    fit(layout(X), layout(X_val), warns=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@TABLES
def test_the_pipeline_that_the_warning_names(table):
    X, X_val, y, y_val = load(table)
    steps = [("scale", StandardScaler()), ("network", BPClassifier(early_stopping=True, max_iter=5))]
    with pytest.warns(UserWarning, match=WARNING):
        Pipeline(steps).fit(X, y, network__X_val=X_val, network__y_val=y_val)
    with config_context(enable_metadata_routing=True):
        steps[1][1].set_fit_request(X_val=True, y_val=True)
        right = Pipeline(steps, transform_input=["X_val"]).fit(X, y, X_val=X_val, y_val=y_val)
        assert right[-1].best_validation_score_ == right.score(X_val, y_val)


@LAYOUT
def test_pixels_of_which_only_the_validation_rows_are_divided(layout):
    X, X_val, _, _ = load("digits")
    fit(layout(X * 16), layout(X_val / 16), warns=1)


def test_one_column_of_many():
    rng = np.random.RandomState(0)
    X, X_val = rng.normal(size=(200, 40)), rng.normal(size=(50, 40))
    X_val[:, 7] = rng.normal(50_000, 20_000, size=50)
    fit(X, X_val, warns=1)
    X_val[1:, 7] = 0
    fit(X, X_val, warns=0)  # an outlier


RNG = np.random.RandomState(1)
HONEST = {
    "normal": lambda n, d: RNG.normal(size=(n, d)),
    "uniform": lambda n, d: RNG.uniform(-1, 1, size=(n, d)),
    "skewed": lambda n, d: np.exp(2 * RNG.normal(size=(n, d))),
    "heavy tails": lambda n, d: RNG.standard_cauchy(size=(n, d)),
    "heavier tails": lambda n, d: RNG.pareto(0.5, size=(n, d)),
    "one cause of all": lambda n, d: np.exp(2 * RNG.normal(size=(n, 1)) + 0.1 * RNG.normal(size=(n, d))),
    "one-hot": lambda n, d: np.eye(d)[RNG.randint(0, d, n)],
    "rare ones": lambda n, d: (RNG.uniform(size=(n, d)) < 0.01) * 1.0,
    "two clusters": lambda n, d: RNG.choice([-1, 1], (n, d)) + 0.05 * RNG.normal(size=(n, d)),
    "constant columns": lambda n, d: np.c_[np.ones((n, d)), RNG.normal(size=(n, d))],
    "counts": lambda n, d: RNG.poisson(0.5, size=(n, d)) * 1.0,
    "all zero": lambda n, d: np.zeros((n, d)),
    "enormous": lambda n, d: 1e140 * RNG.normal(size=(n, d)),
    "equal to rounding": lambda n, d: 1 + 1e-16 * RNG.normal(size=(n, d)),
}


@LAYOUT
@pytest.mark.parametrize("kind", HONEST)
def test_honest_splits(kind, layout):
    for n, n_val in ((1, 1), (3, 2), (30, 1), (30, 10), (300, 30), (2500, 1200)):
        for d in (1, 5):
            fit(layout(HONEST[kind](n, d)), layout(HONEST[kind](n_val, d)), warns=0)


@pytest.mark.parametrize(
    "kind", ["normal", "uniform", "skewed", "two clusters", "counts", "constant columns"]
)
@pytest.mark.parametrize("deviations", [1.0, 2.0, -1.0])
def test_drift_by_one_or_two_deviations(kind, deviations):
    for d in (1, 5):
        X, X_val = HONEST[kind](300, d), HONEST[kind](40, d)
        fit(X, X_val + deviations * X.std(axis=0), warns=0)


def test_columns_that_are_constant_in_training():
    X, X_val = RNG.normal(size=(100, 4)), RNG.normal(size=(30, 4))
    X[:, 0] = 0
    fit(X, X_val, warns=0)


def test_rows_without_weight_do_not_count():
    X, X_val, y, y_val = load("iris")
    X = StandardScaler().fit_transform(X)
    weight = np.zeros(len(y_val))
    weight[0] = 1
    BPClassifier(**PARAMS, random_state=0, n_iter_no_change=1).fit(
        X, y, X_val=np.vstack([X[:1], X_val[1:]]), y_val=y_val, sample_weight_val=weight
    )


def test_a_split_by_class():
    X, y = datasets.load_iris(return_X_y=True)
    for label in range(3):
        fit(X[y != label], X[y == label], warns=0)
