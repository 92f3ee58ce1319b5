"""The file of a checkpoint: NumPy's format for several arrays, without pickles.

The array "meta" holds JSON; in it, arrays stand by their numbers. The file appears whole or not at all.
"""

import json
import os
import threading
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastbp.resume import Begin, EpochPosition, Evaluations, Saved
from fastbp.training_plan import SolverState

FORMAT = 1


def write(path: Path, saved: Saved) -> None:
    """Replace the file at once, so that a fit can always be taken up; OSError where that fails."""
    arrays: list[np.ndarray] = []
    meta = json.dumps({"fastbp checkpoint": FORMAT, **_flat(saved, arrays)})
    named: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, meta=np.array(meta), **named)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read(path: Path) -> Saved | None:
    """What the file holds; None where there is none, ValueError where it is no checkpoint or damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["fastbp checkpoint"] != FORMAT:
                raise ValueError(f"its format is {meta['fastbp checkpoint']!r}, not {FORMAT}")
            arrays = [archive[str(number)] for number in range(len(archive.files) - 1)]
        begin, position = _whole(meta["begin"], arrays), _whole(meta["position"], arrays)
        if "points" in position:
            return Saved(Begin(**begin), Evaluations(**position))
        position["state"] = SolverState(**position["state"])
        return Saved(Begin(**begin), EpochPosition(**position))
    except FileNotFoundError:
        return None
    except Exception as error:  # zipfile, zlib, json and NumPy each have errors of their own for damage
        raise ValueError(
            f"{os.fspath(path)!r} cannot be read as a checkpoint of fastbp: {error}. It may be damaged, or "
            "another kind of file; delete it to begin anew, or choose another path."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _flat(value: Any, arrays: list[np.ndarray]) -> Any:
    """Plain values for JSON; arrays are put into the list."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {name: _flat(part, arrays) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_flat(part, arrays) for part in value]
    return value


def _whole(value: Any, arrays: list[np.ndarray]) -> Any:
    """The inverse of `_flat`, with dictionaries in place of dataclasses."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {name: _whole(part, arrays) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part, arrays) for part in value]
    return value
