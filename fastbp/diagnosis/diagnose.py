"""The public function: from a model and data to a report."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from fastbp.diagnosis import checks  # noqa: F401  (registers all of them)
from fastbp.diagnosis.case import Case
from fastbp.diagnosis.probe import quiet
from fastbp.diagnosis.progress import make_progress
from fastbp.diagnosis.registry import CHECKS, Check, NotApplicable, OutOfTime
from fastbp.diagnosis.report import Finding, Report
from fastbp.diagnosis.rows import Rows, checked_rows
from fastbp.diagnosis.subject import subject_of
from fastbp.estimators import type_hints
from fastbp.estimators.options import task_of
from fastbp.estimators.parameter_checks import check

MOST_VALIDATION_ROWS = 0.5  # of max_samples


def diagnose(
    model: Any,
    X: Any,
    y: Any,
    X_val: Any = None,
    y_val: Any = None,
    *,
    sample_weight: Any = None,
    sample_weight_val: Any = None,
    only: Iterable[str] | None = None,
    max_samples: type_hints.Count = 10_000,
    time_limit: type_hints.Real = 60.0,
    random_state: type_hints.Count = 0,
    verbose: type_hints.Flag = True,
) -> Report:
    """Look for what is wrong with data, settings or weights of a network, and say what to change.

    Copies of the network are trained on the data: with its own settings on four fifths of the rows, on two
    thirds for predictions of the others, on one small batch, and, where something looks wrong, with other
    settings, which are recommended only if they turn out better. The model itself is not changed. All checks
    are listed in ``fastbp/diagnosis/README.md``.

    Parameters
    ----------
    model : BPClassifier, BPRegressor, Pipeline, ensemble, table model or fitted search
        Fitted or not. Of a fitted network, its weights and its curve of losses are looked at. The steps of a
        Pipeline before the network are applied to X; if it is not fitted, copies of them are fitted. Of an
        ensemble, one member is looked at; of TabularClassifier and TabularRegressor, a network with
        ``preset="tabular"`` on the columns as these encode them.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The training data. Missing values are reported, not refused.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    X_val, y_val : as X and y, default=None
        Validation rows of your own. Without them a fifth of X is held out.
    sample_weight, sample_weight_val : array-like of shape (n_samples,), default=None
        Weights of the rows.
    only : iterable of str, default=None
        Codes of the checks to make; None for all.
    max_samples : int, default=10000
        At least 10. Of more rows a sample is drawn.
    time_limit : float, default=60.0
        Seconds after which no further training begins; one training takes an eighth of them at most. Checks
        that were not made are listed in the report.
    random_state : int, default=0
        Seed of samples and splits, and of networks whose own is not an int.
    verbose : bool, default=True
        Whether a progress bar is shown, in a terminal, once two seconds have passed.

    Returns
    -------
    Report
        Iterate over it for its findings, each with `code`, `severity`, `message`, `value`, `remedy` and
        `change`; ``report["dead_units"]`` is the one with this code, or None. It prints as text, is shown as
        a table in notebooks, and becomes a data frame by `to_frame`.

    Raises
    ------
    TypeError
        For a model without a network of this package.
    ValueError
        For data and parameters that no fit would take, except for values that are missing or not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from fastbp import BPClassifier
    >>> from fastbp.diagnosis import diagnose
    >>> X, y = load_wine(return_X_y=True)
    >>> report = diagnose(BPClassifier((20,), max_iter=30, random_state=0), X, y)
    >>> finding = report["unscaled_inputs"]
    >>> finding.severity, dict(finding.change)
    ('serious', {'input_scaling': 'robust'})
    """
    given = {
        "max_samples": max_samples,
        "time_limit": time_limit,
        "random_state": random_state,
        "verbose": verbose,
    }
    constraints = {
        "max_samples": [Interval(Integral, 10, None, closed="left")],
        "time_limit": [Interval(Real, 0, None, closed="neither")],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
        "verbose": ["boolean"],
    }
    check(constraints, given, "diagnose")
    chosen = _chosen(only)
    if (X_val is None) != (y_val is None):
        lacking, there = ("y_val", "X_val") if y_val is None else ("X_val", "y_val")
        raise ValueError(f"{there} is given without {lacking}: validation rows need both.")
    seed, most = int(random_state), int(max_samples)
    subject = subject_of(model, seed)
    subject.network._validate_params()
    with quiet():
        inputs, inputs_val, names = subject.transformed(X, y, X_val)
        task = task_of(subject.network)
        rows = checked_rows(inputs, y, sample_weight, task, most, seed)
        rows_val = None
        if X_val is not None:
            most_val = max(int(MOST_VALIDATION_ROWS * most), 2)
            rows_val = checked_rows(inputs_val, y_val, sample_weight_val, task, most_val, seed, "_val")
        n_columns = rows.X.shape[1]
        if names is None or len(names) != n_columns:
            names = [f"x{number}" for number in range(n_columns)]
        progress = make_progress(bool(verbose), len(chosen))
        fitted = subject.network if subject.is_fitted else None
        if fitted is not None and np.shape(fitted.coefs_[0])[0] != n_columns:
            raise ValueError(
                f"X has {n_columns} features, but the fitted network has {np.shape(fitted.coefs_[0])[0]} "
                "inputs: pass the X that it was fitted on, or a network that is not fitted."
            )
        case = Case(subject.network, fitted, rows, rows_val, names, seed, float(time_limit), progress)
        try:
            findings, checked, skipped, late = _checked(case, chosen)
        finally:
            progress.close()
    notes = [*subject.notes, *_notes(case, rows, rows_val), *case.notes]
    if late:
        notes.append(
            f"Not checked for lack of time: {', '.join(late)}. Raise time_limit, or lower max_samples."
        )
    return Report(findings, subject.name, notes, checked, skipped)


def _chosen(only: Iterable[str] | None) -> list[Check]:
    """Return the checks with these codes, in the order of the registry."""
    if only is None:
        return list(CHECKS.values())
    codes = [only] if isinstance(only, str) else list(only)
    unknown = [code for code in codes if code not in CHECKS]
    if unknown:
        raise ValueError(f"only names checks that there are not: {unknown}; there are {list(CHECKS)}.")
    return [one for code, one in CHECKS.items() if code in codes]


def _checked(case: Case, chosen: list[Check]) -> tuple[list[Finding], list[str], dict[str, str], list[str]]:
    """Return the findings, and the codes that were checked; were not, and why; lacked time."""
    findings, checked, late = [], [], []
    skipped = {code: "not asked for" for code, one in CHECKS.items() if one not in chosen}
    for number, one in enumerate(chosen):
        code = one.code
        case.progress.check(number)
        try:
            found = one(case)
        except NotApplicable as reason:
            skipped[code] = str(reason)
            if isinstance(reason, OutOfTime):
                late.append(code)
            continue
        checked.append(code)
        if found is not None:
            findings.append(found)
    return findings, checked, skipped, late


def _notes(case: Case, rows: Rows, rows_val: Rows | None) -> list[str]:
    notes = []
    if len(rows) < rows.n_given - rows.n_missing_targets:
        notes.append(
            f"A sample of {len(rows)} of {rows.n_given} rows was looked at: fewer rows are learnt by heart "
            "sooner, and have fewer repeated rows. Raise max_samples for more."
        )
    if rows_val is not None and len(rows_val) < rows_val.n_given - rows_val.n_missing_targets:
        notes.append(f"A sample of {len(rows_val)} of {rows_val.n_given} validation rows was looked at.")
    if case.fitted is not None:
        notes.append(
            "Weights and losses are those of the fitted network; predictions and losses of rows held out "
            "are those of copies, trained anew."
        )
    return notes
