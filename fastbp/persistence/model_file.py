"""The file of a model: NumPy's npz archive of its arrays, and the rest in a member ``model.json``."""

import json
import os
import platform
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import sklearn

from fastbp.functions.values import shown
from fastbp.persistence.archive import array_of, members_of, write_archive
from fastbp.persistence.atomic import replace_file
from fastbp.persistence.class_table import ESTIMATORS
from fastbp.persistence.decoding import Decoder
from fastbp.persistence.encoding import ARRAY_KINDS, Encoder

FORMAT = 1
DESCRIPTION = "model.json"
FLAT = "fastbp model"  # key of a model as a text and arrays
MOST_SHOWN = 100  # values of an attribute that a description shows


def save(model: Any, path: Any) -> None:
    """Write a model to a file; see `SaveMixin.save`."""
    text, arrays = encoded(model)

    def write(file: BinaryIO) -> None:
        write_archive(file, {DESCRIPTION: text}, arrays)

    if hasattr(path, "write"):
        write(path)
    else:
        # a link stays, and the file that it names is replaced
        replace_file(Path(os.path.realpath(os.fsdecode(path))), write)


def load(path: Any) -> Any:
    """Read a model that `save` has written.

    Nothing of the file is executed: it is safe to load files of unknown origin.

    Parameters
    ----------
    path : str, path-like or binary file object

    Returns
    -------
    estimator
        Its predictions have the same bits as those of the model that was saved; on a processor with vector
        registers of another width they are equal up to rounding. Training continues where it was after
        `partial_fit` or with ``warm_start=True``.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged, is none of fastbp's, or was written by a later version in a format that this
        version does not know.
    """
    with _opened(path) as (file, name):
        try:
            header, arrays = _read(file)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # zipfile, json and NumPy raise various errors for damage
            raise _refused(name, error) from error
        try:
            return decoded(header["model"], arrays)
        except MemoryError:
            raise
        except Exception as error:
            raise _refused(name, error, header) from error


def describe(path: Any) -> dict[str, Any]:
    """Describe the model in a file, without building it.

    Parameters
    ----------
    path : str, path-like or binary file object

    Returns
    -------
    dict
        ``class``, the name of the estimator's class; ``parameters``, a dictionary; ``fitted``, whether it has
        fitted attributes; ``attributes``, those that are numbers, texts, lists of them, or short arrays;
        ``shapes`` and ``dtypes`` of the arrays, by their names in the file; ``n_values``, the numbers in all
        arrays; ``versions`` of fastbp, Python and its packages that wrote it; ``format``, the number of the
        file's format; ``size``, the bytes of the file.

    Raises
    ------
    FileNotFoundError
    ValueError
        As `load`.
    """
    with _opened(path) as (file, name):
        try:
            header, arrays = _read(file, of_small_arrays)
            size = file.seek(0, os.SEEK_END)
            return _described(header, arrays) | {"size": size}
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise _refused(name, error) from error


