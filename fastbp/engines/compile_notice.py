"""A line in a terminal or a notebook when a process compiles its first kernel, which takes seconds."""

import multiprocessing
import os
import sys

from fastbp.engines.output import Output

_given = False


def suppress() -> None:
    """Write no notice in this process."""
    global _given
    _given = True


def give(folder: str | None) -> None:
    """Write the notice to standard error, at most once per process.

    Nothing is written in a worker process, whose standard error may be the terminal of its parent.

    Parameters
    ----------
    folder : str or None
        The folder that kernels are kept in, if any.
    """
    if _given or multiprocessing.parent_process() is not None:
        return
    suppress()
    stream = Output(sys.stderr)
    if stream.columns is None:
        return
    if folder is not None and os.access(folder, os.W_OK):
        text = f"compiling kernels for this processor, once; they are kept in {folder}."
    else:
        text = "compiling kernels for this processor; they cannot be kept for the next process."
    stream.write(f"fastbp: {text}\n", flush=True)
