"""Models in files."""

from typing import Any

from fastbp.cli.errors import CommandError


def save(model: Any, path: str) -> None:
    """Write a model to a file, whole or not at all."""
    model.save(path)


def load(path: str) -> Any:
    """Read a model."""
    from fastbp import persistence

    _require(path)
    return persistence.load(path)


def describe(path: str) -> dict[str, Any]:
    """Return what is known of a file without building its model."""
    from fastbp import persistence

    _require(path)
    return persistence.describe(path)


def _require(path: str) -> None:
    """Raise CommandError if there is no such file."""
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise CommandError(f"there is no file {path}") from None
