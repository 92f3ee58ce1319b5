"""Pipelines of scalers and a network: the scalers as one affine function of each input."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from fastbp.export.prediction import Prediction
from fastbp.functions.values import shown

SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)


def prediction_of(model: Any) -> Prediction:
    """Return the prediction of a fitted estimator of fastbp's, or of a pipeline of scalers that ends in one.

    Raises
    ------
    TypeError
        For any other model.
    ValueError
        For a pipeline with another step; names the step.
    """
    if isinstance(model, Pipeline):
        return _of_pipeline(model)
    if not hasattr(model, "_prediction"):
        raise TypeError(
            "only networks and ensembles of fastbp's can be exported, and pipelines that end in one; got "
            f"{type(model).__name__}."
        )
    prediction: Prediction = model._prediction()
    return prediction


def _of_pipeline(pipeline: Pipeline) -> Prediction:
    *before, (_, last) = pipeline.steps
    prediction = prediction_of(last)
    factor, centre = np.ones(prediction.n_inputs), np.zeros(prediction.n_inputs)
    for name, step in before:
        if step is None or step == "passthrough":
            continue
        if not isinstance(step, SCALERS) or getattr(step, "clip", False):
            known = ", ".join(scaler.__name__ for scaler in SCALERS)
            raise ValueError(
                f"step {name!r} of the pipeline, {shown(step)}, cannot be exported: {known} can, without "
                "clip=True. Export the last step alone, and transform its inputs yourself."
            )
        check_is_fitted(step)
        own_centre, own_factor = _affine(step)
        # ((x - c) f - c') f' = (x - (c + c' / f)) f f'
        centre = centre + own_centre / factor
        factor = factor * own_factor
    if not before:
        return prediction
    names = tuple(map(str, getattr(pipeline, "feature_names_in_", prediction.feature_names)))
    return prediction.after_scaling(centre, factor, names)


def _affine(scaler: Any) -> tuple[Any, Any]:
    """Centre c and factor f of a scaler that computes (x - c) f."""
    if isinstance(scaler, MinMaxScaler):
        return -scaler.min_ / scaler.scale_, scaler.scale_
    if isinstance(scaler, RobustScaler):
        centre, scale = scaler.center_, scaler.scale_
    elif isinstance(scaler, StandardScaler):
        centre, scale = scaler.mean_ if scaler.with_mean else None, scaler.scale_
    else:
        centre, scale = None, scaler.scale_
    return 0.0 if centre is None else centre, 1.0 if scale is None else 1.0 / scale
