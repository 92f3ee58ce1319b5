"""The registry of the CPU's ops, and the switch over their kernels."""

import inspect

import numpy as np
import pytest
from combinations import make_network

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.layout import panel_layout
from fastbp.engines.cpu.op_columns import ACCUMULATES, LEARNS, NUMBER, RUNS_BACKWARD, SOURCE, WIDTH
from fastbp.engines.cpu.op_table import link
from fastbp.engines.cpu.ops import NUMBERS, OPS, key_of
from fastbp.engines.cpu.ops.switch import switch
from fastbp.plan.network import Kind


def test_each_kind_of_op_has_kernels_with_the_same_signature():
    assert {kind for kind, _ in OPS} == set(Kind)
    for module in OPS.values():
        for kernel in (module.forward, module.backward):
            assert list(inspect.signature(kernel.py_func).parameters) == ["net", "o", "span"], module
        assert list(inspect.signature(module.link).parameters) == ["op", "dtype"]
        assert isinstance(module.WHOLE, bool)


@jit
def add(net, o, span):
    net[o] += span


@jit
def multiply(net, o, span):
    net[o] *= span


call = switch([add, multiply, add])


@jit
def call_it(number, values, i, by):
    call(number, values, i, by)


def test_a_switch_calls_the_kernel_of_a_number():
    values = np.array([3.0, 5.0])
    for number, expected in ((0, [3.0, 7.0]), (1, [3.0, 14.0]), (2, [3.0, 16.0])):
        call_it(number, values, 1, 2.0)
        assert values.tolist() == expected
    assert len(add.overloads) == len(multiply.overloads) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_table_tells_where_deltas_pass(dtype):
    network = make_network(dtype)
    table = link(panel_layout(network))
    assert table.shape == (len(network.ops), WIDTH)
    assert table[:, NUMBER].tolist() == [NUMBERS[key_of(op)] for op in network.ops]
    assert table[:, LEARNS].tolist() == [int(source > 0) for source in table[:, SOURCE]]
    assert table[:, RUNS_BACKWARD].all() and not table[:, ACCUMULATES].any()
