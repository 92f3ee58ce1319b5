"""What must hold of every call: what it may raise and warn of, and what it leaves behind.

Each function returns the faults that it has found, as short texts that are equal for faults of one kind.
"""

import os
import re
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
    UndefinedMetricWarning,
)

import fastbp
from fastbp.estimators.learning_rate_range import PLAIN

from .case import Call
from .state import arrays, bits

CASE = "<case>"  # the file name of a case's own code
PACKAGE = str(Path(fastbp.__file__).parent) + os.sep
TRAINING = ("fit", "partial_fit")
CHECKING = (*TRAINING, "range", "resume")  # the calls that look at the parameters
SET_FOR_RANGE = {*PLAIN, "learning_rate_init"}  # what the range test does not look at
QUESTIONS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_interval",
    "decision_function",
    "transform",
    "score",
)
LARGE = 1e3
REFUSALS = (ValueError, TypeError, MemoryError)
MEANT = [
    (ConvergenceWarning, ""),
    (UserWarning, "Got `batch_size` less than 1 or larger than sample size"),
    (RuntimeWarning, "The checkpoint .* cannot be written"),
    (DataConversionWarning, "A column-vector y was passed"),
    (UndefinedMetricWarning, "score is not well-defined with less than two samples"),
    (UserWarning, ".* takes its scales from the first block of partial_fit, which has"),
    (UserWarning, "X_val lies on another scale than X"),
    (UserWarning, "The number of unique classes is greater than 50%"),
    (UserWarning, "X (does not have valid|has) feature names"),
]


# --- What a call raises


def of_error(error: BaseException, call: Call) -> list[str]:
    """Faults of an exception: its type, where it comes from, what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    name, message = type(error).__name__, str(error)
    if call.kind == "pickle":
        if "lambda" not in message or re.search("StopWhen|callback|The parameter '", message):
            return []  # some values of parameters cannot be pickled, which pickle says
        return [f"{name} of pickle names no callback"]
    if not any(in_package(frame.filename) or _in_sklearn(frame.filename) for frame in frames):
        return []  # the case's own mistake: an attribute that a model without a fit does not have
    if isinstance(error, AttributeError) and (
        isinstance(error, NotFittedError) or Path(frames[-1].filename).name == "_available_if.py"
    ):
        return []
    if not isinstance(error, REFUSALS):
        return [f"{name} at {_innermost(frames)}"]
    if not message.strip():
        return [f"{name} without a message at {_innermost(frames)}"]
    if not isinstance(error, MemoryError) and _is_accident(frames):
        return [f"{name} that nobody raised, at {_innermost(frames)}"]
    named = any(re.search(rf"\b{name}\b", message) for name in (*call.odd, "Checkpoint"))
    from_check = Path(frames[-1].filename).name == "_param_validation.py"
    if (call.bad or from_check) and call.odd and _looks_at_parameters(call) and not named:
        return [
            f"{name} that does not name {' or '.join(sorted(call.bad or call.odd))}, at {_innermost(frames)}"
        ]
    return []


def in_package(filename: str) -> bool:
    """Whether a file is one of fastbp's."""
    return filename.startswith(PACKAGE)


def _in_sklearn(filename: str) -> bool:
    return "sklearn" in Path(filename).parts


def _innermost(frames: traceback.StackSummary) -> str:
    """The innermost line of fastbp's, and the function of another package that it called."""
    own = [place for place, frame in enumerate(frames) if in_package(frame.filename)]
    if not own:
        last = frames[-1]
        return f"{Path(last.filename).name}:{last.name}"
    frame = frames[own[-1]]
    inner = [frame for frame in frames[own[-1] + 1 :] if frame.filename != warnings.__file__]
    called = f" in {inner[0].name}" if inner else ""
    return f"{Path(frame.filename).relative_to(PACKAGE)}:{frame.lineno}{called}"


