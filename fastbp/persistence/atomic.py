"""Files that are written completely or not at all."""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replace a file by what `write` writes, in one step; on any failure the old file stays as it is.

    Parameters
    ----------
    path : Path
        A temporary file, named as `temporary_name` says, is written beside it.
    write : callable
        ``write(file)``, with a binary file open for writing.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    temporary = path.with_name(temporary_name(path))
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def temporary_name(path: Path) -> str:
    """Return the name of this thread's temporary file for a path."""
    return f".{path.name}.{os.getpid()}-{threading.get_ident()}"


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, if the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
