"""File format of checkpoints: NumPy's npz, without pickles.

The array "meta" holds JSON, which refers to arrays by number. The file is written completely or not at all.
"""

import json
import os
import re
import zipfile
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastbp.callbacks.checkpoint_checks import checked
from fastbp.functions.values import shown
from fastbp.persistence.archive import array_of, members_of
from fastbp.persistence.atomic import replace_file
from fastbp.training.checkpoint_state import SavedFit

FORMAT = 1


def write(path: Path, saved: SavedFit) -> None:
    """Replace the file atomically, so that a fit can always be resumed; OSError on failure."""
    arrays: list[np.ndarray] = []
    content = _flat({"begin": saved.begin, "position": saved.position}, arrays)
    meta = json.dumps({"fastbp checkpoint": FORMAT, **content})
    named: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}

    def savez(file: BinaryIO) -> None:
        np.savez(file, meta=np.array(meta), **named)

    try:
        replace_file(path, savez)
    except FileNotFoundError:  # another fit with this path has removed the temporary file
        replace_file(path, savez)


def remove_remainders(path: Path) -> None:
    """Remove temporary files of processes that were killed while they wrote this file."""
    remainder = re.compile(rf"\.{re.escape(path.name)}\.[0-9]+-[0-9]+")
    with suppress(OSError):
        for name in os.listdir(path.parent):
            if remainder.fullmatch(name):
                with suppress(OSError):
                    path.with_name(name).unlink()


def read(path: Path) -> SavedFit | None:
    """Read a saved fit; None if there is no file, ValueError if it is damaged or not a checkpoint."""
    try:
        with open(path, "rb") as file:
            parts = _parts(file)
        meta = json.loads(str(parts.pop("meta")))
        if not isinstance(meta, dict) or meta.keys() != {"fastbp checkpoint", "begin", "position"}:
            raise ValueError("it does not hold what a checkpoint holds")
        version = meta["fastbp checkpoint"]
        if type(version) is not int or version != FORMAT:
            raise ValueError(f"its format is {shown(version)}, not {FORMAT}")
        begin = meta["begin"]
        if isinstance(begin, dict) and "random_state" in begin:
            begin["random_state"] = _whole(begin["random_state"], parts)
        return checked(begin, _whole(meta["position"], parts))
    except FileNotFoundError:
        return None
    except Exception as error:  # zipfile, zlib, json and NumPy raise various errors for damage
        raise damaged(path, error) from error


def damaged(path: Path, fault: object) -> ValueError:
    """Error for a file that is not a valid checkpoint."""
    return ValueError(
        f"{os.fspath(path)!r} cannot be read as a checkpoint of fastbp: {fault}. It may be damaged, or "
        "another kind of file; delete it to begin anew, or choose another path."
    )


def _parts(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read the arrays by name, in no more memory than the size of the file, whatever its headers say."""
    parts = {}
    with zipfile.ZipFile(file) as archive:
        members = members_of(archive, file)
        for name, member in members.items():
            parts[name.removesuffix(".npy")] = array_of(archive.read(member), "fuU")
    if len(parts) != len(members) or parts.keys() != {"meta", *map(str, range(len(parts) - 1))}:
        raise ValueError("it holds other parts")
    if parts["meta"].dtype.kind != "U" or parts["meta"].ndim:
        raise ValueError("its description is no text")
    return parts


def _flat(value: Any, arrays: list[np.ndarray]) -> Any:
    """Convert to plain values for JSON; arrays are appended to the list."""
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


def _whole(value: Any, parts: dict[str, np.ndarray]) -> Any:
    """Inverse of `_flat`, with dictionaries in place of dataclasses."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return parts[str(value["array"])]
        return {name: _whole(part, parts) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part, parts) for part in value]
    return value
