"""The registered functions as device functions: the only file of this engine that reads registries."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fastbp.cuda.switch import make_switch
from fastbp.cuda.typed import Typed
from fastbp.functions import schedules
from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS, index_of_largest
from fastbp.functions.losses import LOSSES
from fastbp.functions.solvers import SOLVERS

IDENTITY = ACTIVATIONS.code("identity")


@dataclass(frozen=True)
class Formulas:
    """Switches over the registries, for one dtype; each takes the entry's code first.

    Attributes
    ----------
    activate, activate_backward
        ``(code, z) -> a``, ``(code, delta, a) -> delta``.
    activate_row, activate_row_backward
        ``(code, row, n)``, ``(code, delta, a, n)``, in place.
    index_of_largest
        ``(row, n, zero) -> index``.
    loss
        ``(code, z, y, delta, n, weight) -> loss``.
    update
        ``(code, w, g, s, t, c) -> (w, s, t)``.
    """

    activate: Any
    activate_backward: Any
    activate_row: Any
    activate_row_backward: Any
    index_of_largest: Any
    loss: Any
    update: Any


@cache
def formulas(real: type) -> Formulas:
    """Compile lazily: nothing happens before a kernel needs it."""
    typed = Typed(real)
    return Formulas(
        activate=make_switch([typed(entry.value) for entry in ACTIVATIONS]),
        activate_backward=make_switch([typed(entry.backward) for entry in ACTIVATIONS]),
        activate_row=make_switch([typed(entry.value) for entry in ROW_ACTIVATIONS]),
        activate_row_backward=make_switch([typed(entry.backward) for entry in ROW_ACTIVATIONS]),
        index_of_largest=typed(index_of_largest),
        loss=make_switch([typed(entry.row) for entry in LOSSES]),
        update=make_switch([typed(entry.update) for entry in SOLVERS]),
    )


@dataclass(frozen=True)
class Rules:
    """What the books compute once a step or once an epoch, in float64 whatever the network's dtype."""

    coefficients: Any
    rate_after_epoch: Any
    judge_epoch: Any


@cache
def rules() -> Rules:
    """The same, of ``fastbp.functions.schedules`` and of the solvers' coefficients."""
    typed = Typed(np.float64)
    return Rules(
        coefficients=make_switch([typed(entry.coefficients) for entry in SOLVERS]),
        rate_after_epoch=typed(schedules.rate_after_epoch),
        judge_epoch=typed(schedules.judge_epoch),
    )
