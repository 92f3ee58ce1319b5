"""``info``: what a model's file holds."""

from collections.abc import Mapping
from typing import Any

from fastbp.cli import models
from fastbp.cli.arguments import add_command
from fastbp.cli.results import Results, plain


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "info",
        "say what the file of a model holds",
        "Say what the file of a model holds: its class, parameters, shapes, versions and size. The model "
        "itself is not built.",
        "  python -m fastbp info flats.bp",
    )
    parser.add_argument("model", help="the file of the model")
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Describe the file."""
    found = models.describe(options.model)
    results.add(model=options.model, **found)
    results.line(options.model)
    _print(found, results, "  ")


def _print(values: Mapping[str, Any], results: Results, indent: str) -> None:
    width = max((len(str(name)) for name in values), default=0)
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            results.line(f"{indent}{name}")
            _print(value, results, indent + "  ")
        else:
            text = plain(value)
            shown = ", ".join(map(str, text)) if isinstance(text, list) else text
            results.line(f"{indent}{name!s:{width}}  {shown}")
