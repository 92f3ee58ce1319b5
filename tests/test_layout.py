"""How the CPU engine stores parameters: column panels, converted at its boundary."""

import data
import numpy as np
import pytest
from combinations import make_data, make_network
from numpy.testing import assert_array_equal

from fastbp import BPClassifier
from fastbp.engines.cpu import engine
from fastbp.engines.cpu.layout import ALIGNMENT, MatrixOrder, panel_layout, row_major_layout
from fastbp.engines.dataset import Dataset
from fastbp.plan.planner import network_plan

SHAPES = [
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (3,), "fit_intercept": False},
    {"hidden_layer_sizes": (70, 5)},
    {"hidden_layer_sizes": (1024, 17), "norm": "batch"},
    {"hidden_layer_sizes": (33, 32), "robust_inputs": True, "blend": True},
]
DTYPES = [np.float32, np.float64]


def network_of(hidden_layer_sizes=(), dtype=np.float32, **more):
    shape = {"n_inputs": 5, "n_outputs": 1, "fit_intercept": True, **more}
    functions = {"activation": "tanh", "out_activation": "identity", "loss": "squared_error"}
    return network_plan(hidden_layer_sizes=hidden_layer_sizes, dtype=dtype, **functions, **shape)


def vectors(network, *lead):
    return np.random.RandomState(0).normal(size=(*lead, network.n_parameters)).astype(network.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("lead", [(), (0,), (3,)], ids=str)
def test_there_and_back(lead, shape, dtype):
    network = network_of(dtype=dtype, **shape)
    layout, given = panel_layout(network), vectors(network, *lead)
    flat = layout.pack(given)
    assert flat.shape == (*lead, layout.size) and flat.dtype == dtype
    found = layout.unpack(flat)
    assert_array_equal(found, given)
    assert not np.shares_memory(found, flat)
    assert not flat.size or flat.ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout_of", [panel_layout, row_major_layout])
def test_elements_lie_where_the_block_says(layout_of, shape):
    """The formula that kernels address by; all else is padding, and zero."""
    network = network_of(**shape)
    layout, vector = layout_of(network), vectors(network)
    rest = layout.pack(vector)
    for op, block in zip(network.ops, layout.blocks, strict=True):
        matrix = op.matrix(vector) if block.order == MatrixOrder.IN_MAJOR else op.matrix(vector).T
        assert matrix.shape == (block.rows, block.cols)
        (i, j), ld = np.indices(matrix.shape), max(block.ld, 1)
        at = block.offset + j // ld * block.rows * ld + i * ld + j % ld
        assert_array_equal(rest[at], matrix)
        rest[at] = 0
    assert not rest.any()


def test_the_layout_of_the_plan_is_the_vector_itself():
    network = network_of((70, 5))
    assert_array_equal(row_major_layout(network).pack(vectors(network)), vectors(network))


@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_start_at_cache_lines(dtype):
    network = network_of((50, 3), dtype, norm="layer")
    line = ALIGNMENT // np.dtype(dtype).itemsize
    blocks = [block for block in panel_layout(network).blocks if block.size]
    assert all(block.ld % line == 0 and block.offset % line == 0 for block in blocks)


def test_the_wide_side_runs_along_the_columns():
    wide_in = network_of(n_inputs=100)
    wide_out = network_of((100,), n_inputs=2)
    found = [panel_layout(network).blocks[0] for network in (wide_in, wide_out)]
    assert [(block.rows, block.cols) for block in found] == [(1, 101), (3, 100)]
    assert [block.order for block in found] == [MatrixOrder.OUT_MAJOR, MatrixOrder.IN_MAJOR]


def test_a_layout_is_made_once():
    network = network_of((4,))
    assert panel_layout(network) is panel_layout(network)


@pytest.mark.parametrize("dtype", DTYPES)
def test_few_rows_and_many_have_the_same_bits(dtype):
    """The first are computed with the vector itself, the second with column panels."""
    network = make_network(np.dtype(dtype), widths=(6, 19, 7))
    X, _, start = make_data(network, engine.FEW_ROWS + 1)
    for layer in (1, 2, "logits", None):
        many = engine.forward(network, start, X, layer)
        assert_array_equal(engine.forward(network, start, X[:-1], layer), many[:-1])


@pytest.mark.parametrize("shape", [{}, {"robust_inputs": True}], ids=str)
def test_points_of_a_search(shape):
    """They hold what is learned; loss and gradient are those of the flat vector."""
    network = make_network(np.dtype(np.float64), **shape)
    X, targets, start = make_data(network, 40)
    with engine.Objective(network, Dataset(X, targets), 0.1, 0.2) as objective:
        point = objective.begin_search(start)
        assert point.shape == (network.mask().sum(),) and point.dtype == np.float64
        assert_array_equal(objective.parameters_of(point), start)
        moved = objective.parameters_of(point + 1)
        assert_array_equal(moved, start + network.mask())
        value, gradient = objective.at_point(point + 1)
        loss, whole = objective(moved)
        assert value == loss
        assert_array_equal(np.sort(gradient), np.sort(whole[network.mask()]))
        assert_array_equal(start, make_data(network, 40)[2])


def test_a_state_is_a_copy():
    X, y = data.iris()
    model = BPClassifier((9,), max_iter=1, random_state=0, warm_start=True).fit(X, y)
    first = model._memory.state.moments
    before = first.copy()
    model.fit(X, y)
    assert_array_equal(first, before)
    assert first.shape[1] == sum(coef.size for coef in (*model.coefs_, *model.intercepts_))
