"""Evaluations as one job: the networks of all candidates on all folds are trained together."""

import logging
import time
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.model_selection.evaluation import Evaluation
from fastbp.model_selection.groups import Fold, Group, grouped
from fastbp.model_selection.report import report_end, report_start
from fastbp.model_selection.resumption import KeptFits
from fastbp.model_selection.scoring import failed_scores, score

logger = logging.getLogger("fastbp.model_selection")

# Bound of the networks that are kept at a time, and of these with the rows of all groups but the last: the
# rows of one fold may be larger than any bound.
MAX_BYTES = 256 * 2**20


def evaluate(
    evaluations: Sequence[Evaluation], n_jobs: int | None, kept: KeptFits | None = None
) -> dict[int, dict[str, Any]]:
    """Return the results by the numbers of the evaluations, each as `_fit_and_score` returns it.

    Parameters
    ----------
    evaluations : sequence of Evaluation
    n_jobs : int or None
        Number of threads; None for as many as help.
    kept : KeptFits or None
        The fits of an earlier iteration, which are resumed, and the place for these.

    Raises
    ------
    Exception
        With ``error_score="raise"``, the error of the first fit that failed, in scikit-learn's order.
    """
    results: dict[int, dict[str, Any]] = {}
    waiting: list[Evaluation] = []
    of_rows = of_networks = 0
    fold: Fold | None = None
    last: tuple[int, int] | None = None
    prepared: list[Group] = []
    try:
        for group in grouped(evaluations):
            if waiting and of_rows + of_networks > MAX_BYTES:
                results.update(_evaluate_block(waiting, n_jobs, kept))
                waiting, of_rows, of_networks = [], 0, 0
            place = id(group.first.arguments["train"]), id(group.first.arguments["test"])
            prepared.append(group)
            fold, last = group.prepare(fold if place == last else None), place
            n_bytes = group.n_bytes
            of_rows += n_bytes
            for evaluation in list(group.evaluations):
                waiting.append(evaluation)
                of_networks += network_bytes(evaluation)
                if of_networks > MAX_BYTES:
                    results.update(_evaluate_block(waiting, n_jobs, kept))
                    waiting, of_rows, of_networks = [], n_bytes, 0
        results.update(_evaluate_block(waiting, n_jobs, kept))
    finally:
        for group in prepared:
            group.end(failed=True)  # does nothing where an evaluation has ended
    return results


def _evaluate_block(
    evaluations: list[Evaluation], n_jobs: int | None, kept: KeptFits | None
) -> dict[int, dict[str, Any]]:
    """Train the networks of some evaluations together, then score them."""
    # In scikit-learn's order, in which fits without a seed draw theirs.
    evaluations = sorted(evaluations, key=lambda evaluation: evaluation.number)
    for evaluation in evaluations:
        report_start(evaluation)
        evaluation.error = evaluation.group.error
        evaluation.fit_time = evaluation.group.prepare_time / evaluation.group.n_evaluations
    _train([evaluation for evaluation in evaluations if evaluation.error is None], n_jobs, kept)
    results = {}
    for evaluation in evaluations:
        results[evaluation.number] = _result(evaluation)
        evaluation.group.finish()
        evaluation.estimator = evaluation.error = None  # frees the network, and the frames of a traceback
    return results


