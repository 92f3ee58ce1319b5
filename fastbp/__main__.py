"""The command line: ``python -m fastbp``."""

import sys
from collections.abc import Sequence
from typing import Any

from fastbp import __version__
from fastbp.cli.main import Parts
from fastbp.cli.main import main as run


def _demo(**options: Any) -> dict[str, Any]:
    from fastbp import demo  # scikit-learn's data sets are not needed for --help

    return demo.run(**options)


def _compile(everything: bool) -> int:
    from fastbp import precompile

    return precompile.run(everything)


def _lessons() -> Sequence[Any]:
    from fastbp.lessons import LESSONS

    return LESSONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    return run(arguments, Parts(__version__, _demo, _compile, _lessons))


if __name__ == "__main__":
    sys.exit(main())
