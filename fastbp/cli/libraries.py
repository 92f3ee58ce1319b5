"""The libraries of data frames: pandas or polars, whichever is installed, behind one interface."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from fastbp.cli.errors import CommandError


class Pandas:
    """Reads and writes by pandas."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def read_text(self, file: BinaryIO, separator: str, decimal: str) -> Any:
        with warnings.catch_warnings():
            # a first row of more fields than the header has names
            warnings.simplefilter("error", self._module.errors.ParserWarning)
            # only an empty field is a missing value: "NA" or "None" may be the name of a level
            return self._module.read_csv(
                file,
                sep=separator,
                decimal=decimal,
                keep_default_na=False,
                na_values=[""],
                index_col=False,
                low_memory=False,
            )

    def read(self, path: Path, format_: str) -> Any:
        frame = self._module.read_parquet(path) if format_ == "parquet" else self._module.read_feather(path)
        frame.columns = [str(name) for name in frame.columns]
        return frame

    def new(self, columns: dict[str, Any]) -> Any:
        return self._module.DataFrame(columns)

    def write(self, frame: Any, file: Any, format_: str, separator: str) -> None:
        if format_ == "text":
            file.write(frame.to_csv(index=False, sep=separator, lineterminator="\n").encode())
        elif format_ == "parquet":
            frame.to_parquet(file, index=False)
        else:
            frame.reset_index(drop=True).to_feather(file)


class Polars:
    """Reads and writes by polars."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def read_text(self, file: BinaryIO, separator: str, decimal: str) -> Any:
        data = file.read()
        data.decode()  # polars would read other names than those that are there
        comma = decimal == ","
        return self._module.read_csv(data, separator=separator, decimal_comma=comma, infer_schema_length=None)

    def read(self, path: Path, format_: str) -> Any:
        # of bytes, not of the path: what is mapped could not be replaced
        read = self._module.read_parquet if format_ == "parquet" else self._module.read_ipc
        return read(path.read_bytes())

    def new(self, columns: dict[str, Any]) -> Any:
        return self._module.DataFrame(columns)

    def write(self, frame: Any, file: Any, format_: str, separator: str) -> None:
        if format_ == "text":
            frame.write_csv(file, separator=separator)
        elif format_ == "parquet":
            frame.write_parquet(file)
        else:
            frame.write_ipc(file)


def _pandas() -> Any:
    try:
        import pandas  # type: ignore[import-untyped]
    except ImportError:
        return None
    return pandas


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        return None
    return polars


def _has_pyarrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def library_for(format_: str) -> Pandas | Polars:
    """Return the library that reads and writes a format: pandas if it can, else polars.

    Raises
    ------
    CommandError
        If neither is installed, or pandas without pyarrow; it says what to install.
    """
    pandas = _pandas()
    if pandas is not None and (format_ == "text" or _has_pyarrow()):
        return Pandas(pandas)
    polars = _polars()
    if polars is not None:
        return Polars(polars)
    if pandas is not None:
        raise CommandError(
            f"pandas reads and writes {format_} files with pyarrow: python -m pip install pyarrow"
        )
    more = "" if format_ == "text" else " pyarrow"
    raise CommandError(f"tables are read by pandas or polars: python -m pip install pandas{more}")
