"""Exports of models and of pipelines of scalers that end in one."""

from os import PathLike
from typing import Any

import numpy as np

from fastbp.export.prediction import Prediction
from fastbp.export.scalers import prediction_of
from fastbp.export.scores import has_std
from fastbp.functions.values import shown


def to_c(
    model: Any, path: str | PathLike[str] | None = None, *, name: str = "model", dtype: Any = None
) -> str | None:
    """Write a model as one C99 file that needs nothing but ``math.h``.

    Parameters
    ----------
    model : estimator or Pipeline
        A fitted network or ensemble of fastbp's; or a pipeline that ends in one, after scikit-learn's
        StandardScaler, MinMaxScaler, MaxAbsScaler or RobustScaler: the file then takes inputs that are not
        scaled.
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
    TypeError
        For a model that is none of fastbp's.
    ValueError
        If `name` is no identifier, if `dtype` is neither float32 nor float64, or for a pipeline with another
        step.
    """
    from fastbp.export.c_file import c_source

    text = c_source(_in_dtype(prediction_of(model), dtype), name)
    if path is None:
        return text
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return None


def to_numba(model: Any, *, return_std: bool = False) -> Any:
    """Return the predictions of a model as a function for code that Numba compiles.

    Parameters
    ----------
    model : estimator or Pipeline
        As for `to_c`.
    return_std : bool, default=False
        Whether the means are followed by as many standard deviations.

    Returns
    -------
    numba.core.registry.CPUDispatcher
        See the method `to_numba` of the estimators.

    Raises
    ------
    TypeError, ValueError
        As for `to_c`; and for `return_std` with a model that has no standard deviations.
    """
    prediction = prediction_of(model)
    n_outputs = prediction.n_outputs
    if return_std:
        if not has_std(prediction):
            raise ValueError(
                "return_std=True needs standard deviations: a regressor with loss='gaussian_nll', or an "
                "ensemble of regressors."
            )
        n_outputs *= 2
    from fastbp.export.numba_function import numba_function, source_of

    source, constants = source_of(prediction, bool(return_std))
    return numba_function(source, constants, prediction.n_inputs, n_outputs)


def _in_dtype(prediction: Prediction, dtype: Any) -> Prediction:
    if dtype is None:
        return prediction
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or wanted not in (np.float32, np.float64):  # None equals float64
        raise ValueError(f"dtype={shown(dtype)} must be 'float32', 'float64' or None.")
    return prediction.astype(wanted)
