"""``fit``: train a model on a table and save it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastbp.cli import tables
from fastbp.cli.arguments import add_command, add_learning, add_table, check_output, jobs, seconds
from fastbp.cli.errors import CommandError, UsageError
from fastbp.cli.learning import Rows, read_rows, rows_of
from fastbp.cli.results import Results, size_text
from fastbp.cli.scores import member_scores, scores, scores_text
from fastbp.tables import TabularClassifier, TabularRegressor

EXAMPLES = """\
  python -m fastbp fit flats.csv --target price --out flats.bp
  python -m fastbp fit flats.csv --target sold --out flats.bp --test 0.2 --effort best
  python -m fastbp fit train.parquet --target y --test test.parquet --out model.bp --drop id,name
  zcat big.csv.gz | python -m fastbp fit - --target y --out model.bp --time-limit 600"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "fit",
        "train a model on a table and save it",
        "Train a model on a table as it is - numbers, categories, text, dates and gaps - and save it. An "
        "empty field is a missing value; rows without a target are left out.",
        EXAMPLES,
    )
    add_table(parser, "the rows to learn from")
    add_learning(parser)
    parser.add_argument("--out", required=True, metavar="MODEL", help="the file of the model")
    parser.add_argument("--force", action="store_true", help="replace the file, if it exists")
    parser.add_argument(
        "--effort",
        choices=["fast", "default", "best"],
        default="default",
        help="two, four or eight networks, the eight with twice the epochs (default: default)",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help="about how long training may take; fewer networks are then trained",
    )
    parser.add_argument(
        "--test",
        metavar="FRACTION|TABLE",
        help="score the model on this share of the rows, which it is not trained on, or on another table "
        "(default: each network is scored on the tenth of the rows that it was not trained on)",
    )
    parser.add_argument("--jobs", type=jobs, metavar="N", help="number of threads (default: as many as help)")
    parser.add_argument(
        "--device",
        choices=["cpu", "cuda", "auto"],
        default="cpu",
        help="where networks are trained; auto: on a GPU, if there is one (default: cpu)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Train, save and report."""
    check_output(options.out, options.force, options.table, options.test)
    share = _share(options.test)
    rows, target = read_rows(options, results)
    test = None
    if share is not None:
        rows, test = _divided(rows, share, target.task == "classify", options.seed)
    elif options.test is not None:
        test = _other_table(options, rows, target.task, results)
    kind = TabularClassifier if target.task == "classify" else TabularRegressor
    model = kind(
        effort=options.effort,
        time_limit=options.time_limit,
        random_state=options.seed,
        n_jobs=options.jobs,
        device=options.device,
        categorical_features=options.categorical or "from_dtype",
        verbose=not options.quiet,
    )
    started = time.perf_counter()
    model.fit(rows.inputs.frame, rows.y, sample_weight=rows.weight)
    taken = time.perf_counter() - started
    model.set_params(verbose=False)  # of this command, not of the model
    model.save(options.out)
    results.add(out=options.out)
    results.line(model.summary())
    results.add(column_treatments=[_treatment(column) for column in model.encoder_.columns_])
    _report_score(model, test, results)
    n_bytes = Path(options.out).stat().st_size
    results.add(seconds=taken, bytes=n_bytes, networks=len(model.members_))
    results.line(f"trained in {taken:.1f} s; {options.out} has {size_text(n_bytes)}")


def _share(text: str | None) -> float | None:
    """Return the share of rows that --test asks for; None if it is a table or not given."""
    try:
        share = float(text or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UsageError(f"--test {text}: a share of the rows lies between 0 and 1")
    return share


def _other_table(options: Any, rows: Rows, task: str, results: Results) -> Rows:
    """Return the rows of another table, which needs the columns that are learned from only."""
    table = tables.read(options.test, options.separator)
    wanted = [*rows.inputs.names, options.target, *([options.weights] if options.weights else [])]
    table.require(wanted, f"--test {options.test}")
    return rows_of(table.only(wanted), options, task, [], results)[0]


def _divided(rows: Rows, share: float, is_classes: bool, seed: int) -> tuple[Rows, Rows]:
    """Return rows to train on and rows to score on, of classes in equal shares where that is possible."""
    n_rows = len(rows.y)
    n_test = max(round(share * n_rows), 1)
    if n_rows - n_test < 2:
        raise CommandError(f"--test {share}: {n_rows} rows are too few to divide")
    stratify = None
    if is_classes:
        counts = np.unique(rows.y, return_counts=True)[1]
        if counts.min() >= 2 and min(n_test, n_rows - n_test) >= len(counts):
            stratify = rows.y
    train, test = train_test_split(np.arange(n_rows), test_size=n_test, stratify=stratify, random_state=seed)
    return rows.only(np.sort(train)), rows.only(np.sort(test))


def _report_score(model: Any, test: Rows | None, results: Results) -> None:
    if test is not None:
        found = scores(model, test.inputs.frame, test.y, test.weight)
        where = f"{len(test.y)} test rows"
        results.add(test_rows=len(test.y))
    else:
        found, where = member_scores(model), "the rows that each network was not trained on"
    results.add(score=found, scored_on="test" if test is not None else "held-out rows")
    if found:
        results.line(f"score on {where}: {scores_text(found)}")
    else:
        results.line("no score: too few rows to hold some out; --test gives one")


def _treatment(column: Any) -> dict[str, Any]:
    return {"column": column.name, "kind": column.kind, "treatment": column.treatment}
