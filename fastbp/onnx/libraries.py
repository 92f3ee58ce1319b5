"""The optional libraries: imported when something is exported, never by ``import fastbp``."""

from importlib import import_module
from typing import Any

MISSING = "Exports to ONNX need {library}, which is not installed: pip install 'fastbp[onnx]'"


def library(name: str) -> Any:
    """Return a module of onnx or skl2onnx, or raise ImportError with the command that installs it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        root = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] not in ("onnx", "skl2onnx"):
            raise
        raise ImportError(MISSING.format(library=root), name=root) from error
