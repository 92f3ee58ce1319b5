"""The kernels one by one, on one thread: products in GFLOP/s, activations and solvers in ns an element.

For each a network is planned around one op, and all other ops are switched off in the table. The fastest of a
few samples counts.
"""

import time

import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import lowering
from fastbp.engines.cpu.arena import TILE_PARAMETERS, lanes_of, plan_arena
from fastbp.engines.cpu.arguments import Network, Solver, Team
from fastbp.engines.cpu.barrier import SYNC_SIZE
from fastbp.engines.cpu.gradient import APPLY_STORED, WRITE, gradient_tiles
from fastbp.engines.cpu.layout import panel_layout
from fastbp.engines.cpu.network import backward, forward
from fastbp.engines.cpu.op_table import link
from fastbp.engines.cpu.ops.interface import BY_ROW, Span, pointers_of
from fastbp.engines.cpu.vector_memory import pointer
from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.step import StepOptions
from fastbp.plan.network import FIELD, Kind
from fastbp.plan.planner import network_plan

DTYPES = ["float32", "float64"]
LAYERS = ["tiny: 20-32, batch 32", "deep: 64-64, batch 64", "tab: 128-64, batch 256"]
LAYERS += ["fmnist: 784-256, batch 200", "wide: 1024-1024, batch 512"]
SAMPLES, SAMPLE_SECONDS = 7, 0.02


@jit
def repeat_forward(times, last, network):
    net = Network(*network)
    pointers, span = pointers_of(net), Span(0, last, 0, 0, 0, BY_ROW)
    for _ in range(times):
        forward(pointers, 0, net.table.shape[0], span)


@jit
def repeat_backward(times, last, network):
    net = Network(*network)
    pointers, span = pointers_of(net), Span(0, last, 0, 0, 0, BY_ROW)
    for _ in range(times):
        backward(pointers, 0, net.table.shape[0], span)


@jit
def repeat_tiles(times, rows, mode, update, rule, network, solver, sync):
    team, net, solver = Team(0, 1, sync), Network(*network), Solver(*solver)
    for _ in range(times):
        gradient_tiles(team, net, solver, rows, mode, update, pointer(rule, 0))