def encoded(model: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return a model as JSON text and arrays; TypeError or ValueError if it cannot be saved."""
    import fastbp

    encoder = Encoder()
    content = encoder.object(model)
    versions = {
        "fastbp": fastbp.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    header = {
        "format": "fastbp model",
        "version": FORMAT,
        "versions": versions,
        "model": content,
        "arrays": {
            name: {"shape": list(array.shape), "dtype": array.dtype.str}
            for name, array in encoder.arrays.items()
        },
    }
    return json.dumps(header, allow_nan=False), encoder.arrays


def decoded(content: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the model of a file's content, whose weights are checked to fit together."""
    name = content.get("$object")
    if not isinstance(name, str) or name not in ESTIMATORS:
        raise ValueError(f"it holds an object of the unknown class {shown(name)}")
    return Decoder(arrays).object(content)


@contextmanager
def _opened(path: Any) -> Iterator[tuple[BinaryIO, str]]:
    """Yield the file of a path, or a file object as it is, with its name for messages."""
    if hasattr(path, "read"):
        yield path, "The file"
    else:
        with open(path, "rb") as file:
            yield file, repr(os.fsdecode(path))


def _read(
    file: BinaryIO, wanted: Callable[[dict[str, Any]], set[str]] | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the arrays, as the description lists them.

    Parameters
    ----------
    wanted : callable
        ``wanted(header)``, the names of the arrays to read; None: all.
    """
    if not zipfile.is_zipfile(file):
        raise ValueError(_kind_of(file))
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = members_of(archive, file)
        if DESCRIPTION not in members:
            raise ValueError(_kind_of_archive(members))
        header = json.loads(archive.read(members.pop(DESCRIPTION)))
        _check_header(header)
        listed = header["arrays"]
        if members.keys() != {f"{name}.npy" for name in listed}:
            raise ValueError("its arrays are not those that it lists")
        arrays = {}
        for name in listed if wanted is None else wanted(header):
            array = array_of(archive.read(members[f"{name}.npy"]), ARRAY_KINDS)
            if listed[name] != {"shape": list(array.shape), "dtype": array.dtype.str}:
                raise ValueError(f"the array {name} has another shape or dtype than is listed")
            arrays[name] = array
    return header, arrays


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != "fastbp model":
        raise ValueError("it does not hold what a model of fastbp holds")
    number = header.get("version")
    if type(number) is not int or number < 1:
        raise ValueError(f"its format is {shown(number)}, not {FORMAT}")
    if number > FORMAT:
        raise _Newer(f"its format is {number}, and this version of fastbp reads up to {FORMAT}", header)
    for name in ("versions", "model", "arrays"):
        if not isinstance(header.get(name), dict):
            raise ValueError(f"it holds no {name}")


class _Newer(ValueError):
    """Fault of a file that a later version has written."""

    def __init__(self, fault: str, header: dict[str, Any]) -> None:
        super().__init__(fault)
        self.header = header


def _refused(name: str, fault: Exception, header: dict[str, Any] | None = None) -> ValueError:
    """Return the error for a file that cannot be loaded, which says what to do."""
    import fastbp

    text = str(fault) if isinstance(fault, ValueError) else f"{type(fault).__name__}: {fault}"
    if isinstance(fault, _Newer):
        header = fault.header
    versions = header.get("versions") if header else None
    by = versions.get("fastbp") if isinstance(versions, dict) else None
    advice = "It may be damaged, cut off or another kind of file: write it again by model.save(path)."
    if isinstance(by, str) and (isinstance(fault, _Newer) or by != fastbp.__version__):
        advice = (
            f"It was written by fastbp {by}, and this is {fastbp.__version__}: "
            f"use that version, such as by pip install 'fastbp=={by}'."
        )
    return ValueError(f"{name} cannot be loaded as a model of fastbp: {text}. {advice}")


def _kind_of(file: BinaryIO) -> str:
    """Return what a file that is no archive seems to be."""
    file.seek(0)
    start = file.read(2)
    if not start:
        return "it is empty"
    if start[:1] == b"\x80":
        return "it is a pickle, which pickle.load or joblib.load reads, if you trust its origin"
    if start == b"PK":
        return "it is cut off"
    return "it is no archive"


def _kind_of_archive(members: Mapping[str, Any]) -> str:
    if "schema.json" in members:
        return "it is a file of skops, which skops.io.load reads"
    if "meta.npy" in members:
        return "it may be a checkpoint of a fit, which fastbp.callbacks.Checkpoint(path, resume=True) reads"
    return f"it is an archive without {DESCRIPTION}"


def of_small_arrays(header: dict[str, Any]) -> set[str]:
    """Return the names of the arrays that a description shows, such as `classes_`."""
    names = {value.get("$array") for value in header["model"]["attributes"].values() if type(value) is dict}
    return {
        name
        for name, one in header["arrays"].items()
        if name in names and np.prod(one["shape"], dtype=object) <= MOST_SHOWN
    }


def _described(header: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    model = header["model"]
    attributes = model["attributes"]
    shown_attributes = {}
    for name, value in attributes.items():
        is_plain, plain = _plain(value)
        if type(value) is dict and value.get("$array") in arrays:
            array = arrays[value["$array"]]
            is_plain, plain = True, (array.astype(str) if array.dtype.kind in "mM" else array).tolist()
        if is_plain and not name.startswith("_"):
            shown_attributes[name] = plain
    shapes = {name: tuple(one["shape"]) for name, one in header["arrays"].items()}
    return {
        "class": str(model["$object"]),
        "parameters": {name: _plain(value)[1] for name, value in model.get("parameters", {}).items()},
        "fitted": any(name.endswith("_") for name in attributes),
        "attributes": shown_attributes,
        "shapes": shapes,
        "dtypes": {name: one["dtype"] for name, one in header["arrays"].items()},
        "n_values": sum(int(np.prod(shape, dtype=object)) for shape in shapes.values()),
        "versions": header["versions"],
        "format": header["version"],
    }


def _plain(value: Any) -> tuple[bool, Any]:
    """Return whether a value needs no class and no array, and it or a short description."""
    if isinstance(value, dict) and "$object" in value:
        if "plain" in value:
            return False, {"class": value["$object"], "name": value["plain"]["name"]}
        inner = {name: _plain(part)[1] for name, part in value.get("parameters", {}).items()}
        return False, {"class": value["$object"], "parameters": inner}
    if isinstance(value, dict) and "$registered" in value:
        return True, value["$registered"]["plain"]["name"]
    if isinstance(value, dict) and "$array" in value:
        return False, f"array {value['$array']}"
    if isinstance(value, list):
        parts = [_plain(one) for one in value]
        return all(is_plain for is_plain, _ in parts), [part for _, part in parts]
    if isinstance(value, dict) and value.keys() == {"$objects"}:
        return _plain(value["$objects"]["values"])
    try:
        return True, Decoder({}).value(value)
    except Exception:  # of a random state, or of a value that holds an array
        return False, f"<{next(iter(value), '').lstrip('$')}>"


def flattened(model: Any) -> dict[str, Any] | None:
    """Return a model as a text and arrays; None if it cannot be saved. For formats that trust no classes."""
    try:
        text, arrays = encoded(model)
    except (TypeError, ValueError):
        return None
    return {FLAT: text, "arrays": arrays}


def unflattened(state: dict[str, Any]) -> Any:
    """Return the model of `flattened`."""
    header = json.loads(state[FLAT])
    _check_header(header)
    return decoded(header["model"], state["arrays"])
