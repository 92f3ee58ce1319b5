"""Kinds of arguments, and those that several commands have."""

import argparse
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastbp.cli import tables
from fastbp.cli.errors import EXIT_CODES, UsageError


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise ValueError
    return value


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def probability(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value


def jobs(text: str) -> int:
    value = int(text)
    if not value:
        raise ValueError
    return value


def character(text: str) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1:
        raise ValueError
    return text


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


# how argparse calls them in its error messages
positive.__name__ = "integer above zero"
seed.__name__ = "seed (an integer from 0 to 2**32 - 1)"
seconds.__name__ = "number of seconds above zero"
probability.__name__ = "number between 0 and 1"
jobs.__name__ = "number of threads (not 0; -1 for all)"
character.__name__ = "separator (one character, or 'tab')"


class Help(argparse.RawDescriptionHelpFormatter):
    """Examples at the end are printed line by line, the description in lines of the terminal's width."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            paragraph
            if "\n  " in paragraph
            else "\n".join(textwrap.wrap(paragraph, width, initial_indent=indent, subsequent_indent=indent))
            for paragraph in paragraphs
        )


def add_command(commands: Any, name: str, summary: str, description: str, examples: str = "") -> Any:
    """Add a command with the arguments that all have; return its parser."""
    end = f"examples:\n{examples}\n\n" if examples else ""
    parser = commands.add_parser(
        name, help=summary, description=description, epilog=f"{end}{EXIT_CODES}", formatter_class=Help
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    return parser


def add_table(parser: Any, what: str) -> None:
    """Add a table and how to read it."""
    parser.add_argument("table", help=f"{what}: {tables.SUFFIXES}; '-' for CSV on standard input")
    parser.add_argument(
        "--separator",
        type=character,
        metavar="CHAR",
        help="between the fields of a text file (default: a tab for .tsv, else whichever of , ; | and tab "
        "occurs most often in the first line); between semicolons, decimals may be after a comma",
    )


def _files(names: Sequence[str | None]) -> list[str]:
    return [name for name in names if name is not None and Path(name).exists()]


def add_learning(parser: Any) -> None:
    """Add what is learned from the columns of a table."""
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument(
        "--task",
        choices=["auto", "classify", "regress"],
        default="auto",
        help="whether the target is a class or a number (default: auto, by its values)",
    )
    parser.add_argument(
        "--weights", metavar="COLUMN", help="a column of non-negative weights of the rows; not an input"
    )
    parser.add_argument(
        "--drop", type=names, default=[], metavar="COL[,COL]", help="columns that are not to be inputs"
    )
    parser.add_argument(
        "--categorical",
        type=names,
        default=[],
        metavar="COL[,COL]",
        help="columns of numbers that are codes of categories, such as postcodes; text always is categories",
    )
    parser.add_argument("--seed", type=seed, default=0, help="random state (default: 0)")


def check_output(name: str, force: bool, *inputs: str | None) -> None:
    """Raise UsageError if a file cannot be written there, or is one that the command reads."""
    path = Path(name)
    if path.exists() and any(path.samefile(other) for other in _files(inputs)):
        raise UsageError(f"{name} is read by this command: it would be lost")
    if path.is_dir():
        raise UsageError(f"{name} is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"{name}: there is no folder {path.parent}")
    if path.exists() and not force:
        raise UsageError(f"{name} exists: --force replaces it")
