"""Scores of an evaluation, equal to the bit to those that scikit-learn computes from the fitted pipeline."""

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer, _Scorer
from sklearn.model_selection._validation import _score
from sklearn.utils.metadata_routing import _routing_enabled

from fastbp.estimators.class_predictions import ClassPredictions
from fastbp.model_selection.evaluation import Evaluation


def takes_predictions_only(scorer: Any, score_params: dict[str, Any]) -> bool:
    """Return whether a scorer gives a network and the rows it sees the score of the whole pipeline.

    A function of the user's may look at the pipeline or at the rows as they were given.
    """
    if type(scorer) is _MultimetricScorer:
        return all(takes_predictions_only(one, score_params) for one in scorer._scorers.values())
    if type(scorer) is _PassthroughScorer:
        return not (score_params and _routing_enabled())  # a pipeline routes them by its own rules
    return type(scorer) is _Scorer


def is_accuracy(scorer: Any) -> bool:
    """Return whether a scorer is a classifier's own score, or the accuracy of its predicted labels."""
    if type(scorer) is _PassthroughScorer:
        return True
    return (
        type(scorer) is _Scorer
        and scorer._score_func is accuracy_score
        and scorer._response_method == "predict"
        and scorer._sign == 1
        and not scorer._kwargs
    )


def accuracy(network: Any, X: Any, y: Any, score_params: dict[str, Any]) -> float | None:
    """Return the accuracy if it is a plain comparison of labels, else None.

    Most of the time of `accuracy_score` goes into finding out what kind of labels there are.
    """
    if score_params or getattr(type(network), "score", None) is not ClassPredictions.score:
        return None
    if type(y) is not np.ndarray or y.ndim != 1 or y.dtype.kind not in "biuU" or len(y) == 0:
        return None
    if network.classes_.dtype != y.dtype:
        return None
    predicted = network.predict(X)
    if type(predicted) is not np.ndarray or predicted.shape != y.shape or predicted.dtype != y.dtype:
        return None
    return float(np.count_nonzero(predicted == y) / len(y))


def score(evaluation: Evaluation, on_train: bool) -> Any:
    """Return the score, or the scores by name, on the test rows or the training rows."""
    group, arguments = evaluation.group, evaluation.arguments
    fold, scorer = group.fold, arguments["scorer"]
    error_score = arguments.get("error_score", np.nan)
    X, y, score_params = (
        (fold.X_train, fold.y_train, fold.score_params_train)
        if on_train
        else (fold.X_test, fold.y_test, fold.score_params_test)
    )
    estimator = None
    if takes_predictions_only(scorer, score_params):
        try:
            rows = group.train_rows if on_train else group.test_rows
        except Exception:
            pass  # raised again where scikit-learn makes a failed score of it
        else:
            if is_accuracy(scorer):
                try:
                    found = accuracy(evaluation.network, rows, y, score_params)
                except Exception:
                    found = None
                if found is not None:
                    return found
            estimator, X = evaluation.network, rows
    if estimator is None:
        estimator = group.whole(evaluation)
    return _score(estimator, X, y, scorer, score_params, error_score)


def failed_scores(scorer: Any, error_score: float) -> Any:
    """Return the scores of an evaluation whose fit failed."""
    if isinstance(scorer, _MultimetricScorer):
        return dict.fromkeys(scorer._scorers, error_score)
    return error_score
