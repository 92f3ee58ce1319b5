"""The parser of all commands, and what happens to their errors."""

import argparse
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fastbp.cli import compile as compile_
from fastbp.cli import demo, diagnose, fit, info, lesson, predict
from fastbp.cli.arguments import Help
from fastbp.cli.errors import DONE, EXIT_CODES, FAILED, INTERRUPTED, WRONG_USE, CommandError, one_line
from fastbp.cli.results import Results, close_pipe
from fastbp.training.result import INTERRUPTED as INTERRUPTED_WARNING

COMMANDS = (fit, predict, diagnose, info, lesson, demo, compile_)


class Parts(NamedTuple):
    """Parts of the package that stand above the command line, each called when its command is.

    Attributes
    ----------
    version : str
    demo : callable
        Of `epochs` and `seed`; returns its figures by name.
    compile : callable
        Of `everything`; returns the exit code.
    lessons : callable
        Returns the lessons in order.
    """

    version: str
    demo: Callable[..., dict[str, Any]]
    compile: Callable[[bool], int]
    lessons: Callable[[], Sequence[Any]]


def parser_of(version: str) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m fastbp",
        description="Multi-layer perceptrons for scikit-learn, trained by compiled back-propagation.",
        epilog=f"python -m fastbp COMMAND --help: arguments and examples of a command.\n\n{EXIT_CODES}",
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"fastbp {version}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(arguments: Sequence[str] | None, parts: Parts) -> int:
    """Run a command and return the exit code.

    Parameters
    ----------
    arguments : sequence of str or None
        None: those of the process.
    """
    parser = parser_of(parts.version)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return WRONG_USE
    options.parts = parts
    results = Results(options.json)
    try:
        with _redirected(options), _warnings(results):
            code = options.run(options, results) or DONE
        results.close(exit_code=code)
        return code
    except BrokenPipeError:  # whoever reads the results has enough, such as `head`
        close_pipe(sys.stdout)
        return FAILED
    except KeyboardInterrupt:
        code, text = INTERRUPTED, _left_by(options, results)
        print(file=sys.stderr)  # after the terminal's ^C
    except Exception as error:
        if options.traceback:
            traceback.print_exc()
        code = error.code if isinstance(error, CommandError) else FAILED
        text = one_line(error)
    print(f"fastbp {options.command}: {text}", file=sys.stderr)
    results.close(error=text, exit_code=code)
    return code


def _left_by(options: argparse.Namespace, results: Results) -> str:
    """Say what an interrupted command leaves."""
    out = getattr(options, "out", None)
    if out is None or out == "-":
        return "interrupted"
    if "out" in results.values:
        return f"interrupted; {out} is written"
    state = f"{out} is as it was" if os.path.exists(out) else f"there is no {out}"
    return f"interrupted; nothing was written: {state}"


@contextlib.contextmanager
def _redirected(options: argparse.Namespace) -> Iterator[None]:
    """Standard output has results only: what else is printed, such as a progress bar, goes to the other."""
    if getattr(options, "prints", False) and not options.json:
        yield
    else:
        with contextlib.redirect_stdout(sys.stderr):
            yield


@contextlib.contextmanager
def _warnings(results: Results) -> Iterator[None]:
    """Show each warning for users as one line."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *others: Any, **more: Any) -> None:
        if str(message) == INTERRUPTED_WARNING:
            raise KeyboardInterrupt  # a network that is trained alone would be kept as it is
        if issubclass(category, UserWarning):
            results.note(" ".join(str(message).split()), kind="warning")
        else:
            before(message, category, *others, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = show
        yield
