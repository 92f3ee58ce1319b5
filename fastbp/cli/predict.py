"""``predict``: apply a saved model to a table."""

from typing import Any

import numpy as np

from fastbp.cli import models, tables
from fastbp.cli.arguments import add_command, add_table, check_output, names, probability
from fastbp.cli.errors import UsageError
from fastbp.cli.results import Results, listed
from fastbp.cli.tables import STANDARD, Table

EXAMPLES = """\
  python -m fastbp predict flats.bp new.csv
  python -m fastbp predict flats.bp new.csv --out predictions.csv --keep id
  python -m fastbp predict flats.bp new.parquet --out predictions.parquet --interval 0.9
  cat new.csv | python -m fastbp predict sold.bp - --proba > probabilities.csv"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "predict",
        "predict the rows of a table by a saved model",
        "Predict the rows of a table by a saved model: a column 'prediction', or with --proba a column for "
        "each class. The columns that the model was fitted on have to be there, in any order; others are "
        "ignored.",
        EXAMPLES,
    )
    parser.add_argument("model", help="the file of the model, written by fit")
    add_table(parser, "the rows to predict")
    parser.add_argument(
        "--out",
        default=STANDARD,
        metavar="TABLE",
        help="the file of the predictions: .csv, .tsv, .parquet or .feather (default: '-', CSV on standard "
        "output)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file, if it exists")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--proba", action="store_true", help="probabilities of the classes")
    form.add_argument(
        "--interval",
        type=probability,
        metavar="COVERAGE",
        help="of numbers: also 'lower' and 'upper', the ends of an interval that holds the true value with "
        "this probability, such as 0.9",
    )
    parser.add_argument(
        "--keep", type=names, default=[], metavar="COL[,COL]", help="columns of the table to write as well"
    )
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Predict and write."""
    if options.out != STANDARD:
        tables.kind_of(options.out)
        check_output(options.out, options.force, options.model, options.table)
    model = models.load(options.model)
    _check(model, options)
    table = tables.read(options.table, options.separator)
    table.require(options.keep, "--keep")
    inputs = _inputs(model, table, options.table)
    columns = _predictions(model, inputs.frame, options)
    kept = table.only(options.keep) if options.keep else None
    clash = sorted(set(columns) & set(options.keep))
    if clash:
        raise UsageError(f"--keep {clash[0]}: a column of the predictions has this name")
    results.add(model=options.model, table=options.table, rows=table.n_rows)
    if options.out != STANDARD:
        tables.write(columns, options.out, kept, table.library)
        results.add(out=options.out)
        results.line(f"{table.n_rows} predictions are in {options.out}")
    elif results.as_json:
        results.add(predictions=(tables.columns_of(kept) if kept else {}) | columns)
    else:
        tables.write(columns, STANDARD, kept, table.library, results.stream)


def _check(model: Any, options: Any) -> None:
    if options.proba and not hasattr(model, "predict_proba"):
        raise UsageError(
            f"--proba: {options.model} predicts numbers, not classes; --interval 0.9 is for them"
        )
    if options.interval and not hasattr(model, "predict_interval"):
        raise UsageError(f"--interval: {options.model} predicts classes, not numbers; --proba is for them")


def _inputs(model: Any, table: Table, name: str) -> Table:
    """Return the columns that the model was fitted on, in its order."""
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None:
        if len(table.names) != model.n_features_in_:
            raise UsageError(
                f"{name} has {len(table.names)} columns; the model was fitted on {model.n_features_in_} "
                "without names"
            )
        return table
    missing = [column for column in wanted if column not in table.names]
    if missing:
        raise UsageError(
            f"{name} lacks {len(missing)} of the {len(wanted)} columns that the model was fitted on: "
            f"{listed(missing)}"
        )
    return table.only(list(wanted))


def _predictions(model: Any, X: Any, options: Any) -> dict[str, np.ndarray]:
    if options.proba:
        return dict(zip(map(str, model.classes_.tolist()), model.predict_proba(X).T, strict=True))
    found = {"prediction": model.predict(X)}
    if options.interval:
        low, high = model.predict_interval(X, coverage=options.interval).T
        found |= {"lower": low, "upper": high}
    return found
