"""The searches of `sklearn.model_selection` whose candidates are trained as one job."""

import logging
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, Self

import joblib
from joblib.parallel import get_active_backend
from sklearn import model_selection
from sklearn.model_selection import _search_successive_halving as halving
from sklearn.pipeline import Pipeline

from fastbp.estimators.cloning import cloned
from fastbp.model_selection.fusion import is_distributed, reason_against_search
from fastbp.model_selection.joblib_backend import FusingBackend
from fastbp.model_selection.resumption import kept_fits

logger = logging.getLogger("fastbp.model_selection")


class FusedSearch:
    """Mixin of the searches: runs scikit-learn's `fit` on a joblib backend that fuses its calls."""

    n_jobs: int | None
    pre_dispatch: int | str

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, and train the best estimator on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params : dict
            Passed to the `fit` of the estimator, the scorer and the splitter, as in scikit-learn.

        Returns
        -------
        self : object
        """
        reason = reason_against_search(self)
        if reason is not None:
            logger.debug("%s is not fused: %s", type(self).__name__, reason)
            return super().fit(X, y=y, **params)  # type: ignore[misc]
        others = {"n_jobs": self.n_jobs, "pre_dispatch": self.pre_dispatch}
        if is_distributed():
            backend = FusingBackend(others=others, distributes=True)
        else:
            backend = FusingBackend(_n_threads(self.n_jobs), others, kept_fits(self))
        configuration = joblib.parallel_config(backend=backend)
        backend.restore_configuration = configuration.unregister
        with configuration:
            return super().fit(X, y=y, **params)  # type: ignore[misc]

    def _run_search(self, evaluate_candidates: Callable, *, callback_ctx: Any = None) -> None:
        _clone_fast(evaluate_candidates)
        super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)  # type: ignore[misc]


def _clone_fast(evaluate_candidates: Callable) -> None:
    """Have scikit-learn's copy of a pipeline, which it clones for each fit, cloned by `cloned`.

    Nothing is changed in a version of scikit-learn that does not know it by this name.
    """
    code, cells = getattr(evaluate_candidates, "__code__", None), evaluate_candidates.__closure__ or ()
    kept = dict(zip(code.co_freevars if code else (), cells, strict=False)).get("base_estimator")
    pipeline: Any = None if kept is None else kept.cell_contents
    if type(pipeline) is Pipeline:
        pipeline.__sklearn_clone__ = partial(cloned, pipeline)


def _n_threads(n_jobs: int | None) -> int | None:
    """Return the number of threads that `n_jobs` means under joblib's configuration; None if it is free."""
    if n_jobs is None:
        _, n_jobs = get_active_backend()
    return joblib.effective_n_jobs(n_jobs) if isinstance(n_jobs, Integral) else None


class GridSearchCV(FusedSearch, model_selection.GridSearchCV):
    """`sklearn.model_selection.GridSearchCV` that trains all candidates on all folds as one job.

    Parameters, attributes and scores are scikit-learn's. The estimator is one of fastbp's, or a pipeline that
    ends with one; others are searched by scikit-learn's own code.

    Notes
    -----
    ``n_jobs`` is the number of threads; None stands for as many as help. ``pre_dispatch`` is without effect.

    On a cluster, as with ``joblib.parallel_config("dask")`` (the extra ``fastbp[dask]``), blocks of
    candidates are sent to the workers, each a fold's, and those of a block are trained together. X and y are
    sent apart from the blocks. Blocks that are lost with a worker are sent again. Searches that callbacks
    see are distributed by scikit-learn's code.

    The steps before the network are fitted once for each fold and each setting of their own parameters, so
    that candidates which share both share them, also where a step draws random numbers without a seed.

    The times in ``cv_results_`` are shares: what was done for several fits is divided among them, in the
    joint training in proportion to the rows seen times the weights. Their sum is the time of all fits and
    scores.

    What is not fused, and why, is logged at the level DEBUG by the logger ``fastbp.model_selection``.

    See Also
    --------
    RandomizedSearchCV : Candidates drawn from distributions.
    HalvingGridSearchCV : Candidates that compete for resources.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((10,), max_iter=20, tol=0, random_state=0)
    >>> search = GridSearchCV(network, {"learning_rate_init": [1e-3, 1e-1]}, cv=3).fit(X, y)
    >>> search.best_params_
    {'learning_rate_init': 0.1}
    """


class RandomizedSearchCV(FusedSearch, model_selection.RandomizedSearchCV):
    """`sklearn.model_selection.RandomizedSearchCV` that trains all candidates on all folds as one job.

    See :class:`GridSearchCV` for what that means; parameters, attributes and scores are scikit-learn's.
    """


class HalvingGridSearchCV(FusedSearch, halving.HalvingGridSearchCV):
    """`sklearn.model_selection.HalvingGridSearchCV` that trains the candidates of an iteration as one job.

    See :class:`GridSearchCV` for what that means; parameters, attributes and scores are scikit-learn's. It
    needs no import from ``sklearn.experimental``.

    Notes
    -----
    With ``resource="max_iter"``, or ``"<step>__max_iter"`` in a pipeline, a candidate that stays resumes its
    training, with the scores of one that begins again, to the bit. It begins again where a result after few
    epochs is not part of the result after more: with a `schedule` other than "constant" and "plateau",
    ``average="swa"`` or solver "lbfgs"; without a seed; with callbacks, `verbose`, `warm_start`; if a step
    before the network gives other rows at each fit; on a cluster; and beyond 128 MiB of states.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.model_selection import HalvingGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"learning_rate_init": [1e-3, 1e-2, 1e-1]}
    >>> network = BPClassifier((10,), tol=0, random_state=0)
    >>> options = {"resource": "max_iter", "min_resources": 10, "max_resources": 30, "cv": 3}
    >>> search = HalvingGridSearchCV(network, grid, **options).fit(X, y)
    >>> search.n_resources_
    [10, 30]
    """


class HalvingRandomSearchCV(FusedSearch, halving.HalvingRandomSearchCV):
    """`sklearn.model_selection.HalvingRandomSearchCV` that trains the candidates of an iteration as one job.

    See :class:`GridSearchCV` for what that means, and :class:`HalvingGridSearchCV` for candidates that resume
    their training; parameters, attributes and scores are scikit-learn's. It needs no import from
    ``sklearn.experimental``.
    """
