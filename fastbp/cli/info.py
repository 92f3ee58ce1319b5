"""``info``: what a model's file holds."""

from collections.abc import Mapping
from typing import Any

from fastbp.cli import models
from fastbp.cli.arguments import add_command
from fastbp.cli.results import Results, listed, plain, size_text


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "info",
        "say what the file of a model holds",
        "Say what the file of a model holds: its class, the columns and classes that it knows, parameters, "
        "versions and size. The model itself is not built, and nothing in the file is run.",
        "  python -m fastbp info flats.bp",
    )
    parser.add_argument("model", help="the file of the model")
    parser.add_argument("--arrays", action="store_true", help="list the arrays with their shapes, too")
    parser.set_defaults(run=run)


def run(options: Any, results: Results) -> None:
    """Describe the file."""
    found = models.describe(options.model)
    results.add(model=options.model, **found)
    state = "fitted" if found["fitted"] else "not fitted"
    results.line(f"{options.model}: {found['class']}, {state}, {size_text(found['size'])}")
    attributes = dict(found["attributes"])
    names = attributes.pop("feature_names_in_", None)
    if names is not None:
        results.line(f"{len(names)} columns: {listed(names, 100)}")
        attributes.pop("n_features_in_", None)
    classes = attributes.pop("classes_", None)
    if classes is not None:
        results.line(f"{len(classes)} classes: {listed(classes, 100)}")
    for heading, values in (("attributes", attributes), ("parameters", found["parameters"])):
        _print(heading, values, results)
    _print("written by", found["versions"], results)
    results.line(f"{len(found['shapes'])} arrays of {found['n_values']} values")
    if options.arrays:
        dtypes = found["dtypes"]
        _print(
            "arrays", {name: f"{dtypes[name]} {shape}" for name, shape in found["shapes"].items()}, results
        )


def _print(heading: str, values: Mapping[str, Any], results: Results) -> None:
    """Print names and values in two columns."""
    if not values:
        return
    results.line(f"{heading}:")
    width = max(len(str(name)) for name in values)
    for name, value in values.items():
        text = plain(value)
        shown = ", ".join(map(str, text)) if isinstance(text, list) else text
        results.line(f"  {name!s:{width}}  {shown}")
