"""``diagnose``: look for what is wrong with a table, or with a network's training on it."""

import dataclasses
from typing import Any

from fastbp import diagnosis
from fastbp.cli.arguments import add_command, add_learning, add_table, seconds
from fastbp.cli.learning import read_rows
from fastbp.cli.results import Results
from fastbp.tables import TableEncoder, TabularClassifier, TabularRegressor

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
        "with the rows, the labels and the training, and what to change. Rows are numbered from 0, the first "
        "one with a target.",
        EXAMPLES,
    )
    add_table(parser, "the rows to learn from")
    add_learning(parser)
    parser.add_argument(
        "--time-limit",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="after which no further training begins (default: 60)",
    )
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Diagnose and report."""
    rows, target = read_rows(options, results)
    categorical = options.categorical or "from_dtype"
    unused = _unused(rows.inputs.frame, categorical, options.seed)
    results.add(unused_columns=unused)
    for name, treatment in unused.items():
        results.line(f"column {name!r} is {treatment}")
    kind = TabularClassifier if target.task == "classify" else TabularRegressor
    report = diagnosis.diagnose(
        kind(categorical_features=categorical, random_state=options.seed),
        rows.inputs.frame,
        rows.y,
        sample_weight=rows.weight,
        random_state=options.seed,
        time_limit=options.time_limit,
    )
    results.line(str(report))
    results.add(
        findings=[dataclasses.asdict(finding) for finding in report],
        healthy=report.healthy,
        notes=report.notes,
        skipped=report.skipped,
    )


def _unused(X: Any, categorical: Any, seed: int) -> dict[str, str]:
    """Return the columns that are not used, and why."""
    columns = TableEncoder(categorical, random_state=seed).fit(X).columns_
    return {str(column.name): column.treatment for column in columns if not column.n_outputs}
