"""Where compiled kernels are kept: in the user's cache folder, one subfolder for each stamp.

The files are machine code that will be run, so a folder counts only where nobody else may write to it. A
file holds a checksum and then one kernel, and is put into its place in one step: processes that write at
the same time, a full disk or a damaged file cost a compilation, and nothing else.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

STAMPS_KEPT = 16  # those used last: of several environments and of the versions before
_LEAF = re.compile("kernels-[0-9a-f]{20}")
_DIGEST_SIZE = hashlib.sha256().digest_size
_used: set[Path] = set()  # by this process


def stamp_of(text: str) -> str:
    """The stamp of what all kernels of a subfolder have in common."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def candidates(wish: str) -> Iterator[Path]:
    """Folders that may be used, the best first: `wish` (``NUMBA_CACHE_DIR``), the user's, a temporary one."""
    if wish:
        with contextlib.suppress(OSError):  # relative to a folder that no longer exists
            yield Path(wish).absolute() / "fastbp"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # then it is to be ignored, says its specification
            base = os.path.expanduser("~/.cache")
    if os.path.isabs(base) and not _of_another_user(Path(base)):
        yield Path(base) / "fastbp"
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            yield Path(tempfile.gettempdir()) / f"fastbp-{os.geteuid()}"


def survey(wish: str, stamp: str) -> tuple[list[Path], list[OSError]]:
    """The folders to look for a kernel in, one after another, and why others cannot be used.

    At most one of them may be written to, the last: new kernels go there.
    """
    found: list[Path] = []
    faults: list[OSError] = []
    for candidate in candidates(wish):
        try:
            leaf = _prepare(candidate, stamp)
        except OSError as fault:
            faults.append(fault)
            continue
        found.append(leaf)
        if os.access(leaf, os.W_OK):
            break
        faults.append(PermissionError(f"{leaf} cannot be written to"))
    return found, faults


def read(folders: list[Path], name: str) -> bytes | None:
    """Return the content written under a name, or None; a damaged file counts as missing."""
    for folder in folders:
        with contextlib.suppress(OSError):
            data = (folder / name).read_bytes()
            digest, payload = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
            if hashlib.sha256(payload).digest() == digest:
                return payload
    return None


def write(folder: Path, name: str, payload: bytes) -> None:
    """Write a file in one step.

    Raises
    ------
    OSError
        Where it cannot be; no partial file remains.
    """
    temporary = folder / f"{name}.{uuid.uuid4().hex[:12]}"
    try:
        # Readable for all, as a container's image needs it, whatever the umask; writable for nobody else.
        with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, 0o644)) as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _prepare(candidate: Path, stamp: str) -> Path:
    """The subfolder of a stamp, made where it is missing; OSError where it cannot be used."""
    leaf = candidate / f"kernels-{stamp}"
    is_new = not leaf.is_dir()
    if is_new:
        candidate.mkdir(0o755, parents=True, exist_ok=True)
    _refuse_where_others_write(candidate)
    if is_new:
        leaf.mkdir(0o755, exist_ok=True)
    _refuse_where_others_write(leaf)
    if leaf not in _used:
        _used.add(leaf)
        with contextlib.suppress(OSError):  # a read-only system
            os.utime(leaf)
            if is_new:
                _remove_stale(candidate)
    return leaf


def _refuse_where_others_write(folder: Path) -> None:
    if sys.platform == "win32":
        return  # LOCALAPPDATA is the user's own by its access list
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{folder} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"other users may write to {folder}")


def _of_another_user(base: Path) -> bool:
    """Whether this is root in another user's home (sudo), who could not remove what root leaves there."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return False
    with contextlib.suppress(OSError):
        return next(path for path in (base, *base.parents) if path.exists()).stat().st_uid != 0
    return False


def _remove_stale(candidate: Path) -> None:
    """Keep the stamps that were used last. Who is using another one compiles anew."""
    leaves = [path for path in candidate.iterdir() if _LEAF.fullmatch(path.name)]
    leaves.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for leaf in leaves[STAMPS_KEPT:]:
        shutil.rmtree(leaf, ignore_errors=True)
