"""Exports of fitted models: what their outputs mean, for the writers in ``fastbp.export``."""

from os import PathLike
from typing import Any, overload

import numpy as np

from fastbp.estimators.type_hints import Flag
from fastbp.export.models import to_c, to_numba
from fastbp.export.prediction import (
    ABOVE,
    CERTAIN,
    EACH,
    LARGEST,
    ONLY,
    PAIR,
    SHARES,
    Member,
    Part,
    Prediction,
    head,
    in_units,
    minus,
    normal_in_units,
)
from fastbp.export.program import program_of

Path = str | PathLike[str]


class Exported:
    """Exports of a fitted model."""

    def _prediction(self) -> Prediction:
        raise NotImplementedError

    @overload
    def to_c(self, path: Path, *, name: str = "model", dtype: Any = None) -> None: ...

    @overload
    def to_c(self, path: None = None, *, name: str = "model", dtype: Any = None) -> str: ...

    def to_c(self, path: Path | None = None, *, name: str = "model", dtype: Any = None) -> str | None:
        """Write the model as one C99 file that needs nothing but ``math.h``.

        The file has the weights as constants, and functions for one row of inputs: for a classifier
        ``NAME_predict_proba(x, out)`` (or ``NAME_decision_function``), ``NAME_predict(x)``, which returns the
        index of the class, and ``NAME_class(index)``; for a regressor ``NAME_predict(x, out)`` in the units
        of the targets, and ``NAME_predict_std(x, mean, std)`` with loss='gaussian_nll' and for ensembles. It
        allocates nothing; its comment says how to compile it.

        Parameters
        ----------
        path : str or path-like, default=None
            None: the text is returned, and no file written.
        name : str, default="model"
            Begins the names of all functions and constants: an identifier of C.
        dtype : {"float32", "float64"} or dtype, default=None
            Floating-point type of inputs, weights and computations; None: that of the network.

        Returns
        -------
        str or None
            The text if `path` is None.

        Raises
        ------
        ValueError
            If `name` is no identifier, or `dtype` neither float32 nor float64.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import BPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> text = BPClassifier((8,), max_iter=5, random_state=0).fit(X, y).to_c(name="iris", dtype="float32")
        >>> "int iris_predict(const float *x);" in text
        True
        """
        return to_c(self, path, name=name, dtype=dtype)

    def to_numba(self, *, return_std: Flag = False) -> Any:
        """Return a function for use in code that Numba compiles: ``f(x)`` predicts without Python.

        f takes a row of numbers, an array or a tuple, and returns an array, or a number if there is one
        output: the probabilities of the classes (scores of `decision_function`, where there are no
        probabilities), or the values in the units of the targets. ``f(x, out)`` writes them to an array
        `out`, returns it and allocates nothing. An array of rows gives an array of results. Loops of f take
        row by row: `predict` is faster for many rows at once.

        Parameters
        ----------
        return_std : bool, default=False
            Whether the means are followed by as many standard deviations: of regressors with
            loss='gaussian_nll', and of ensembles.

        Returns
        -------
        numba.core.registry.CPUDispatcher
            It holds the GIL not, may run in threads (``prange``) and can be pickled. The weights are those of
            now; they stay in memory as long as the process. Code that calls it is not kept by Numba's
            ``cache=True``, which could not see that another model has other weights.

        Notes
        -----
        A first network of a shape is compiled in about a second. That code is kept on disk, so that later
        processes need a fraction of it.

        Examples
        --------
        >>> import numba
        >>> from sklearn.datasets import load_diabetes
        >>> from fastbp import BPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = BPRegressor((8,), max_iter=5, target_scaling="standard", random_state=0).fit(X, y)
        >>> f = model.to_numba()
        >>> @numba.njit
        ... def sum_of_predictions(X):
        ...     total = 0.0
        ...     for x in X:
        ...         total += f(x)
        ...     return total
        >>> bool(abs(sum_of_predictions(X) - model.predict(X).sum()) < 1e-6)
        True
        """
        return to_numba(self, return_std=bool(return_std))


def names_of(estimator: Any) -> tuple[str, ...]:
    """Names of the features, where the model was fitted on named ones."""
    return tuple(map(str, getattr(estimator, "feature_names_in_", ())))


def of_classifier(estimator: Any) -> Prediction:
    """The prediction of a BPClassifier."""
    labels, out = estimator._known_labels(), estimator._out_activation()
    network, vector = estimator._network()
    n, dtype = network.n_outputs, network.dtype
    probable = hasattr(estimator, "predict_proba")
    raw = probable and out == "logistic" and labels.kind != "multilabel"
    program = program_of(network, vector, raw=raw)
    by_network, threshold = False, 0.5 if probable else 0.0
    parts: tuple[Part, ...] = ()
    if not probable:
        cut = estimator._threshold()
        parts = (minus(cut),) if cut else ()
    elif raw:
        one_class = len(labels.classes) == 1
        parts = SHARES if n > 1 else (CERTAIN,) if one_class else PAIR
        by_network = n > 1  # logistic outputs may all round to zero, or several to one
    if labels.kind == "multilabel":
        choice = EACH
    elif n > 1:
        choice = LARGEST
    else:
        choice = ONLY if len(labels.classes) == 1 else ABOVE
    return Prediction(
        type(estimator).__name__,
        "predict_proba" if probable else "decision_function",
        (Member(program, head(n, dtype, *parts) if parts else None),),
        choice,
        threshold,
        by_network,
        tuple(labels.classes.tolist()),
        feature_names=names_of(estimator),
    )


def of_regressor(estimator: Any) -> Prediction:
    """The prediction of a BPRegressor."""
    network, vector = estimator._network()
    program, loss = program_of(network, vector), estimator._loss()
    n, dtype = network.n_outputs, network.dtype
    units: tuple[Any, Any, Any] | None = None
    if hasattr(estimator, "target_mean_"):
        units = (estimator.target_scale_, estimator.target_mean_, estimator.target_range_)
    means, part = None, None
    if loss.normal is not None:
        means = loss.n_targets(n)
        names = [parameter.name for parameter in loss.parameters]
        constants = loss.constants(estimator._options().loss_params or {})
        floor = constants[names.index("floor")]
        part = normal_in_units(means, floor, *(units or (1.0, 0.0, (-np.inf, np.inf))))
    elif units is not None:
        part = in_units(*units)
    member = Member(program, None if part is None else head(n, dtype, part))
    return Prediction(
        type(estimator).__name__, "predict", (member,), n_means=means, feature_names=names_of(estimator)
    )


def of_ensemble(estimator: Any, members: list[Any]) -> Prediction:
    """The mean prediction of several fitted estimators."""
    parts = [member._prediction() for member in members]
    first = parts[0]
    choice, threshold = first.choice, first.threshold
    if choice == ABOVE and first.n_outputs > 1:
        choice = LARGEST
    return Prediction(
        type(estimator).__name__,
        first.method,
        tuple(member for part in parts for member in part.members),
        choice,
        threshold,
        classes=first.classes,
        n_means=first.n_means,
        feature_names=names_of(estimator),
    )