def _is_accident(frames: traceback.StackSummary) -> bool:
    """Whether the error comes from a line of fastbp's that is no "raise", or from a package that does not
    check arguments for it."""
    own = [place for place, frame in enumerate(frames) if in_package(frame.filename)]
    if not own:
        return False
    inner = frames[own[-1] + 1 :]
    if not inner:
        return not (frames[own[-1]].line or "").startswith("raise")
    return not _in_sklearn(inner[0].filename) and inner[0].filename != CASE


def _looks_at_parameters(call: Call) -> bool:
    """Whether the parameters are all that can be wrong with a call."""
    other_data = "X3" in call.code or "_init" in call.code
    return call.kind in CHECKING and not other_data


# --- What it warns of


@dataclass(frozen=True)
class Warned:
    """A warning, the file that it points at, and the stack on which it was given."""

    message: str
    category: type[Warning]
    filename: str
    stack: traceback.StackSummary


def of_warnings(caught: list[Warned], call: Call, starts_afresh: bool) -> Iterator[str]:
    """Faults of the warnings: those that are not meant, and those that point into the package.

    `starts_afresh`: whether the call learns the names of the features, so that none of them can be missing.
    """
    for found in caught:
        text = found.message
        if call.kind == "score" and any("/sklearn/metrics/" in frame.filename for frame in found.stack):
            continue  # scikit-learn's, about the user's numbers
        is_meant = any(issubclass(found.category, kind) and re.search(part, text) for kind, part in MEANT)
        if starts_afresh and "feature names" in text:
            is_meant = False
        if not is_meant or in_package(found.filename):
            what = re.sub(r"\d+", "N", text.splitlines()[0])[:60] if text else ""
            yield f"{found.category.__name__} in {call.kind} at {_innermost(found.stack)}: {what}"


# --- What it has taken


def of_acceptance(call: Call, data: dict[str, Any], is_classifier: bool) -> Iterator[str]:
    """Faults of a call that went well, though it was given what is to be refused."""
    unseen = SET_FOR_RANGE if call.kind == "range" else set()
    if call.kind in CHECKING and (bad := call.bad - unseen):
        yield f"a bad value of {' or '.join(sorted(bad))} is accepted by {call.kind}"
    if call.X is None:
        return
    if not call.part and not _finite(data[call.X]):
        yield f"{call.kind} takes an X with NaN or infinity"
    if call.kind not in (*CHECKING, "loss_and_gradients"):
        return
    y, weight = data[call.y or ""], data[call.sample_weight or ""]
    if not is_classifier:
        if not _finite(y):
            yield f"{call.kind} takes a y with NaN or infinity"
        if np.asarray(y).dtype.kind in "mMSU":
            yield f"{call.kind} of a regressor takes a y of dtype kind {np.asarray(y).dtype.kind}"
    if weight is not None and (call.sample_weight or "") in call.code:
        weight = np.asarray(weight, dtype=float)
        if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
            yield f"{call.kind} takes weights that are negative, not finite or all zero"


def _finite(values: Any) -> bool:
    """Whether there is no NaN and no infinity in it, as far as one can tell."""
    if sparse.issparse(values):
        values = values.tocoo().data
    array = np.asarray(values)
    if array.dtype.kind == "O":
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            return True
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


# --- What it leaves behind


def of_model(model: Any, X: Any, is_classifier: bool) -> Iterator[str]:
    """Faults of a model that was trained on X: numbers that are not finite, no probabilities."""
    for name in ("coefs_", "intercepts_", "feature_params_", "loss_", "loss_curve_", "validation_scores_",
                 "validation_loss_curve_", "best_validation_score_", "best_loss_", "target_mean_",
                 "target_scale_", "target_range_"):  # fmt: skip
        value = getattr(model, name, None)
        if value is not None and not all(np.isfinite(part).all() for part in _parts(value)):
            yield f"{name} is not finite after a fit"
    yield from of_answer("predict", model.predict(X), model, "after a fit, ")
    if hasattr(model, "predict_interval"):
        yield from of_answer("predict_interval", model.predict_interval(X), model, "after a fit, ")
    if is_classifier:
        kind = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
        yield from of_answer(kind, getattr(model, kind)(X), model, "after a fit, ")


