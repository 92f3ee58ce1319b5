"""Checks of the values in X: missing, on another scale, far outside, mostly zero."""

import numpy as np
import scipy.sparse

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

# Initial weights are drawn for inputs of about unit size (LeCun et al. 1998, "Efficient BackProp", section
# 4.3; Glorot and Bengio 2010). Images of 0..16 as in load_digits, root mean square up to 13, still train
# well. With raw columns, a default network after 30 epochs is no better than guessing on load_wine (810), and
# has three times the loss on load_breast_cancer (1048); scaled, 95 and 98 % are right.
LARGE_SIZE = 30.0
HUGE_SIZE = 300.0
SMALL_SIZE = 0.1  # all inputs: load_diabetes as it comes (0.048) needs six times as many epochs as scaled
NEGLIGIBLE = 1e-3  # of the median column's largest value: such a column is not seen beside the others
# Largest distance from the median in interquartile ranges: normal data 3, exponential 7, lognormal 15 in a
# thousand rows; "area error" of load_breast_cancer, which trains well, 19; population of California
# housing, which does, too, 37; the price of electricity, five of whose rows stand out, 816.
FAR_OUT = 50.0
# And so far from it in the units that the network sees: rare pixels, of at most 1, do no harm.
FAR = 10.0
# CSR rows hold an index of four bytes for each value: with 95 % of zeros they take a tenth of the memory of a
# dense float32 array, with fewer than half of zeros they take more.
MANY_ZEROS = 0.95
MANY_COLUMNS = 200  # below, a dense row is small in any case
DENSE = 0.5


def sizes(X) -> np.ndarray:
    """Root mean square of each column."""
    if scipy.sparse.issparse(X):
        return np.sqrt(np.asarray(X.multiply(X).mean(axis=0), dtype=np.float64)).ravel()
    return np.sqrt(np.mean(np.square(X, dtype=np.float64), axis=0))


def largest(X) -> np.ndarray:
    """Largest absolute value of each column."""
    if scipy.sparse.issparse(X):
        return np.asarray(abs(X).max(axis=0).toarray(), dtype=np.float64).ravel()
    return np.abs(X).max(axis=0).astype(np.float64)


@check(
    meaning="X has missing or infinite values",
    figure="share of such values",
    threshold="any",
    remedy="impute or drop them: SimpleImputer before the network, or TabularClassifier / TabularRegressor",
)
def missing_values(case: Case) -> Finding | None:
    rows = case.rows
    if not rows.n_missing:
        return None
    share = rows.n_missing / (rows.n_given * rows.X.shape[1])
    columns = rows.missing_columns
    return Finding(
        "serious",
        f"{rows.n_missing} values of X ({share:.2%}) are missing or infinite, in {len(columns)} columns: "
        f"{case.named(columns)}. A fit refuses them; here the median of the column stands for them.",
        share,
        "Put SimpleImputer(add_indicator=True) before the network in a Pipeline, drop what cannot be "
        "filled, or use TabularClassifier or TabularRegressor, which take gaps as they are.",
        details={"columns": columns.tolist()},
    )


