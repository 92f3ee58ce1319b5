"""NumPy's npz archives, read without pickles and in no more memory than the size of the file."""

import io
import math
import os
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

CREATED = (1980, 1, 1, 0, 0, 0)  # of every member: equal models make equal files
Header = tuple[tuple[int, ...], bool, np.dtype]  # shape, whether in Fortran order, dtype


def write_archive(file: BinaryIO, texts: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write texts as members of these names, and arrays as members of these names with ``.npy``."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, CREATED), text.encode())
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", CREATED)
            with archive.open(member, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, version=(1, 0), allow_pickle=False)


def members_of(archive: zipfile.ZipFile, file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; ValueError if they could be longer than the file."""
    members = archive.infolist()
    if any(one.compress_type != zipfile.ZIP_STORED for one in members):
        raise ValueError("it is compressed")
    if sum(one.file_size for one in members) > _length(file):
        raise ValueError("its parts are longer than the file")
    by_name = {one.filename: one for one in members}
    if len(by_name) < len(members):
        raise ValueError("it holds several parts of one name")
    return by_name


def array_of(content: bytes, kinds: str) -> np.ndarray:
    """Return the array of a member; ValueError if it is not what its header says.

    Parameters
    ----------
    kinds : str
        Kinds of dtypes that are accepted; never objects.
    """
    stream = io.BytesIO(content)
    shape, _, dtype = header_of(stream)
    if dtype.kind not in kinds or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError("an array has another size or type than it says")
    stream.seek(0)
    array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def header_of(stream: BinaryIO) -> Header:
    """Read the header of an array."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array has another format")
    header: Header = np.lib.format.read_array_header_1_0(stream)
    return header


def _length(file: BinaryIO) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except (AttributeError, OSError):  # in memory
        at = file.tell()
        length = file.seek(0, os.SEEK_END)
        file.seek(at)
        return length
