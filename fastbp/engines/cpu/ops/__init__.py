"""The ops that a network is made of, one file each: forward and backward with the same signature.

An op is added by its file, by its line in `OPS` and in the plan (``fastbp.plan``); the loop over a network's
ops (``fastbp.engines.cpu.network``) knows none of them.
"""

from types import ModuleType

from fastbp.engines.cpu.ops import (
    batch_norm,
    dense,
    elementwise,
    group,
    loss,
    noise,
    parametric,
    residual,
    row,
)
from fastbp.engines.cpu.ops.switch import switch
from fastbp.plan.network import Kind, Op

# By the plan's kind, and by whether the op needs the whole batch before it can continue.
OPS: dict[tuple[Kind, bool], ModuleType] = {
    (Kind.DENSE, False): dense,
    (Kind.ELEMENTWISE, False): elementwise,
    (Kind.ROW, False): row,
    (Kind.GROUP, False): group,
    (Kind.NOISE, False): noise,
    (Kind.ADD, False): residual,
    (Kind.PARAMETRIC, False): parametric,
    (Kind.PARAMETRIC, True): batch_norm,
    (Kind.LOSS, False): loss,
}
NUMBERS = {key: number for number, key in enumerate(OPS)}
op_forward = switch([module.forward for module in OPS.values()])
op_backward = switch([module.backward for module in OPS.values()])


def key_of(op: Op) -> tuple[Kind, bool]:
    """The key of an op of the plan in `OPS` and `NUMBERS`."""
    return Kind(op.kind), bool(op.sync)