@check(
    meaning="inputs are far from unit size, or a column vanishes beside the others",
    figure="largest root mean square of a column",
    threshold=f"above {LARGE_SIZE:g} (serious: {HUGE_SIZE:g}); all below {SMALL_SIZE:g}; or a column below "
    f"{NEGLIGIBLE:g} of the others",
    remedy='StandardScaler before the network, or `input_scaling="robust"`',
)
def unscaled_inputs(case: Case) -> Finding | None:
    need(case.options.input_scaling is None, "the network scales its inputs")
    size, top = sizes(case.rows.X), largest(case.rows.X)
    varies = size > 0
    need(varies.any(), "all inputs are zero")
    biggest = float(size.max())
    is_sparse = scipy.sparse.issparse(case.rows.X)
    remedy = 'Scale the columns: StandardScaler before the network in a Pipeline, or input_scaling="robust".'
    if is_sparse:
        remedy = "Scale the columns: MaxAbsScaler before the network in a Pipeline, which keeps zeros."
    change = {} if is_sparse else {"input_scaling": "robust"}
    if biggest > LARGE_SIZE:
        columns = np.argsort(-size, kind="stable")[: np.count_nonzero(size > LARGE_SIZE)]
        return Finding(
            "serious" if biggest > HUGE_SIZE else "warning",
            f"{len(columns)} of {len(size)} columns are large, up to a root mean square of {biggest:.3g}: "
            f"{case.named(columns)}. Initial weights are drawn for inputs of about 1.",
            biggest,
            remedy,
            change,
            {"columns": columns.tolist()},
        )
    if top.max() < SMALL_SIZE:  # not the root mean square, which is small where most inputs are zero
        return Finding(
            "warning",
            f"All inputs are small, the largest {top.max():.3g}: initial weights are drawn for inputs of "
            "about 1.",
            float(top.max()),
            remedy,
            change,
            {"columns": list(range(len(size)))},
        )
    tiny = np.flatnonzero(varies & (top < NEGLIGIBLE * np.median(top[varies])))
    if len(tiny):
        return Finding(
            "warning",
            f"{len(tiny)} columns are at most {top[tiny].max():.3g} where others are {np.median(top):.3g}, "
            f"so that the network hardly sees them: {case.named(tiny)}.",
            float(size[tiny].max()),
            remedy,
            change,
            {"columns": tiny.tolist()},
        )
    return None


@check(
    meaning="columns with values far outside the bulk",
    figure="largest distance from the median, in interquartile ranges",
    threshold=f"above {FAR_OUT:g}, and above {FAR:g} as the network gets it",
    remedy='RobustScaler or QuantileTransformer, a logarithm, or `input_scaling="robust"`',
)
def outliers(case: Case) -> Finding | None:
    need(case.options.input_scaling is None, "the network cuts off its inputs smoothly")
    need(isinstance(case.rows.X, np.ndarray), "columns of sparse rows are mostly zero")
    X = case.rows.X.astype(np.float64, copy=False)
    low, middle, high = np.percentile(X, [25, 50, 75], axis=0)
    width = high - low
    distance = np.abs(X - middle).max(axis=0)
    # columns that are mostly one value, such as rare categories and pixels at the border, have no bulk
    far = np.divide(distance, width, out=np.zeros_like(width), where=(width > 0) & (distance > FAR))
    columns = np.argsort(-far, kind="stable")[: np.count_nonzero(far > FAR_OUT)]
    if not len(columns):
        return None
    n_rows = int((np.abs(X[:, columns] - middle[columns]) > FAR_OUT * width[columns]).any(axis=1).sum())
    return Finding(
        "warning",
        f"{len(columns)} columns have values up to {far.max():.3g} interquartile ranges from the median, in "
        f"{n_rows} rows: {case.named(columns)}. These rows rule the gradients.",
        float(far.max()),
        'Take logarithms, or QuantileTransformer(output_distribution="normal"), or input_scaling="robust", '
        "which cuts off smoothly; look at whether the values are errors.",
        {"input_scaling": "robust"},
        {"columns": columns.tolist()},
    )


@check(
    meaning="dense X that is nearly all zeros, or sparse X that is not",
    figure="share of zeros",
    threshold=f"dense: above {MANY_ZEROS:.0%}, in {MANY_COLUMNS} columns or more; sparse: below "
    f"{1 - DENSE:.0%}",
    remedy="`scipy.sparse.csr_matrix(X)`, or `X.toarray()`",
)
def sparsity(case: Case) -> Finding | None:
    X = case.rows.X
    n_values = X.shape[0] * X.shape[1]
    if scipy.sparse.issparse(X):
        zeros = 1 - X.nnz / n_values
        if zeros >= 1 - DENSE:
            return None
        return Finding(
            "info",
            f"X is sparse, but only {zeros:.0%} of its values are zero: indices cost more than they save.",
            zeros,
            "Pass X.toarray().",
        )
    zeros = 1 - np.count_nonzero(X) / n_values
    if zeros <= MANY_ZEROS or X.shape[1] < MANY_COLUMNS:
        return None
    need(case.options.input_scaling is None, 'input_scaling="robust" needs dense rows')
    return Finding(
        "info",
        f"{zeros:.1%} of X are zeros in {X.shape[1]} columns: sparse rows take less memory, and the first "
        "layer less time.",
        zeros,
        "Pass scipy.sparse.csr_matrix(X), or let the encoder make sparse output.",
    )