def _parts(value: Any) -> list[np.ndarray]:
    return [np.asarray(part, dtype=float) for part in (value if isinstance(value, list) else [value])]


def of_answer(kind: str, answer: Any, model: Any, when: str = "", exact: bool = True) -> Iterator[str]:
    """Faults of what a model has answered.

    `exact`: whether all must be finite; large numbers may overflow somewhere, which infinity says.
    """
    if kind == "range":
        if not (np.isfinite(answer.losses).all() and np.isfinite(answer.smoothed).all()):
            yield "learning_rate_range: losses are not finite"
        if answer.suggestion is not None and not answer.rates[0] <= answer.suggestion <= answer.rates[-1]:
            yield "learning_rate_range: the suggestion is none of the rates"
    if kind not in QUESTIONS:
        return
    numbers = answer.toarray() if sparse.issparse(answer) else np.asarray(answer)
    if exact and numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        yield f"{when}{kind} is not finite"
    if kind == "predict_interval" and not (numbers[..., 0] <= numbers[..., 1]).all():
        yield f"{when}intervals end before they begin"
    is_multilabel = hasattr(model, "classes_") and _is_multilabel(model)
    if kind == "predict_proba" and np.isfinite(numbers).all():
        if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
            yield f"{when}probabilities are beyond 0 and 1"
        if not is_multilabel and not np.allclose(numbers.sum(axis=1), 1, rtol=0, atol=1e-5):
            yield f"{when}probabilities do not sum to 1"
    known = getattr(model, "classes_", None) if kind == "predict" and not is_multilabel else None
    if known is not None and not set(numbers.tolist()) <= set(known.tolist()):
        yield f"{when}predict gives labels that are not in classes_"


def _is_multilabel(model: Any) -> bool:
    """Whether a classifier gives each row several labels."""
    return model.predict(np.zeros((1, model.n_features_in_))).ndim == 2


def are_moderate(*values: Any) -> bool:
    """Whether no number is so large that an answer about it may overflow."""
    for value in values:
        if sparse.issparse(value):
            value = value.tocoo().data
        try:
            numbers = np.abs(np.asarray(value if value is not None else 1.0, dtype=float))
        except (TypeError, ValueError):
            continue
        if numbers.size and not numbers.max() < LARGE:
            return False
    return True


def of_single_rows(model: Any, X: Any) -> Iterator[str]:
    """A row has the same bits alone and among others."""
    if isinstance(X, np.ma.MaskedArray) or not (
        isinstance(X, np.ndarray) or getattr(X, "format", "") == "csr"
    ):
        return
    questions = ["predict", "predict_proba", "predict_interval", "decision_function"]
    if "_sklearn_output_config" not in vars(model):  # a frame is no array, and of sparse rows there is none
        questions.append("transform")
    for name in questions:
        if hasattr(model, name) and (whole := getattr(model, name)(X)) is not None:
            for row in {0, X.shape[0] - 1}:
                alone = getattr(model, name)(X[row : row + 1])
                if bits(alone) != bits(whole[row : row + 1]) and not sparse.issparse(whole):
                    yield f"{name} of a row alone has other bits than among others"


def of_memory(model: Any, data: dict[str, Any]) -> Iterator[str]:
    """The model keeps no array of the user's."""
    given = {name: arrays(value) for name, value in data.items()}
    for attribute, value in vars(model).items():
        if attribute in model.get_params(deep=False) or attribute == "_skl_callbacks":
            continue
        for own in arrays(value):
            for name, theirs in given.items():
                if own.size and any(np.may_share_memory(own, other) for other in theirs):
                    yield f"{attribute} shares its memory with the user's {name[0]}"
