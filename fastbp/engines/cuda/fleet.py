"""Many networks of one shape in one launch: a block trains a network.

The kernel is the one of a single fit, for which one block is launched where the network is small. So a
network has the same bits alone and in a fleet.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbp.engines.control import CONTROL, RUNNING, new_control, new_records
from fastbp.engines.cuda.arrays import launch
from fastbp.engines.cuda.control import LAUNCH
from fastbp.engines.cuda.device_memory import free_memory
from fastbp.engines.cuda.fleet_orders import FleetOrders
from fastbp.engines.cuda.fleet_rows import MOST_ROWS, FleetRows
from fastbp.engines.cuda.launch import fleet_team, gains_by_fleet
from fastbp.engines.cuda.lowering import select_training
from fastbp.engines.cuda.network_fit import NetworkFit, control_values, total_weight, usable_state
from fastbp.engines.cuda.shape import Shape, make_shape
from fastbp.engines.cuda.target import cuda
from fastbp.engines.fit_state import FitStart

MEMORY_SHARE = 0.5  # of the free memory, for a fleet
MOST_EPOCHS = 256  # of a network, that one launch may finish
ORDER_ELEMENTS = 1 << 26  # of all orders, unless one epoch is longer
ORDER_SHARE = 0.25  # of the free memory, for them


class FleetMember(NetworkFit):
    """A network of a fleet: the attributes of a ``Trainer``, and no memory of its own on the GPU."""

    def __init__(self, fleet: "FleetTrainer", number: int, start: FitStart) -> None:
        super().__init__(start.training)
        self.network, self.shape = start.network, fleet.shape
        self._fleet, self._number = fleet, number
        self._control = fleet.control[number : number + 1]
        self._fit = self._control[0]
        layout, dtype = self.shape.program.layout, self.network.dtype
        # The head of its arena: before and after training.
        self.head: np.ndarray | None = np.zeros(layout.head, dtype)
        self._begin(np.array(start.parameters, dtype), usable_state(start.state, start.training))

    def _place(self, offset: int, values: np.ndarray) -> None:
        assert self.head is not None, "training has begun"
        self.head[offset : offset + values.size] = values

    def _fetch(self, offset: int) -> np.ndarray:
        head = self._fleet.fetch([self._number])[0] if self.head is None else self.head
        return head[offset : offset + self.network.n_parameters].copy()

    def taken_head(self) -> np.ndarray:
        """The head, which is from now on the device's."""
        head, self.head = self.head, None
        assert head is not None, "training has begun"
        return head

    @property
    def parameters(self) -> np.ndarray:
        """Flat vector, a new array."""
        return self._fetch(0)

    def note_run(self, losses: np.ndarray, is_finite: bool) -> None:
        """After a launch that has trained it: the losses of its epochs, and whether its parameters are
        finite.
        """
        self._note_run(losses, is_finite)