class Op:
    """The last op before the loss of a small network, and all the memory that its kernels work on."""

    def __init__(self, hidden, n_outputs: int, rows: int, dtype: str, activation: str = "identity"):
        self.network = network = network_plan(
            n_inputs=1,
            hidden_layer_sizes=hidden,
            n_outputs=n_outputs,
            activation="identity",
            out_activation=activation,
            loss="squared_error",
            fit_intercept=True,
            dtype=np.dtype(dtype),
        )
        assert network.ops[-1].kind == Kind.LOSS
        arena = plan_arena(network, rows, 1, training=True)
        layout = panel_layout(network)
        table = link(layout).copy()
        table[:, FIELD["training"]] = np.arange(len(table)) == len(table) - 2
        last = layout.blocks[network.ops.index(network.dense[-1])]
        tiles = arena.tiles[arena.tiles[:, TILE_PARAMETERS] >= last.offset]
        self.rows, self.registers = rows, -(-rows // lanes_of(network.dtype))
        rng = np.random.default_rng(0)
        self.work = arena.allocate()
        self.numbers = rng.standard_normal(len(self.work)).astype(dtype)
        params, gradient = rng.standard_normal((2, layout.size)).astype(dtype)
        moments, penalties = np.zeros(3 * layout.size, dtype), np.zeros(2 * len(tiles))
        tables = table, arena.buffers, arena.transposed, tiles, arena.offsets
        self.arguments = (*tables, params, self.work, np.zeros(self.registers))
        self.solver = moments, gradient, penalties, np.zeros(0)
        self.refill()

    def refill(self) -> None:
        self.work[:] = self.numbers

    def forward(self, times: int, registers: int | None = None) -> None:
        repeat_forward(times, self.registers if registers is None else registers, self.arguments)

    def backward(self, times: int, registers: int | None = None) -> None:
        repeat_backward(times, self.registers if registers is None else registers, self.arguments)

    def gradient_only(self, times: int) -> None:
        self._tiles(times, WRITE, "sgd")

    def update_only(self, times: int, solver: str) -> None:
        self._tiles(times, APPLY_STORED, solver)

    def _tiles(self, times: int, mode: int, solver: str) -> None:
        dtype = self.network.dtype
        coefficients = SOLVERS[solver].coefficients(1e-3, (0.9, 0.999, 1e-8, 0.0), 1.0)
        repeat_tiles(
            times,
            self.rows,
            mode,
            lowering.update(solver, StepOptions(), dtype),
            np.array([*coefficients, *[0.0] * 8]).astype(dtype),
            self.arguments,
            self.solver,
            np.zeros(SYNC_SIZE, np.int64),
        )


def seconds(call) -> float:
    """Return the time that each repetition of ``call(times)`` takes, of the fastest sample."""
    once = sample(lambda: call(1))
    times = max(1, int(SAMPLE_SECONDS / once))
    return min(sample(lambda: call(times)) for _ in range(SAMPLES)) / times


def sample(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class ProductKernels:
    """The three matrix products of a layer; `backward` with the transposition that the gradient needs."""

    params = (LAYERS, DTYPES)
    param_names = ("layer", "dtype")
    timeout = 300
    unit = "GFLOP/s"

    def setup(self, layer, dtype):
        shape, batch = layer.split(": ")[1].split(", batch ")
        n_in, n_out = map(int, shape.split("-"))
        self.op = Op((n_in,), n_out, int(batch), dtype)
        self.operations = 2 * n_in * n_out * int(batch)
        for kernel in (self.op.forward, self.op.backward, self.op.gradient_only):
            kernel(1)  # compiled, or read from the cache

    def track_forward(self, layer, dtype):
        return self.operations / seconds(self.op.forward) / 1e9

    def track_backward(self, layer, dtype):
        return self.operations / seconds(self.op.backward) / 1e9

    def track_weight_gradient(self, layer, dtype):
        return self.operations / seconds(self.op.gradient_only) / 1e9


class ActivationKernels:
    """ns an element. They work in place, so each sample is one call on fresh numbers, less an empty call."""

    params = (
        [name for name in (*ACTIVATIONS.names(), *ROW_ACTIVATIONS.names()) if name != "identity"],
        DTYPES,
    )
    param_names = ("activation", "dtype")
    timeout = 300
    unit = "ns"
    width, rows, samples = 64, 512, 100

    def setup(self, activation, dtype):
        self.op = Op((), self.width, self.rows, dtype, activation)
        for kernel in (self.op.forward, self.op.backward):
            kernel(1)

    def _nanoseconds(self, kernel):
        full, empty = [], []
        for _ in range(self.samples):
            self.op.refill()
            empty.append(sample(lambda: kernel(1, 0)))
            full.append(sample(lambda: kernel(1)))
        return (min(full) - min(empty)) / (self.width * self.rows) * 1e9

    def track_forward(self, activation, dtype):
        return self._nanoseconds(self.op.forward)

    def track_backward(self, activation, dtype):
        return self._nanoseconds(self.op.backward)


class SolverKernels:
    """ns a parameter of a 256-256 layer: the update alone, from a gradient that is there."""

    params = (SOLVERS.names(), DTYPES)
    param_names = ("solver", "dtype")
    timeout = 300
    unit = "ns"
    width = 256

    def setup(self, solver, dtype):
        self.op = Op((self.width,), self.width, 32, dtype)
        self.op.update_only(1, solver)

    def track_update(self, solver, dtype):
        return seconds(lambda times: self.op.update_only(times, solver)) / (self.width + 1) / self.width * 1e9
