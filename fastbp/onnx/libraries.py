"""The optional libraries, imported here alone; None where they are not installed.

Attributes
----------
onnx, skl2onnx, parse, types : module or None
    `parse` and `types` are skl2onnx's: parsers of models, and types of variables.
"""

from typing import Any

__all__ = ["onnx", "parse", "require", "skl2onnx", "types"]

onnx: Any
skl2onnx: Any
parse: Any
types: Any
_missing: ImportError | None = None

try:
    import onnx.defs
    import onnx.helper
    import onnx.numpy_helper
    import skl2onnx  # type: ignore
    from skl2onnx import _parse as parse  # type: ignore
    from skl2onnx.common import data_types as types  # type: ignore
except ImportError as error:
    onnx = skl2onnx = parse = types = None
    _missing = error


def require() -> None:
    """Raise ImportError with the command that installs the libraries, if they are not."""
    if _missing is not None:
        raise ImportError(
            f"Exports to ONNX need skl2onnx and onnx: pip install 'fastbp[onnx]' ({_missing})."
        ) from _missing
