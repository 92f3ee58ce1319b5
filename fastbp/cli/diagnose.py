"""``diagnose``: look for illnesses of a table and of a network's training on it."""

from typing import Any

import numpy as np

from fastbp.cli.arguments import add_command, add_learning, add_table
from fastbp.cli.learning import Rows, read_rows
from fastbp.cli.results import Results
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.regressor import BPRegressor
from fastbp.tables import TableEncoder

EXAMPLES = """\
  python -m fastbp diagnose flats.csv --target price
  python -m fastbp diagnose flats.csv --target sold --drop id --json"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "diagnose",
        "look for what is wrong with a table, or with a network's training on it",
        "Encode the columns of a table as fit does, train a network for a short while, and say what is wrong "
        "with the rows, the labels and the training, and what to change.",
        EXAMPLES,
    )
    add_table(parser, "the rows to learn from")
    add_learning(parser)
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Encode, diagnose and report."""
    from fastbp import diagnosis

    rows, target = read_rows(options, results)
    is_class = target.task == "classify"
    encoder, X = _encoded(rows, is_class, options.seed)
    unused = [column for column in encoder.columns_ if not column.n_outputs]
    results.add(unused_columns={str(column.name): column.treatment for column in unused})
    for column in unused:
        results.line(f"column {column.name!r} is {column.treatment}")
    kind = BPClassifier if is_class else BPRegressor
    model = kind(preset="tabular", random_state=options.seed)
    weight = {} if rows.weight is None else {"sample_weight": rows.weight}
    report = diagnosis.diagnose(model, X, rows.y, random_state=options.seed, **weight)
    results.line(str(report))
    results.add(findings=[_values(finding) for finding in report])


def _encoded(rows: Rows, is_class: bool, seed: int) -> tuple[TableEncoder, Any]:
    """Return the fitted encoder and a data frame of numbers, whose columns are named after the table's."""
    y: np.ndarray = rows.y
    kind = "continuous"
    if is_class:
        classes, y = np.unique(rows.y, return_inverse=True)
        kind = "binary" if len(classes) <= 2 else "multiclass"
    encoder = TableEncoder(target_type=kind, random_state=seed)
    encoded = encoder.fit_transform(rows.inputs.frame, y, rows.weight)
    numbers = np.concatenate([encoded.numeric, encoded.binary], axis=1)
    names = encoder.get_feature_names_out()
    columns = dict(zip(_distinct(names), numbers.T, strict=True))
    return encoder, rows.inputs.library.new(columns)


def _distinct(names: Any) -> list[str]:
    """Return names of which no two are equal: a level may be named as another column is."""
    found: dict[str, int] = {}
    for name in map(str, names):
        while name in found:
            found[name] += 1
            name = f"{name}.{found[name]}"
        found[name] = 0
    return list(found)


def _values(finding: Any) -> dict[str, Any]:
    names = (
        getattr(finding, "_fields", None) or getattr(finding, "__dataclass_fields__", None) or vars(finding)
    )
    return {name: getattr(finding, name) for name in names}
