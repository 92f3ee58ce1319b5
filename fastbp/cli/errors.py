"""Errors of the command line, each a single line for the user, and the exit codes."""

import re

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted. Errors are one line on standard error; "
    "--traceback shows where they come from."
)


class CommandError(Exception):
    """A command cannot do its work; the message says why, and what to do."""

    code = FAILED


class UsageError(CommandError):
    """The arguments do not fit each other, the table or the model."""

    code = WRONG_USE


# whose messages are written for users; others are named by their class
PLAIN = (CommandError, ValueError, OSError, ImportError, NotImplementedError)


def one_line(error: BaseException) -> str:
    """Return an error as a single line."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    name = type(error).__name__
    if isinstance(error, PLAIN) and text:
        return text
    return f"{name}: {text}" if text else name
