"""Labels that are probably wrong, by confident learning.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of
Artificial Intelligence Research 70, 2021: with probabilities out of fold, a row counts as of class k if its
probability of k reaches the mean probability of k among the rows labelled k. Rows that count as of another
class than their label are suspicious.

Classes that overlap make suspicious rows, too. Wrong labels are everywhere, overlap is where the network is
unsure: so the share of wrong rows among the quarter of which it is surest, and how it compares with the share
among all rows, tells one from the other.
"""

import numpy as np

from fastbp.diagnosis.case import Case, OutOfFold
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

SUREST = 0.25
# Share of wrong labels among the surest rows: 0 for load_digits, load_iris, load_wine and load_breast_cancer,
# 0.5 % for Adult, whose classes overlap; a tenth of wrong labels gives a tenth.
WRONG, MANY_WRONG = 0.03, 0.15
# Of the share among all rows. Overlap: electricity 0.27, cover types 0.24, Adult 0.09. A tenth of wrong
# labels: digits 0.8, Adult 0.45.
FLAT = 0.4
# More wrong than this among the surest: the network knows nothing, and cannot judge.
KNOWS_NOTHING = 0.35
# Two standard errors below the share there must still be this much: among 150 rows, five are chance.
SURELY_WRONG = 0.01
FEWEST_ROWS = 100
N_SHOWN = 10


def suspicious(found: OutOfFold) -> tuple[np.ndarray, np.ndarray]:
    """Rows that count as of another class, the most suspicious first, and these classes as numbers."""
    assert found.proba is not None and found.labels is not None
    proba, labels = found.proba, found.labels
    own = proba[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=proba.shape[1])
    thresholds = np.bincount(labels, own, proba.shape[1]) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf
    confident = np.where(proba >= thresholds, proba, -1.0)
    believed = confident.argmax(axis=1)
    others = np.flatnonzero((confident.max(axis=1) >= 0) & (believed != labels))
    margin = own[others] - proba[others, believed[others]]
    order = np.argsort(margin, kind="stable")
    return others[order], believed[others[order]]


@check(
    meaning="labels that are probably wrong (confident learning, Northcutt et al. 2021)",
    figure=f"share of wrong rows among the {SUREST:.0%} that copies trained without them are surest of",
    threshold=f"suspicious rows (info); above {WRONG:.0%} and {FLAT:g} of the share among all rows (serious: "
    f"{MANY_WRONG:.0%})",
    remedy="look at these rows; correct or drop them; `label_smoothing`",
)
def suspicious_labels(case: Case) -> Finding | None:
    found = case.out_of_fold
    need(found.proba is not None, "the network gives no probabilities of single classes")
    assert found.proba is not None and found.labels is not None
    need(len(case.rows) >= FEWEST_ROWS, f"there are fewer than {FEWEST_ROWS} rows")
    rows, believed = suspicious(found)
    wrong = found.proba.argmax(axis=1) != found.labels
    # logarithms of odds, since many probabilities round to one
    top = np.partition(found.proba, -2, axis=1)
    surest = np.argsort(-(top[:, -1] - top[:, -2]), kind="stable")[: int(SUREST * len(wrong))]
    share = float(wrong[surest].mean())
    need(share <= KNOWS_NOTHING, "the copies predict too badly to judge labels")
    least = share - 2 * np.sqrt(share * (1 - share) / len(surest))
    many = share > max(WRONG, FLAT * wrong.mean()) and least > SURELY_WRONG
    if not many and not len(rows):
        return None
    numbers = case.rows.index[rows]
    shown = ", ".join(
        f"{number} ({case.label(found.labels[row])}, rather {case.label(other)})"
        for number, row, other in list(zip(numbers, rows, believed, strict=True))[:N_SHOWN]
    )
    return Finding(
        ("serious" if share > MANY_WRONG else "warning") if many else "info",
        f"{len(rows)} labels ({len(rows) / len(wrong):.1%}) look like those of another class; of the surest "
        f"rows {share:.1%} are wrong. First: rows {shown}.",
        share,
        "Look at these rows, and correct or drop those that are wrong."
        + (' Labels that stay wrong do less harm with loss_params={"label_smoothing": 0.1}.' if many else ""),
        {"loss_params": {"label_smoothing": 0.1}} if many and case.options.loss == "log_loss" else {},
        {
            "rows": numbers.tolist(),
            "labels": case.rows.y[rows].tolist(),
            "believed": case.classes[believed].tolist(),
        },
    )
