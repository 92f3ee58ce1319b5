"""Types of the inputs of an ONNX model, and data frames as these inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from fastbp.onnx.libraries import onnx, types
from fastbp.onnx.treatments import NO_DATE
from fastbp.tables.base import TableModel
from fastbp.tables.columns import LEVELS, dates_of, levels_of, numbers_of
from fastbp.tables.frame import Column, as_table, columns_of, text_of
from fastbp.tables.treatments import Dates, Integer, Missing, OneHot, TwoLevels

TYPES = {  # of ONNX Runtime's names, by those of onnx.TensorProto
    "float": np.float32,
    "double": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "bool": np.bool_,
    "string": object,
}


def types_of(model: Any, X: Any) -> list[tuple[str, Any]] | None:
    """Names and types of the inputs for a table, one for each column; None for an array of numbers.

    Parameters
    ----------
    model : estimator
        A table model knows which of the columns are dates, or numbers although they are text.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub":
        return None
    classes = {
        "float": types.FloatTensorType,
        "double": types.DoubleTensorType,
        "int64": types.Int64TensorType,
        "bool": types.BooleanTensorType,
        "string": types.StringTensorType,
    }
    columns = list(columns_of(as_table(X)))
    treatments: list[Any] = [None] * len(columns)
    first = first_estimator(model)
    if isinstance(first, TableModel) and len(first.encoder_.treatments_) == len(columns):
        treatments = first.encoder_.treatments_
    pairs = zip(columns, treatments, strict=True)
    return [(name_of(column), classes[_type(column, one)]([None, 1])) for column, one in pairs]


def name_of(column: Column) -> str:
    return column.name if isinstance(column.name, str) else f"x{column.name}"


def final_estimator(model: Any) -> Any:
    """The last step of a pipeline, also of the one that a search has found best."""
    if hasattr(model, "best_estimator_"):
        return final_estimator(model.best_estimator_)
    return final_estimator(model.steps[-1][1]) if isinstance(model, Pipeline) else model


def first_estimator(model: Any) -> Any:
    """The estimator that gets the inputs."""
    if hasattr(model, "best_estimator_"):
        return first_estimator(model.best_estimator_)
    return first_estimator(model.steps[0][1]) if isinstance(model, Pipeline) else model


def named_inputs(model: Any, names: list[str]) -> Any:
    """Give the inputs of an ONNX model these names, of which skl2onnx has made such of letters only."""
    graph = model.graph
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    changed = {}
    for one, name in zip(graph.input, names, strict=True):
        if one.name != name and name not in used:
            changed[one.name] = name
            one.name = name
    for node in graph.node:
        node.input[:] = [changed.get(name, name) for name in node.input]
    return model


def _type(column: Column, treatment: Any) -> str:
    """The type of an input, a key of `TYPES`; numbers of a table model may be missing, so they are floats."""
    if isinstance(treatment, Dates):
        return "int64"
    if isinstance(treatment, Missing):
        return "string" if treatment.storage in LEVELS else "double"
    if isinstance(treatment, OneHot | TwoLevels) and not isinstance(treatment, Integer):
        # a number where the rows at hand have numbers; True and False are not the levels 1 and 0
        is_number = column.storage not in (*LEVELS, "date", "boolean") and _is_any_present(column)
        return "double" if is_number else "string"
    if treatment is None and (column.storage in LEVELS or column.storage == "date"):
        return "string"
    if treatment is None and column.storage == "boolean" and column.values.dtype.kind == "b":
        return "bool"
    if treatment is None and column.storage == "number" and column.values.dtype.kind in "iu":
        return "int64"
    return "float" if column.values.dtype == np.float32 else "double"


def _is_any_present(column: Column) -> bool:
    return not np.isnan(column.values.astype(np.float64)).all()


def inputs_of(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Return the inputs of an ONNX model for rows of a table.

    Parameters
    ----------
    model : onnx.ModelProto or onnxruntime.InferenceSession
    X : data frame or array-like of shape (n_samples, n_features)
        With the columns of the table that the model was exported for, found by their names; those of an
        array are x0, x1, ….

    Returns
    -------
    dict of str to ndarray
        For ``session.run(None, inputs)``. Missing strings are "nan"; dates are microseconds since 1970.

    Raises
    ------
    ValueError
        If X lacks columns.
    """
    declared = list(_declared(model))
    table = as_table(X)
    if len(declared) == 1 and isinstance(table, np.ndarray):
        name, dtype = declared[0]
        return {name: table.astype(dtype) if dtype is not object else _texts_of_table(table)}
    columns = list(columns_of(table))
    by_name = {name_of(column): column for column in columns}
    lacking = [name for name, _ in declared if name not in by_name]
    if lacking:
        raise ValueError(
            f"X lacks columns that the ONNX model has as inputs: {lacking}. It has {list(by_name)}."
        )
    return {name: _values(by_name[name], dtype).reshape(-1, 1) for name, dtype in declared}


def _declared(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and the dtype of each input."""
    if hasattr(model, "get_inputs"):
        for one in model.get_inputs():
            yield one.name, TYPES[one.type.removeprefix("tensor(").removesuffix(")")]
        return
    constants = {one.name for one in model.graph.initializer}
    for one in model.graph.input:
        if one.name not in constants:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
            yield one.name, dtype.type if dtype.kind != "O" else object


def _values(column: Column, dtype: Any) -> np.ndarray:
    if dtype is object:
        levels = levels_of(column)
        return np.array([*levels.levels, "nan"], dtype=object)[levels.values]
    if dtype is np.int64 and (column.storage == "date" or column.storage in LEVELS):
        dates = dates_of(column).astype("datetime64[us]").astype(np.int64)
        return np.where(np.isnat(dates_of(column)), NO_DATE, dates)
    if np.issubdtype(dtype, np.floating):
        return numbers_of(column).astype(dtype)
    with np.errstate(invalid="ignore"):
        values = column.values.astype(dtype)
    if (values != column.values).any():
        raise ValueError(
            f"Column {column.name!r} must hold {np.dtype(dtype)}, as the input of the ONNX model."
        )
    return values


def _texts_of_table(table: np.ndarray) -> np.ndarray:
    return np.array(
        [["nan" if v is None or v != v else text_of(v) for v in row] for row in table], dtype=object
    )
