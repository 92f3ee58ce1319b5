"""The command line: ``python -m fastbp demo``, ``compile`` and ``--version``."""

import argparse
import sys
from collections.abc import Sequence

from fastbp import __version__


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise ValueError
    return value


_positive.__name__ = "integer above zero"  # what argparse calls it in its error message
_seed.__name__ = "seed (an integer from 0 to 2**32 - 1)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastbp",
        description="Multi-layer perceptrons for scikit-learn, trained by compiled back-propagation.",
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train a network on handwritten digits and compare with scikit-learn",
        description="Train a network on scikit-learn's handwritten digits, show test accuracy and seconds, "
        "and the same for scikit-learn's MLPClassifier.",
    )
    demo.add_argument("--epochs", type=_positive, default=50, help="epochs of training (default: 50)")
    demo.add_argument("--seed", type=_seed, default=0, help="random state (default: 0)")
    compile_ = commands.add_parser(
        "compile",
        help="compile kernels beforehand, for images, read-only systems and tests",
        description="Compile what usual fits and predictions need, and keep it on disk: in NUMBA_CACHE_DIR, "
        "if that is set, else in the user's cache folder. Kernels are for this processor, or for the one "
        "that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name.",
    )
    compile_.add_argument(
        "--all",
        action="store_true",
        help="every registered activation, loss, solver and schedule, with every option (some minutes)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        if options.command == "compile":
            from fastbp import precompile

            return precompile.run(options.all)
        from fastbp import demo  # scikit-learn's data sets are not needed for --help

        demo.run(epochs=options.epochs, seed=options.seed)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
