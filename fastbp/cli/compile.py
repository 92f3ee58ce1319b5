"""``compile``: compile kernels beforehand."""

import time
from typing import Any

from fastbp.cli.arguments import add_command
from fastbp.cli.errors import FAILED
from fastbp.cli.results import Results


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compile",
        "compile kernels beforehand, for images, read-only systems and tests",
        "Compile what usual fits and predictions need, and keep it on disk: in NUMBA_CACHE_DIR, if that is "
        "set, else in the user's cache folder. Kernels are for this processor, or for the one that "
        "NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name.",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every registered activation, loss, solver and schedule, with every option (some minutes)",
    )
    parser.set_defaults(run=run, prints=True)


def run(options: Any, results: Results) -> int:
    """Compile and return the exit code."""
    from fastbp.engines import kernel_cache  # loads Numba

    started = time.perf_counter()
    code: int = options.parts.compile(options.all)
    folder = None if code == FAILED else kernel_cache.folder_to_write()[0]
    results.add(folder=folder, kernels=len(list(folder.iterdir())) if folder else 0)
    results.add(seconds=time.perf_counter() - started)
    return code
