"""The checks, by what they look at. Importing this package registers all of them, in this order."""

from fastbp.diagnosis.checks import (  # noqa: I001  (the order of the report)
    values,
    columns,
    repeated_rows,
    targets,
    start,
    layers,
    gradients,
    rates,
    curves,
    fit_length,
    capacity,
    predictions,
    labels,
)

__all__ = [
    "capacity",
    "columns",
    "curves",
    "fit_length",
    "gradients",
    "labels",
    "layers",
    "predictions",
    "rates",
    "repeated_rows",
    "start",
    "targets",
    "values",
]
