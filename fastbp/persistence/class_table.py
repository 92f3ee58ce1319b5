"""The classes whose objects a file may hold, by the names that files know them by.

A name never changes, so that files stay readable where a class moves. No other class is ever looked up by
what a file says. The modules are above this one, and not imported here: they are loaded with the package.
"""

import sys
from dataclasses import fields, is_dataclass
from typing import Any

ESTIMATORS = {
    "BPClassifier": "fastbp.estimators.classifier",
    "BPRegressor": "fastbp.estimators.regressor",
    "BPEnsembleClassifier": "fastbp.ensembles.classifier",
    "BPEnsembleRegressor": "fastbp.ensembles.regressor",
    "TabularClassifier": "fastbp.tables.classifier",
    "TabularRegressor": "fastbp.tables.regressor",
    "TableEncoder": "fastbp.tables.encoder",
    "PeriodicEncoder": "fastbp.preprocessing.periodic",
    "PiecewiseLinearEncoder": "fastbp.preprocessing.piecewise_linear",
}
FORMULAS = {  # a user's own
    "Activation": "fastbp.functions.own.activation",
    "Loss": "fastbp.functions.own.loss",
    "Solver": "fastbp.functions.own.solver",
    "Schedule": "fastbp.functions.own.schedule",
}
PARTS = {
    "Labels": "fastbp.estimators.labels",
    "Encoded": "fastbp.tables.encoder",
    "Member": "fastbp.tables.members",
    "View": "fastbp.tables.views",
    "TrainingTable": "fastbp.tables.training_table",
    "ColumnSummary": "fastbp.tables.columns",
    "Scale": "fastbp.tables.treatments",
    "Treatment": "fastbp.tables.treatments",
    "Number": "fastbp.tables.treatments",
    "TwoNumbers": "fastbp.tables.treatments",
    "Missing": "fastbp.tables.treatments",
    "TwoLevels": "fastbp.tables.treatments",
    "Integer": "fastbp.tables.treatments",
    "OneHot": "fastbp.tables.treatments",
    "Dates": "fastbp.tables.treatments",
    # parts of TableEncoder
    "MaxAbsScaler": "sklearn.preprocessing",
    "OneHotEncoder": "sklearn.preprocessing",
    "TargetEncoder": "sklearn.preprocessing",
    "KFold": "sklearn.model_selection",
    "StratifiedKFold": "sklearn.model_selection",
}
MODULES = ESTIMATORS | FORMULAS | PARTS
# What skops calls the estimators: the types to trust.
SKOPS_TYPES = [f"{module}.{name}" for name, module in ESTIMATORS.items()]


def class_named(name: str) -> Any:
    """Return the class of a name in the table; KeyError for any other."""
    return getattr(sys.modules[MODULES[name]], name)


def name_of(kind: type) -> str | None:
    """Return the name of exactly this class; None if it is not in the table."""
    name = kind.__name__
    return name if name in MODULES and class_named(name) is kind else None


def is_record(kind: Any) -> bool:
    """Return whether objects are made of their fields: named tuples and dataclasses."""
    return is_dataclass(kind) or hasattr(kind, "_fields")


def field_names(kind: Any) -> list[str]:
    """Return the fields of a record."""
    return [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)


def parameter_names(kind: Any) -> list[str]:
    """Return the constructor's parameters of an estimator; none of another class."""
    return list(kind._get_param_names()) if hasattr(kind, "_get_param_names") else []
