"""Export of fitted models to ONNX, for predictions without Python's scientific libraries.

Importing this module makes all estimators and transformers of fastbp known to skl2onnx: then
``skl2onnx.to_onnx`` converts them, alone and in pipelines with scikit-learn's. Needs ``pip install
'fastbp[onnx]'``.
"""

import copy
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from fastbp.onnx.inputs import final_estimator, inputs_of, named_inputs, types_of
from fastbp.onnx.libraries import require, skl2onnx
from fastbp.onnx.registration import register
from fastbp.tables.base import TableModel

__all__ = ["inputs_of", "to_onnx"]


def to_onnx(
    model: Any,
    X: Any = None,
    *,
    zipmap: bool | str = False,
    raw_scores: bool = False,
    return_std: bool = False,
    target_opset: int | dict[str, int] | None = None,
    **others: Any,
) -> Any:
    """Convert a fitted model to ONNX.

    Parameters
    ----------
    model : estimator
        An estimator of fastbp's, or a pipeline of what skl2onnx can convert.
    X : data frame or array of shape (n_samples, n_features), default=None
        Rows from which the types of the inputs are taken, one is enough: an array of numbers becomes one
        input ``X``; a data frame, one for each column. None: give `initial_types`, as skl2onnx knows them.
    zipmap : bool or 'columns', default=False
        Whether a classifier's scores are dictionaries by label, or outputs for each label, instead of one
        matrix of shape (n_samples, n_classes).
    raw_scores : bool, default=False
        Whether the scores of a BPClassifier are its outputs before the activation of the output layer.
    return_std : bool, default=False
        Whether a regressor has standard deviations as a second output, as its `predict` has them.
    target_opset : int or dict, default=None
        Version of ONNX's operators; None: the newest that skl2onnx is tested with. Functions that it lacks
        are written out by simpler ones.
    **others
        Further arguments of ``skl2onnx.to_onnx``.

    Returns
    -------
    onnx.ModelProto
        Of a classifier, the outputs are the labels and the probabilities, or the decision function of a loss
        without probabilities; for two classes, that of the second class is the second column. Of a
        regressor they are the values, of shape (n_samples, n_targets).

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        Without X and `initial_types`.
    """
    require()
    options: dict[str, Any] = {}
    given = dict(others.pop("options", None) or {})
    of_last = given.pop(id(final_estimator(model)), {})
    if isinstance(model, TableModel):
        # skl2onnx reads every attribute of what has options: feature_importances_ would be computed
        model = copy.copy(model)
        model._importances = np.zeros(model.n_features_in_)
    last = final_estimator(model)
    if is_classifier(last):
        options["zipmap"] = zipmap
    if raw_scores:
        options["raw_scores"] = True
    if return_std:
        options["return_std"] = True
    if given or options or of_last:
        others["options"] = {**given, id(last): {**options, **of_last}}
    if X is None and "initial_types" not in others:
        raise ValueError("X is missing: pass a row, X[:1], which tells the names and types of the inputs.")
    types = types_of(model, X) if X is not None and "initial_types" not in others else None
    if types is None:
        return skl2onnx.to_onnx(model, X, target_opset=target_opset, **others)
    converted = skl2onnx.to_onnx(model, initial_types=types, target_opset=target_opset, **others)
    return named_inputs(converted, [name for name, _ in types])


if skl2onnx is not None:
    register()
