"""Models in files."""

from pathlib import Path
from typing import Any

from fastbp import persistence
from fastbp.cli.errors import CommandError


def load(path: str) -> Any:
    """Read a model."""
    require_file(path)
    return persistence.load(path)


def describe(path: str) -> dict[str, Any]:
    """Return what is known of a file without building its model."""
    require_file(path)
    return persistence.describe(path)


def require_file(path: str) -> None:
    """Raise CommandError if there is no such file."""
    if Path(path).is_dir():
        raise CommandError(f"{path} is a folder")
    if not Path(path).exists():
        raise CommandError(f"there is no file {path}")
