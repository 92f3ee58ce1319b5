"""Tables in files: read and written by pandas or polars, whichever is installed."""

import bz2
import difflib
import gzip
import io
import lzma
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np

from fastbp.cli.errors import CommandError, UsageError
from fastbp.cli.libraries import Pandas, Polars, library_for
from fastbp.cli.models import require_file
from fastbp.cli.results import listed
from fastbp.persistence.atomic import replace_file

STANDARD = "-"  # the name of standard input and output
SEPARATORS = {".csv": None, ".txt": None, ".tsv": "\t", ".tab": "\t"}  # None: found in the first line
CANDIDATES = ",;\t|"
FORMATS = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather"}
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
SAMPLE = 1 << 16  # bytes of a text file that its format is seen from
SUFFIXES = ".csv, .tsv or .txt (also with .gz, .bz2 or .xz), .parquet, .feather"


class Kind(NamedTuple):
    """The format of a file."""

    format: str  # "text", "parquet" or "feather"
    separator: str | None = None
    opener: Callable[..., Any] | None = None


class Table:
    """A data frame of pandas or polars.

    Parameters
    ----------
    frame : DataFrame
    library : Pandas or Polars
    """

    def __init__(self, frame: Any, library: Pandas | Polars) -> None:
        self.frame, self.library = frame, library
        self.names = [str(name) for name in frame.columns]
        self.n_rows = int(frame.shape[0])

    def only(self, names: Sequence[str]) -> "Table":
        """Return some of the columns."""
        return Table(self.frame[list(names)], self.library)

    def without(self, names: Sequence[str]) -> "Table":
        """Return the other columns."""
        return self.only([name for name in self.names if name not in set(names)])

    def rows(self, rows: np.ndarray) -> "Table":
        """Return some of the rows, by their numbers."""
        frame = self.frame.iloc[rows] if hasattr(self.frame, "iloc") else self.frame[rows]
        return Table(frame, self.library)

    def require(self, names: Sequence[str], what: str) -> None:
        """Raise UsageError if columns are missing."""
        missing = [name for name in names if name not in self.names]
        if missing:
            close = difflib.get_close_matches(missing[0], self.names, 1)
            others = f"did you mean {close[0]!r}?" if close else f"the columns are {listed(self.names, 30)}"
            raise UsageError(f"{what}: no column {missing[0]!r}; {others}")


def kind_of(name: str) -> Kind:
    """Return the format of a file by its suffix.

    Raises
    ------
    UsageError
        If the suffix is unknown.
    """
    if name == STANDARD:
        return Kind("text")
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    opener = OPENERS.get(suffixes[-1]) if suffixes else None
    last = suffixes[-2 if opener and len(suffixes) > 1 else -1] if suffixes else ""
    if last in SEPARATORS:
        return Kind("text", SEPARATORS[last], opener)
    if last in FORMATS and opener is None:
        return Kind(FORMATS[last])
    raise UsageError(f"{name}: the name of a table ends with {SUFFIXES}")


def read(name: str, separator: str | None = None) -> Table:
    """Read a table.

    Parameters
    ----------
    name : str
        Path of a file, or ``"-"`` for CSV on standard input.
    separator : str or None
        Between the fields of a text file; None: by the suffix, or the commonest candidate in the first line.

    Raises
    ------
    CommandError
        If the file cannot be read or has no rows.
    """
    kind = kind_of(name)
    if name != STANDARD:
        require_file(name)
    library = library_for(kind.format)
    shown = "standard input" if name == STANDARD else name
    try:
        if kind.format == "text":
            with _opened(name, kind) as file:
                separator = separator or kind.separator or _separator_of(file)
                frame = library.read_text(file, separator, _decimal_of(file, separator))
        else:
            frame = library.read(Path(name), kind.format)
    except (OSError, MemoryError):
        raise
    except Warning as error:
        raise CommandError(f"{shown} has a row with more fields than its first line has names") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{shown} is not text in UTF-8: {error}") from error
    except Exception as error:  # each library has its own classes for files that it cannot read
        raise CommandError(f"{shown} cannot be read: {error}") from error
    table = Table(frame, library)
    if not table.n_rows:
        raise CommandError(f"{shown} has no rows")
    return table


def _opened(name: str, kind: Kind) -> Any:
    if name == STANDARD:
        return io.BytesIO(sys.stdin.buffer.read())
    path = Path(name)
    return kind.opener(path) if kind.opener is not None else path.open("rb")


def _separator_of(file: BinaryIO) -> str:
    """Return the candidate that occurs most often in the first line, outside quotation marks."""
    line = file.readline().decode("utf-8", "replace")
    file.seek(0)
    outside = "".join(line.split('"')[::2])
    return max(CANDIDATES, key=outside.count)  # of equal counts the first, the comma


def _decimal_of(file: BinaryIO, separator: str) -> str:
    """Return the sign before decimals: a comma if fields between semicolons have it and none has a point."""
    if separator != ";":
        return "."
    lines = file.read(SAMPLE).decode("utf-8", "replace").splitlines()[1:]
    file.seek(0)
    fields = [field.strip('" ') for line in lines for field in line.split(separator)]
    has_commas = any(re.fullmatch(r"[+-]?\d+,\d+", field) for field in fields)
    has_points = any(re.fullmatch(r"[+-]?\d+\.\d+", field) for field in fields)
    return "," if has_commas and not has_points else "."


def write(
    columns: dict[str, Any],
    name: str,
    kept: Table | None,
    library: Pandas | Polars,
    stream: TextIO | None = None,
) -> None:
    """Write columns as a table, whole or not at all.

    Parameters
    ----------
    columns : dict
        Arrays by name.
    name : str
        Path, whose suffix is the format; or ``"-"`` for CSV on standard output.
    kept : Table or None
        Columns of another table that come first.
    stream : text stream or None
        In place of standard output.
    """
    kind = kind_of(name)
    frame = library.new({**columns_of(kept), **columns})
    if not isinstance(library, type(library_for(kind.format))):  # pandas without pyarrow
        library = library_for(kind.format)
        frame = library.new({**columns_of(kept), **columns})
    separator = kind.separator or ","
    if name == STANDARD:
        data = io.BytesIO()
        library.write(frame, data, kind.format, separator)
        print(data.getvalue().decode(), end="", flush=True, file=stream)
        return

    def fill(file: BinaryIO) -> None:
        if kind.opener is None:
            library.write(frame, file, kind.format, separator)
        else:
            with kind.opener(file, "wb") as packed:
                library.write(frame, packed, kind.format, separator)

    replace_file(Path(name), fill)


def columns_of(table: Table | None) -> dict[str, Any]:
    """Return the columns of a table as arrays."""
    if table is None:
        return {}
    return {name: table.frame[name].to_numpy() for name in table.names}
