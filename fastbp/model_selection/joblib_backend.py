"""joblib's side of a fused search: a backend that collects calls and evaluates them together."""

import logging
from collections.abc import Callable
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase

from fastbp.model_selection import fusion
from fastbp.model_selection.distributed import evaluate_on_cluster
from fastbp.model_selection.evaluation import DEFAULTS, Call, Evaluation, Parameters, has_callbacks
from fastbp.model_selection.fused import evaluate
from fastbp.model_selection.resumption import KeptFits

logger = logging.getLogger("fastbp.model_selection")

# Calls that are collected before they are evaluated. Each holds a copy of the estimator, about ten kilobytes.
MAX_CALLS = 4096
N_BATCHES = 2  # that joblib makes of them


class CollectedBatch:
    """Calls of one batch, and joblib's future of their results."""

    def __init__(self, backend: "FusingBackend", calls: list[Call], callback: Callable | None) -> None:
        self.backend, self.calls, self.callback = backend, calls, callback
        self.results: list[Any] | None = None

    def get(self, timeout: float | None = None) -> list[Any]:
        """Return the results; all batches that wait are evaluated together."""
        if self.results is None:
            self.backend.evaluate_collected()
        if self.callback is not None:
            self.callback(self.results)  # joblib counts completed batches
        assert self.results is not None
        return self.results


class FusingBackend(ParallelBackendBase):
    """Collects the calls of a search, and evaluates them together in the thread that asks for the results.

    Parameters
    ----------
    n_jobs : int or None
        Number of threads that train networks; None for as many as help.
    others : dict
        Arguments of `joblib.Parallel` for calls that cannot be fused.
    kept : KeptFits or None
        Fits that the next iteration of a search resumes.
    distributes : bool
        Whether networks are trained by the workers of the user's backend instead.
    """

    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self,
        n_jobs: int | None = None,
        others: dict[str, Any] | None = None,
        kept: KeptFits | None = None,
        distributes: bool = False,
    ) -> None:
        super().__init__()
        self.n_jobs, self.others, self.kept = n_jobs, others or {}, kept
        self.distributes = distributes
        self.waiting: list[CollectedBatch] = []
        # Set by the search: the user's joblib configuration, for everything else within the search.
        self.restore_configuration: Callable[[], None] = lambda: None

    # --- joblib's protocol

    def effective_n_jobs(self, n_jobs: int) -> int:
        return N_BATCHES  # with one, joblib would make the calls itself

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        self.parallel = parallel
        parallel.pre_dispatch = "all"
        self.restore_configuration()
        return self.effective_n_jobs(n_jobs)

    def start_call(self) -> None:
        self.waiting = []
        if self.kept is not None:
            self.kept.next_iteration()

    def stop_call(self) -> None:
        self.waiting = []

    def compute_batch_size(self) -> int:
        return max(MAX_CALLS // N_BATCHES, 1)

    def submit(self, func: Any, callback: Callable | None = None) -> CollectedBatch:
        batch = CollectedBatch(self, func.items, callback)
        self.waiting.append(batch)
        if sum(len(one.calls) for one in self.waiting) >= MAX_CALLS:
            self.evaluate_collected()  # before joblib makes more of them
        return batch

    def apply_async(self, func: Any, callback: Callable | None = None) -> CollectedBatch:
        """The name of `submit` before joblib 1.5."""
        return self.submit(func, callback)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self.waiting = []

    # --- The evaluation

    def evaluate_collected(self) -> None:
        batches, self.waiting = self.waiting, []
        calls = [call for batch in batches for call in batch.calls]
        results = iter(evaluate_calls(calls, self.others, self.distributes, self._evaluate))
        for batch in batches:
            batch.results = [next(results) for _ in batch.calls]
            batch.calls = []

    def _evaluate(self, evaluations: list[Evaluation]) -> dict[int, dict[str, Any]]:
        if self.distributes:
            return evaluate_on_cluster(evaluations, self.others)
        return evaluate(evaluations, self.n_jobs, self.kept)


def evaluate_calls(
    calls: list[Call],
    others: dict[str, Any],
    distributes: bool,
    evaluate_fused: Callable[[list[Evaluation]], dict[int, dict[str, Any]]],
) -> list[Any]:
    """Return the results of calls of a search, in their order.

    Parameters
    ----------
    calls : list of Call
    others : dict
        Arguments of `joblib.Parallel` for calls that cannot be fused.
    distributes : bool
        Whether the user's backend distributes them.
    evaluate_fused : callable
        Returns the results of the others by their numbers.
    """
    fused: list[Evaluation] = []
    plain: list[int] = []
    reasons: dict[str, int] = {}
    observed: bool | None = None
    candidates: dict[int, tuple[Parameters, str | None]] = {}
    for number, call in enumerate(calls):
        reason = fusion.reason_against_call(call)
        if reason is None:
            _, (estimator, X, y), arguments = call
            given = arguments.get("parameters")
            if id(given) not in candidates:  # once for all folds
                parameters = Parameters(estimator, given)
                reason = fusion.reason_against_candidate(estimator, parameters)
                candidates[id(given)] = parameters, reason
            parameters, reason = candidates[id(given)]
            if reason is None:
                if observed is None:  # all estimators are clones of one
                    observed = hasattr(arguments.get("caller"), "_skl_callbacks") or has_callbacks(estimator)
                sees = observed or parameters.observed
                if sees and distributes:
                    reason = "callbacks see it, and workers have none"
            if reason is None:
                fused.append(Evaluation(number, estimator, X, y, DEFAULTS | arguments, parameters, sees))
        if reason is not None:
            plain.append(number)
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        logger.debug("%d of %d evaluations are not fused: %s", count, len(calls), reason)
    results: dict[int, Any] = {}
    if plain:
        results.update(zip(plain, joblib.Parallel(**others)(calls[number] for number in plain), strict=True))
    results.update(evaluate_fused(fused))
    return [results[number] for number in range(len(calls))]
