"""Compile every kernel of the CUDA engine without a GPU, and say what it needs of one.

    python bench/ptx.py                       # compute capabilities 7.5, 8.0 and 9.0
    python bench/ptx.py --json ptx.json --capability 9.0

A kernel is made of the functions that a plan names; here it is some plans that together stand for all.

Needs the extra `fastbp[cuda]` for the compiler and the package `nvidia-cuda-nvcc` for the assembler `ptxas`.
The table has registers, spills and shared memory of each kernel. The exit code is 1 where one is over its
budget, or where anything but the bookkeeping of a float32 kernel is computed in float64.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

CAPABILITIES = ("7.5", "8.0", "9.0")
# Registers of a thread: two blocks of 256 threads on a multiprocessor in float32, one in float64.
REGISTERS = {"float32": 128, "float64": 255}
SHARED = 48 * 1024
SPILLED = {
    "resident": 0,
    "block": 0,
    "fleet": 76,  # pointers that other blocks have as constants
    "helper": 0,
    "grid": 64,
}  # bytes: the grid's barrier is a call, which saves registers
# What these plans may spill beyond that. They have more phases, and so more numbers that live through a step.
# In the machine code of the float32 blocks and grids that need it (nvdisasm; 7.5 and 8.0) none of the moves
# lies in a loop of a product; nearly all are in the loops over steps and phases. What they cost has not been
# timed.
ALSO_SPILLED = {"elements": 36, "batch norm": 64}

# Plans: activations, row activations, loss, solver, whether there is L1 penalty, decay, clipping; schedule;
# noises of layers and of inputs, residual connections, averages, limited norms of units and of gradients,
# rate factors, groups, parametric functions, batch normalisation.
SELECTIONS = {
    "usual": (("identity", "relu"), (), "log_loss+softmax", "adam", False, False, False),
    "most": (
        ("identity", "tanh", "selu", "gelu", "mish"),
        ("increasing",),
        "pinball",
        "amsgrad",
        True,
        True,
        True,
    ),
    "focal": (
        ("identity", "logistic", "silu"),
        (),
        "focal+softmax",
        "rprop",
        True,
        False,
        False,
        "one_cycle",
    ),
    "tweedie": (("identity", "softplus"), (), "tweedie+exp", "adadelta", False, False, True, "restarts"),
    "noisy": (
        ("identity", "relu", "gelu"),
        (),
        "log_loss+softmax",
        "adam",
        False,
        True,
        False,
        None,
        ("dropout",),
        ("dropout", "gaussian"),
        True,
    ),
    "limited": (
        ("identity", "tanh"),
        (),
        "squared_error",
        "amsgrad",
        True,
        True,
        True,
        None,
        (),
        (),
        False,
        True,
        True,
        True,
    ),
    "elements": (
        ("identity", "mish"),
        ("layer_norm",),
        "log_loss+softmax",
        "adam",
        False,
        True,
        False,
        "coslog",
        ("dropout",),
        (),
        True,
        True,
        False,
        True,
        True,
        ("maxout",),
        ("scale", "affine", "robust", "blended mish"),
    ),
    "batch norm": (
        ("identity", "relu"),
        (),
        "log_loss+softmax",
        "adam",
        False,
        False,
        False,
        None,
        ("dropout",),
        (),
        False,
        False,
        False,
        False,
        False,
        (),
        ("affine", "standardise"),
        True,
    ),
    "own": (
        ("identity", "own activation"),
        (),
        "own loss",
        "own solver",
        False,
        False,
        False,
        "own schedule",
    ),
    "gradients": (("identity", "tanh"), (), "squared_error", None, False, False, False),
    "prediction": (("identity", "gelu"), ("softmax",), None, None, False, False, False),
}
# One kind of team each, where another plan stands for the others; and prediction is never resident.
TEAMS = {
    "focal": ("grid",),
    "tweedie": ("resident",),
    "own": ("block",),
    "gradients": ("block",),
    "prediction": ("grid",),
}
HELPERS = ("take rows", "cast", "non-finite", "orders", "place heads", "take heads")
HELPER = "helper"  # in place of a team


def main() -> int:
    args = parse_arguments()
    assembler = find_assembler()
    if assembler is None:
        sys.exit("no ptxas was found: pip install nvidia-cuda-nvcc")
    rows = []
    for capability in args.capability:
        for dtype in args.dtype:
            for plan in args.plans:
                for team in TEAMS.get(plan, ("resident", "fleet", "block", "grid")):
                    rows.append(measure(assembler, capability, dtype, plan, team))
                    print(line(rows[-1]), flush=True)
            for helper in HELPERS:
                rows.append(measure(assembler, capability, dtype, helper, HELPER))
                print(line(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"kernels": rows, "budget": REGISTERS}, indent=1))
    faults = [fault for row in rows for fault in row["faults"]]
    doubles = {d for plan in args.plans for d in float64_instructions(args.capability[0], plan)}
    print(f"{len(doubles)} float64 instructions in float32 outside the bookkeeping")
    faults += [f"float64 in float32: {instruction}" for instruction in sorted(doubles)]
    print("\n".join(faults) or "all within budget")
    return int(bool(faults))


def line(row) -> str:
    return (
        f"sm_{row['capability'].replace('.', '')} {row['dtype']} {row['plan']:11} {row['team']:9}"
        f"{row['registers']:4} registers {row['spilled']:4} B spilled {row['stack']:5} B stack "
        f"{row['shared']:6} B shared {row['instructions']:6} PTX instructions {row['seconds']:5.1f} s"
    )


def find_assembler() -> Path | None:
    """The ptxas of the wheel nvidia-cuda-nvcc; an older one on the PATH may not know the PTX."""
    import importlib.util

    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations if spec else []:
        for path in sorted(Path(folder).glob("*/bin/ptxas*")):
            if os.access(path, os.X_OK):
                return path
    return None


@contextlib.contextmanager
def pretended_device(capability: tuple[int, int]):
    """Device functions ask for the current device as they compile: without a driver, an answer."""
    from numba.cuda import dispatcher

    real = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = real


def selection(plan: str):
    """What a plan selects of the registries."""
    from fastbp.engines.cuda.lowering import Selection

    own = own_formulas()
    chosen = [
        tuple(own.get(name, name) for name in part) if isinstance(part, tuple) else own.get(part, part)
        for part in SELECTIONS[plan]
    ]
    return Selection(*chosen)


def own_formulas() -> dict:
    """Formulas of a user's own, which use all that a formula may be made of."""
    import numpy as np

    from fastbp import Activation, Loss, Schedule, Solver

    def value(z):
        parts = (
            np.sin(z) + np.cos(z) + np.log1p(z * z) + np.sinh(z / 9) + np.logaddexp(0, z) + np.abs(z) ** 1.5
        )
        return np.where((z > 1) | (z < -1), parts, 1.0) + np.rint(z)

    def loss(f, y, p):
        return np.mean((f - y) ** 2) + p * np.log(np.sum(np.exp(f - np.max(f)))) - np.min(f)

    def update(w, g, m, rate, beta):
        m = beta * m + g
        return w - rate * np.sign(m) * np.sqrt(m * m), m

    return {
        "own activation": Activation("everything", value),
        "own loss": Loss("everything", loss, params={"p": 1.0}),
        "own solver": Solver("signed", update, n_states=1, params={"beta": 0.5}),
        "own schedule": Schedule("falling", lambda x, epoch: np.where(epoch > 1, 1 - x, np.exp(-(x**2)))),
    }


