"""Checks of the targets alone: missing, rare classes, scale."""

import numpy as np

from fastbp import presets
from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

# With ten rows, a fold or a tenth held out for early stopping has one or two of the class.
FEW_ROWS = 10
SMALL_SHARE = 0.01
# Standard deviations of the target. An output layer begins near zero with weights for outputs of about 1; the
# raw target of load_diabetes (77, mean 152) takes hundreds of epochs to get there.
WIDE, VERY_WIDE = 10.0, 1000.0
NARROW = 0.01
FAR_FROM_ZERO = 10.0  # mean over standard deviation


@check(
    meaning="rows without a target",
    figure="share of such rows",
    threshold="any",
    remedy="leave the rows out",
)
def missing_targets(case: Case) -> Finding | None:
    rows = case.rows
    if not rows.n_missing_targets:
        return None
    share = rows.n_missing_targets / rows.n_given
    return Finding(
        "serious",
        f"{rows.n_missing_targets} rows ({share:.2%}) have no finite target. A fit refuses them; here they "
        "are left out.",
        share,
        "Leave these rows out.",
    )


@check(
    meaning="all rows have the same target",
    figure="number of distinct targets",
    threshold="one",
    remedy="check how y is made",
)
def constant_target(case: Case) -> Finding | None:
    y = case.rows.y.reshape(len(case.rows), -1)
    constant = [column for column in range(y.shape[1]) if len(np.unique(y[:, column])) == 1]
    if not constant:
        return None
    where = "" if y.shape[1] == 1 else f" in columns {constant} of y"
    return Finding(
        "serious",
        f"All rows have the same target{where}: there is nothing to learn.",
        1.0,
        "Check how y is made, and whether rows are sorted by it and cut off.",
        details={"columns": constant},
    )


@check(
    meaning="classes with few rows",
    figure="rows of the rarest class",
    threshold=f"fewer than {FEW_ROWS} (warning); below {SMALL_SHARE:.0%} of the rows (info)",
    remedy='merge or collect more; `class_weight="balanced"`, stratified splits',
)
def rare_classes(case: Case) -> Finding | None:
    need(case.one_label, "there are no classes, or several labels a row")
    counts = case.rows.counts
    n_rows = sum(counts.values())
    rare = {label: n for label, n in counts.items() if n < FEW_ROWS or n < SMALL_SHARE * n_rows}
    if not rare:
        return None
    fewest = min(rare.values())
    shown = ", ".join(f"{label!r} ({n})" for label, n in sorted(rare.items(), key=lambda one: one[1])[:5])
    return Finding(
        "warning" if fewest < FEW_ROWS else "info",
        f"{len(rare)} of {len(counts)} classes are rare; rows of them: {shown}. They are hardly learnt, and "
        "scores of them are noise.",
        float(fewest),
        'Merge them or collect more rows; class_weight="balanced" weighs them up, stratified splits keep '
        "some on each side.",
        {"class_weight": "balanced"} if case.options.class_weight is None else {},
        {"classes": list(rare)},
    )


@check(
    meaning="targets of a regression far from unit scale",
    figure="standard deviation of the target",
    threshold=f"above {WIDE:g} (serious: {VERY_WIDE:g}), below {NARROW:g}, mean {FAR_FROM_ZERO:g} times it",
    remedy='`target_scaling="standard"`',
)
def unscaled_targets(case: Case) -> Finding | None:
    options = case.options
    need(not case.is_classifier, "classes have no scale")
    need(options.target_scaling is None and options.loss != "gaussian_nll", "the network scales its targets")
    takes = presets.takes_scaled_targets(options.loss, options.out_activation)
    need(takes, f"loss={options.loss!r} and its outputs are for targets as they are")
    y = case.rows.y.reshape(len(case.rows), -1).astype(np.float64)
    std, mean = y.std(axis=0), np.abs(y.mean(axis=0))
    need((std > 0).any(), "the target is constant")
    widest = float(std.max())
    off = float((mean[std > 0] / std[std > 0]).max())
    if NARROW <= widest <= WIDE and off <= FAR_FROM_ZERO:
        return None
    return Finding(
        "serious" if widest > VERY_WIDE else "warning",
        f"The target has a standard deviation of {widest:.3g} and a mean of {float(mean.max()):.3g}: the "
        "output begins near zero, in steps for outputs of about 1.",
        widest,
        'Set target_scaling="standard": the network then trains on the standardised target and predicts '
        "in its units.",
        {"target_scaling": "standard"},
    )
