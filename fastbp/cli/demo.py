"""``demo``: handwritten digits, beside scikit-learn."""

from typing import Any

from fastbp.cli.arguments import add_command, positive, seed
from fastbp.cli.results import Results


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "demo",
        "train a network on handwritten digits and compare with scikit-learn",
        "Train a network on scikit-learn's handwritten digits, show test accuracy and seconds, and the same "
        "for scikit-learn's MLPClassifier.",
    )
    parser.add_argument("--epochs", type=positive, default=50, help="epochs of training (default: 50)")
    parser.add_argument("--seed", type=seed, default=0, help="random state (default: 0)")
    parser.set_defaults(run=run, prints=True)


def run(options: Any, results: Results) -> None:
    """Run the demonstration."""
    results.add(**options.parts.demo(epochs=options.epochs, seed=options.seed))
