"""``lesson``: a walk through back-propagation, one textbook network at a time."""

import argparse
import contextlib
import io
import sys
from typing import Any

from fastbp.cli.arguments import add_command
from fastbp.cli.errors import UsageError
from fastbp.cli.results import Results

EXAMPLES = """\
  python -m fastbp lesson              the list
  python -m fastbp lesson 3            the third
  python -m fastbp lesson 3 --code     its source, to be changed: add "> lesson3.py" """


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "lesson",
        "learn back-propagation with small networks that explain themselves",
        "Run a lesson: a short program that trains a textbook network and explains it with numbers. Without "
        "a number, list them. Each takes a few seconds and needs no network connection.",
        EXAMPLES,
    )
    parser.add_argument("number", nargs="?", metavar="N", type=_number, help="which lesson: 1, 2, 3 ...")
    parser.add_argument("--code", action="store_true", help="print the source of the lesson instead")
    parser.set_defaults(run=run, prints=True)


def _number(text: str) -> int:
    return int(text.lower().removeprefix("s"))


_number.__name__ = "number of a lesson"


def run(options: argparse.Namespace, results: Results) -> None:
    """List, print or run."""
    lessons: Any = options.parts.lessons()
    if options.number is None:
        if options.code:
            raise UsageError("--code: give the number of the lesson, too")
        results.add(lessons=[{"number": n, "title": lesson.title} for n, lesson in enumerate(lessons, 1)])
        for number, lesson in enumerate(lessons, 1):
            results.line(f"  {number}  {lesson.title}")
        results.line("\npython -m fastbp lesson N runs one, with --code it prints its source.")
        return
    if not 1 <= options.number <= len(lessons):
        raise UsageError(f"there is no lesson {options.number}: they are numbered from 1 to {len(lessons)}")
    lesson = lessons[options.number - 1]
    results.add(number=options.number, title=lesson.title)
    if options.code:
        results.add(code=lesson.code())
        results.line(lesson.code().rstrip())
        return
    text = io.StringIO()
    with contextlib.redirect_stdout(text if results.as_json else sys.stdout):
        lesson.run()
    results.add(text=text.getvalue())