def compile_kernel(capability: str, dtype: str, plan: str, team: str) -> str:
    """The PTX of one kernel."""
    import numpy as np
    from numba.cuda import types
    from numba.np.numpy_support import from_dtype

    from fastbp.engines.control import CONTROL
    from fastbp.engines.cuda.control import LAUNCH
    from fastbp.engines.cuda.step import launch_bounds, make_kernel
    from fastbp.engines.cuda.target import cuda

    real = getattr(types, dtype)
    integers, counts, fits, launches = types.int64, types.int32, from_dtype(CONTROL), from_dtype(LAUNCH)
    signature = (
        integers[:, ::1], integers[:, ::1], real[::1], real[::1], real[::1], real[::1], counts[::1],
        fits[::1], launches[::1], types.float64[::1], integers, integers,
    )  # fmt: skip
    major, minor = (int(part) for part in capability.split("."))
    number = getattr(np, dtype)
    function, bounds = make_kernel(number, team, selection(plan)).py_func, launch_bounds(number)
    with pretended_device((major, minor)):
        ptx, _ = cuda.compile_ptx(function, signature, cc=(major, minor), launch_bounds=bounds)
    return ptx


def compile_helper(capability: str, dtype: str, name: str) -> str:
    """The PTX of a kernel that prepares rows, orders or arenas."""
    from numba.cuda import types

    from fastbp.engines.cuda import arrays, fleet, fleet_orders
    from fastbp.engines.cuda.target import cuda

    real, counts, integers = getattr(types, dtype), types.int32[::1], types.int64
    kernel, signature = {
        "take rows": (arrays._take, (real[::1], integers[::1], integers, real[::1])),
        "cast": (arrays._cast, (integers[::1], real[::1])),
        "non-finite": (arrays._look_for_non_finite, (real[::1], counts)),
        "orders": (fleet_orders._draw, (integers[:, ::1], counts, integers, counts)),
        "place heads": (fleet._place_heads, (real[:, ::1], integers, real[::1])),
        "take heads": (fleet._take_heads, (real[::1], integers[::1], integers, real[:, ::1])),
    }[name]
    major, minor = (int(part) for part in capability.split("."))
    with pretended_device((major, minor)):
        ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(major, minor))
    return ptx