def _train(evaluations: list[Evaluation], n_jobs: int | None, kept: KeptFits | None) -> None:
    started = time.perf_counter()
    jobs = []
    for evaluation in evaluations:
        group = evaluation.group
        fit = None if kept is None else kept.find(evaluation)
        jobs.append(FitJob(evaluation.network, group.X_train, group.fold.y_train, group.fit_params, fit))
    outcomes = fit_many(jobs, n_jobs) if jobs else []
    resumed = [0 if job.resumable is None else job.resumable.n_resumed for job in jobs]
    if kept is not None:
        for evaluation, job in zip(evaluations, jobs, strict=True):
            if job.resumable is not None:
                kept.keep(evaluation, job.resumable)
        n_resumed = sum(n_epochs > 0 for n_epochs in resumed)
        logger.debug("%d of %d fits resume the ones of the iteration before", n_resumed, len(jobs))
    duration = time.perf_counter() - started
    n_rows = [evaluation.group.fold.n_train for evaluation in evaluations]
    parts = shares(outcomes, n_rows, resumed)
    for evaluation, outcome, share in zip(evaluations, outcomes, parts, strict=True):
        group = evaluation.group
        evaluation.fit_time += duration * share
        evaluation.error = outcome if isinstance(outcome, Exception) else None
        if group.observed:
            try:
                group.end(failed=evaluation.error is not None)
            except Exception as error:  # of a callback
                evaluation.error = error


def shares(outcomes: list[Any], n_rows: list[int], resumed: list[int]) -> np.ndarray:
    """Return each network's part of the time of a joint training, in proportion to its work.

    Work is counted as rows seen times weights; `n_rows` are the training rows, all of which an iteration of
    lbfgs sees; `resumed` are the epochs that were not repeated. A fit that failed counts as the mean of the
    others.
    """
    work = np.array([_work(*one) for one in zip(outcomes, n_rows, resumed, strict=True)])
    known = work[np.isfinite(work)]
    work[~np.isfinite(work)] = known.mean() if len(known) else 1.0
    return work / work.sum() if work.sum() > 0 else np.full(len(work), 1 / max(len(work), 1))


def _work(outcome: Any, n_rows: int, n_resumed: int) -> float:
    if isinstance(outcome, Exception):
        return np.nan
    n_seen = outcome.t_ or outcome.n_iter_ * n_rows
    new = 1 - n_resumed / max(outcome.n_iter_, 1)
    return float(n_seen) * new * sum(coef.size for coef in outcome.coefs_)


def _result(evaluation: Evaluation) -> dict[str, Any]:
    """Score an evaluation and return what `_fit_and_score` returns."""
    group, arguments = evaluation.group, evaluation.arguments
    result: dict[str, Any] = {"fit_error": None}
    train_scores = None
    if evaluation.error is not None:
        error_score = arguments["error_score"]
        if error_score == "raise":
            raise evaluation.error
        result["fit_error"] = "".join(traceback.format_exception(evaluation.error))
        test_scores = failed_scores(arguments["scorer"], error_score)
        if arguments["return_train_score"]:
            train_scores = failed_scores(arguments["scorer"], error_score)
    else:
        started, transformed = time.perf_counter(), group.transform_time
        test_scores = score(evaluation, on_train=False)
        alone = time.perf_counter() - started - (group.transform_time - transformed)
        evaluation.score_time = alone + group.test_time / group.n_evaluations
        if arguments["return_train_score"]:
            train_scores = score(evaluation, on_train=True)
    report_end(evaluation, test_scores, train_scores)
    result["test_scores"] = test_scores
    if arguments["return_train_score"]:
        result["train_scores"] = train_scores
    if arguments["return_n_test_samples"]:
        result["n_test_samples"] = group.fold.n_test
    if arguments["return_times"]:
        result["fit_time"], result["score_time"] = evaluation.fit_time, evaluation.score_time
    return result


def network_bytes(evaluation: Evaluation) -> int:
    """Return an estimate of the memory of a network while it is trained: four vectors of its size.

    Zero for sizes that its fit will refuse.
    """
    group = evaluation.group
    try:
        hidden = np.atleast_1d(np.asarray(evaluation.network.hidden_layer_sizes, np.int64))
        y_shape = np.shape(group.fold.y_train)
        sizes = [int(np.shape(group.X_train)[1]), *hidden.tolist(), y_shape[1] if len(y_shape) > 1 else 10]
    except Exception:
        return 0
    return 4 * 8 * sum(n_in * n_out for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True))