class FleetTrainer:
    """Trains networks for which ``fleet_shape`` is the same; a context manager that holds device memory.

    Parameters
    ----------
    starts : sequence of FitStart
        At least one.

    Attributes
    ----------
    members : list of FleetMember
        For the first of the starts, as many as have room on the GPU; none where a launch for each network
        makes better use of it.
    """

    def __init__(self, starts: Sequence[FitStart]) -> None:
        network, training = starts[0].network, starts[0].training
        self.shape: Shape = make_shape(network, select_training(network, training), training.batch_size)
        n = self._place(starts) if gains_by_fleet(self.shape.program, network.dtype, len(starts)) else 0
        if n < len(starts):
            self._place(starts[:n])  # without the rows of the first that has no room
        fields, launches, of_shape = [], [], self.shape.launch_values()
        for start in starts[:n]:
            weights = self._rows.weights(start.rows)
            weight = total_weight(start.rows, weights)
            fields.append(control_values(self.shape, start.rows, weight, start.training))
            launches.append(of_shape | {"has_weights": weights is not None})
        self.control, self._launches = new_control(*fields), new_records(LAUNCH, *launches)
        self.members = [FleetMember(self, i, start) for i, start in enumerate(starts[:n])]
        self._arenas: Any = None
        self._records: tuple[Any, ...] = ()
        self._tables: tuple[Any, ...] = ()

    def _place(self, starts: Sequence[FitStart]) -> int:
        """Plan the device memory for the starts; return how many of them have room, from the first on."""
        self._rows, self._orders = FleetRows(self.shape.network), FleetOrders()
        budget = MEMORY_SHARE * free_memory()
        orders: list[int] = []
        for _, training, rows, _, state in starts:
            state = usable_state(state, training)
            shuffle = training.shuffle and training.batch_size < len(rows)
            first, epoch = self._rows.add(rows), 0 if state is None else state.n_epochs
            seed = training.seed if shuffle else None
            order = self._orders.add(first, len(rows), rows.index, seed, epoch)
            if self.needed(len(orders) + 1) > budget or max(self._rows.n, self._orders.n_rows) > MOST_ROWS:
                break
            orders.append(order)
        self._order_of = np.array(orders, np.intp)
        return len(orders)

    def needed(self, n: int) -> int:
        """Bytes on the device for `n` networks with the rows and orders that have been planned."""
        head_bytes = self.shape.program.layout.head * self.shape.network.dtype.itemsize
        # Heads pass through memory of their own.
        each = self.shape.arena_bytes + head_bytes + 8 * MOST_EPOCHS + CONTROL.itemsize + LAUNCH.itemsize
        return n * each + self._rows.nbytes + self._orders.nbytes

    def train(self, max_steps: int) -> int:
        """Make up to `max_steps` steps of each network in training; return the most that one has made.

        A network makes fewer where its training ends.
        """
        control, launches = self.control, self._launches
        running = control["status"] == RUNNING
        if not running.any():
            return 0
        if self._arenas is None:
            self._upload()
        left = self._steps_left()
        if left[running].min() <= 0:
            self._draw_orders(running)
            left = self._steps_left()
        before = launches["steps_here"].copy()
        at = self._orders.position(self._order_of, control["epochs"])
        launches["order_position"] = at + control["position"]
        launches["steps_before"], control["curve_used"] = control["steps"], 0
        on_device, launches_on_device, curves = self._records
        on_device.copy_to_device(control)
        launches_on_device.copy_to_device(launches)
        tables = (*self._tables, *self._records)
        n_steps = min(int(left[running].min()), max_steps)
        self._team.run(self._kernel, tables, self._stream, n_steps, units=0)
        on_device.copy_to_host(control)
        launches_on_device.copy_to_host(launches)
        self._note(np.flatnonzero(running), curves)
        return int((launches["steps_here"] - before).max())

    def _upload(self) -> None:
        """Allocate the memory of the fleet and fill it."""
        program, dtype, n = self.shape.program, self.shape.network.dtype, len(self.members)
        room = min(ORDER_ELEMENTS, ORDER_SHARE * free_memory() / 4)
        self._capacity = int(min(max(room // self._orders.n_rows, 1), MOST_EPOCHS))
        tables = (cuda.to_device(program.phases), cuda.to_device(program.jobs))
        rows = self._rows.upload()
        self._orders.upload(self._capacity)
        heads = cuda.to_device(np.stack([member.taken_head() for member in self.members]))
        self._arenas = cuda.device_array(n * program.layout.size, dtype)
        launch(_place_heads, self._arenas.size)(heads, program.layout.size, self._arenas)
        self._tables = (*tables, self._arenas, *rows, self._orders.device)
        self._launches["curve_start"] = self._capacity * np.arange(n)
        curves = cuda.device_array(n * self._capacity, np.float64)
        self._records = (cuda.to_device(self.control), cuda.to_device(self._launches), curves)
        self._stream = cuda.stream()
        self._team = fleet_team(program, dtype, n)
        self._kernel = self._team.kernel(dtype, self.shape.selection)

    def _steps_left(self) -> np.ndarray:
        """Steps of each network for which orders lie on the device."""
        control = self.control
        epochs = self._orders.epoch_end(self._order_of) - control["epochs"]
        return epochs * control["epoch_steps"] - control["step_of_epoch"]

    def _draw_orders(self, running: np.ndarray) -> None:
        """Orders of the coming epochs of the networks in training."""
        control = self.control[running]
        most = int((control["epoch_limit"] - control["epochs_here"]).max())
        self._orders.draw(self._order_of[running], control["epochs"], min(most, self._capacity))

    def _note(self, trained: np.ndarray, curves: Any) -> None:
        """After a launch: losses, ends of training, and the numbers of the networks that have ended."""
        used = self.control["curve_used"]
        losses = np.empty((len(used), 0))
        if used[trained].any():
            losses = curves.copy_to_host().reshape(-1, self._capacity)
        for i in trained:
            is_finite = not self._launches["has_bad_parameters"][i]
            self.members[i].note_run(losses[i, : used[i]], is_finite)
        ended = [int(i) for i in trained if self.control["status"][i] != RUNNING]
        if ended:
            for i, head in zip(ended, self.fetch(ended), strict=True):
                self.members[i].head = head

    def fetch(self, numbers: Sequence[int]) -> np.ndarray:
        """The heads of the arenas of these networks."""
        layout = self.shape.program.layout
        heads = cuda.device_array((len(numbers), layout.head), self.shape.network.dtype)
        chosen = cuda.to_device(np.array(numbers, np.int64))
        launch(_take_heads, heads.size)(self._arenas, chosen, layout.size, heads)
        result: np.ndarray = heads.copy_to_host()
        return result

    def close(self) -> None:
        """Give the memory of the GPU back."""
        self._tables = self._records = ()
        self._arenas = None
        self._orders.close()
        self.members = []

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()


@cuda.jit
def _place_heads(heads, size, arenas):
    """The heads into arenas of that size, which are 0 beyond them."""
    for i in range(cuda.grid(1), arenas.shape[0], cuda.gridsize(1)):
        network, at = i // size, i % size
        arenas[i] = 0
        if at < heads.shape[1]:
            arenas[i] = heads[network, at]


@cuda.jit
def _take_heads(arenas, numbers, size, heads):
    for i in range(cuda.grid(1), heads.shape[0] * heads.shape[1], cuda.gridsize(1)):
        row, at = i // heads.shape[1], i % heads.shape[1]
        heads[row, at] = arenas[numbers[row] * size + at]