def float64_instructions(capability: str, plan: str) -> list[str]:
    """Float64 instructions of what a float32 kernel computes, without the bookkeeping."""
    import numpy as np
    from numba.cuda import types
    from numba.np.numpy_support import from_dtype

    from fastbp.engines.cuda.control import LAUNCH
    from fastbp.engines.cuda.phases import Data, Place, make_work
    from fastbp.engines.cuda.step import TILING
    from fastbp.engines.cuda.target import cuda
    from fastbp.engines.cuda.tiling import LARGE

    work = make_work(np.float32, TILING, False, selection(plan))
    gather, tiles, rows, norms, elements, features = work
    size = TILING.pool(LARGE)

    def without_books(jobs, memory, X, order, launches, n):
        pool = cuda.shared.array(size, np.float32)
        place, key, launch = Place(n, n, cuda.threadIdx.x & 255), np.uint64(n), launches[0]
        gather(memory, jobs, n, n, Data(X, X, X, order), launch, n, n, n, key, place)
        tiles(memory, jobs, n, n, pool, launch, n, n, n, key, place)
        rows(memory, jobs, n, n, pool, launch, n, n, place)
        norms(memory, jobs, n, n, pool, launch, place)
        elements(memory, jobs, n, n, n, n, key, place)
        features(memory, jobs, n, pool, launch, n, place)

    single, launches = types.float32[::1], from_dtype(LAUNCH)[::1]
    signature = (types.int64[:, ::1], single, single, types.int32[::1], launches, types.int32)
    major, minor = (int(part) for part in capability.split("."))
    with pretended_device((major, minor)):
        ptx, _ = cuda.compile_ptx(without_books, signature, cc=(major, minor))
    return sorted(set(re.findall(r"[a-z.]+\.f64\b", ptx)))


def measure(assembler: Path, capability: str, dtype: str, plan: str, team: str) -> dict:
    """Compile and assemble one kernel; seconds of both."""
    started = time.perf_counter()
    if team == HELPER:
        ptx = compile_helper(capability, dtype, plan)
    else:
        ptx = compile_kernel(capability, dtype, plan, team)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        target = f"sm_{capability.replace('.', '')}"
        mode = ["-c"] if team == "grid" else []  # the grid's barrier is linked to the runtime's library
        command = [assembler, "-v", f"-arch={target}", *mode, source, "-o", Path(folder, "kernel.cubin")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ptxas: {done.stderr}")
    text = done.stderr
    entry = text[text.index("Compiling entry function") :]
    found = {
        "registers": int(re.search(r"Used (\d+) registers", entry)[1]),
        "spilled": sum(int(n) for n in re.findall(r"(\d+) bytes spill", entry)),
        "stack": max(int(n) for n in re.findall(r"(\d+) bytes stack", entry)),
        "shared": int((re.search(r"(\d+) bytes smem", entry) or [0, 0])[1]),
    }
    row = {"capability": capability, "dtype": dtype, "plan": plan, "team": team, **found}
    row["seconds"] = round(time.perf_counter() - started, 1)
    row["instructions"] = len(re.findall(r"^\s+[a-z@].*;", ptx, re.MULTILINE))
    name, budget = f"{target} {dtype} {plan} {team}", REGISTERS[dtype]
    row["faults"] = [
        f"{name}: {what}"
        for what, wrong in (
            (
                f"{found['spilled']} bytes spilled",
                found["spilled"] > SPILLED[team] + ALSO_SPILLED.get(plan, 0),
            ),
            (f"{found['registers']} registers, budget {budget}", found["registers"] > budget),
            (f"{found['shared']} bytes of shared memory", found["shared"] > SHARED),
        )
        if wrong
    ]
    return row


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--capability", nargs="+", choices=CAPABILITIES, default=list(CAPABILITIES))
    add("--dtype", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    add("--plans", nargs="+", choices=SELECTIONS, default=list(SELECTIONS))
    add("--json", type=Path, metavar="FILE", help="write the table to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
