"""Evaluations on a cluster: blocks of them are sent through the user's joblib backend, such as Dask's.

A block is one task, and its networks are trained together by one thread of its worker. X and y are arguments
of their own, so that a backend which recognises equal arguments sends them to a worker once.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import joblib
from sklearn.utils.parallel import Parallel, delayed

from fastbp.model_selection.evaluation import Evaluation, Parameters
from fastbp.model_selection.fused import evaluate

logger = logging.getLogger("fastbp.model_selection")

BLOCKS_PER_WORKER = 4  # so that workers end at about the same time
MOST_TRIES = 4  # where rows are lost with their worker
OF_CALLER = ("caller", "callback_ctx")  # arguments that only evaluations with callbacks need


class Entry(NamedTuple):
    """An evaluation on its way to a worker, without its rows."""

    number: int
    estimator: Any
    arguments: dict[str, Any]


class Outcome(NamedTuple):
    """Results of a block by the numbers of its evaluations, or the error that ended it."""

    results: dict[int, dict[str, Any]]
    error: Exception | None = None


def evaluate_on_cluster(
    evaluations: Sequence[Evaluation], others: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    """Return the results by the numbers of the evaluations, as `evaluate` does.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Of the same X and y, without callbacks.
    others : dict
        Arguments of `joblib.Parallel`.
    """
    if not evaluations:
        return {}
    X, y = evaluations[0].X, evaluations[0].y
    n_workers = joblib.effective_n_jobs(others.get("n_jobs"))
    blocks = blocks_of(evaluations, BLOCKS_PER_WORKER * n_workers)
    logger.debug("%d evaluations are distributed in %d blocks", len(evaluations), len(blocks))
    results: dict[int, dict[str, Any]] = {}
    for outcome in _outcomes(X, y, blocks, others.get("n_jobs")):
        if outcome.error is not None:
            raise outcome.error
        results.update(outcome.results)
    return results


def _outcomes(X: Any, y: Any, blocks: list[list[Entry]], n_jobs: int | None) -> list[Outcome]:
    """Evaluate blocks on the workers; again where Dask gives up because X is lost with a worker.

    Dask itself repeats the tasks of a worker that it has lost, but not the transfer of their arguments.
    """
    for n_tries in range(1, MOST_TRIES + 1):
        parallel = Parallel(n_jobs=n_jobs, batch_size=1, pre_dispatch="all")
        try:
            return list(parallel(delayed(evaluate_block)(X, y, block) for block in blocks))
        except CancelledError as error:
            if n_tries == MOST_TRIES:
                raise
            logger.debug("The blocks are sent again after %r", error)
    raise AssertionError


def evaluate_block(X: Any, y: Any, block: list[Entry]) -> Outcome:
    """Evaluate a block on its worker."""
    evaluations = []
    for number, estimator, arguments in block:
        parameters = Parameters(estimator, arguments["parameters"])
        evaluations.append(Evaluation(number, estimator, X, y, arguments, parameters, False))
    try:
        return Outcome(evaluate(evaluations, n_jobs=1))
    except Exception as error:
        return Outcome({}, error)


def blocks_of(evaluations: Sequence[Evaluation], n_blocks: int) -> list[list[Entry]]:
    """Divide evaluations into about `n_blocks`, each of one fold; equal earlier steps stay close together."""
    folds: dict[tuple[int, int], dict[tuple, list[Evaluation]]] = {}
    for evaluation in evaluations:
        fold = id(evaluation.arguments["train"]), id(evaluation.arguments["test"])
        folds.setdefault(fold, {}).setdefault(evaluation.parameters.key, []).append(evaluation)
    n_of_fold = -(-n_blocks // len(folds))
    blocks = []
    for kinds in folds.values():
        members = [entry_of(evaluation) for kind in kinds.values() for evaluation in kind]
        size = -(-len(members) // n_of_fold)
        blocks += [members[start : start + size] for start in range(0, len(members), size)]
    return blocks


def entry_of(evaluation: Evaluation) -> Entry:
    """Return what is sent of an evaluation."""
    arguments = {name: value for name, value in evaluation.arguments.items() if name not in OF_CALLER}
    return Entry(evaluation.number, evaluation.estimator, arguments)
