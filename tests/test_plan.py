"""Plans: packing, and refusals that say what to change."""

import inspect

import numpy as np
import pytest

from fastbp.plan.network import FIELD, Kind
from fastbp.plan.planner import network_plan
from fastbp.plan.training import training_plan


def plan(**changes):
    arguments = dict(
        n_inputs=5,
        hidden_layer_sizes=(50, 3),
        n_outputs=1,
        activation="tanh",
        out_activation="identity",
        loss="squared_error",
        fit_intercept=True,
        dtype=np.float32,
    )
    return network_plan(**(arguments | changes))


def weights_of(network, rng):
    coefs = [rng.normal(size=shape).astype(network.dtype) for shape in network.layer_shapes]
    intercepts = [rng.normal(size=shape[1]).astype(network.dtype) for shape in network.layer_shapes]
    return coefs, intercepts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(), (1,), (16,), (50, 3), (1024, 17)])
def test_unpack_gives_what_was_packed(hidden, dtype):
    network = plan(hidden_layer_sizes=hidden, dtype=dtype)
    coefs, intercepts = weights_of(network, np.random.RandomState(0))
    got_coefs, got_intercepts = network.unpack(network.pack(coefs, intercepts))
    for given, got in zip(coefs + intercepts, got_coefs + got_intercepts, strict=True):
        np.testing.assert_array_equal(given, got)
        assert got.flags.c_contiguous and got.flags.owndata and got.dtype == dtype


def test_a_block_is_a_matrix_with_the_bias_last():
    network = plan(norm="layer")
    coefs, intercepts = weights_of(network, np.random.RandomState(0))
    rows = [np.arange(row.size, dtype=row.dtype).reshape(row.shape) for row in network.start]
    vector = network.pack(coefs, intercepts, rows)
    blocks = {op.offset: np.vstack([W, b]) for op, W, b in zip(network.dense, coefs, intercepts, strict=True)}
    blocks |= {op.offset: row for op, row in zip(network.parametric, rows, strict=True)}
    np.testing.assert_array_equal(vector, np.concatenate([blocks[at].ravel() for at in sorted(blocks)]))
    for given, found in zip(rows, network.rows(vector), strict=True):
        np.testing.assert_array_equal(given, found)


def test_mask_counts_the_parameters():
    network = plan()
    assert network.mask().sum() == network.n_parameters == sum(p * q + q for p, q in network.layer_shapes)
    assert network.mask(biases=False).sum() == sum(p * q for p, q in network.layer_shapes)
    assert network.mask(weights=False).sum() == sum(q for _, q in network.layer_shapes)
    robust = plan(robust_inputs=True, input_scales=True)
    assert robust.n_parameters - robust.mask().sum() == robust.parametric[0].cols


def test_without_intercept_there_is_no_bias():
    network = plan(fit_intercept=False)
    assert network.mask().sum() == sum(p * q for p, q in network.layer_shapes)
    _, intercepts = network.unpack(np.ones(network.n_parameters, np.float32))
    assert all(not bias.any() for bias in intercepts)


def test_a_merged_activation_runs_in_prediction_only():
    network = plan(n_outputs=3, out_activation="softmax", loss="log_loss")
    assert [op.training for op in network.ops if op.kind == Kind.ROW] == [0]
    assert network.class_targets and network.n_targets == 1
    squared = plan(n_outputs=3, out_activation="softmax")
    assert [op.training for op in squared.ops if op.kind == Kind.ROW] == [1]
    assert not squared.class_targets and squared.n_targets == 3


def test_maxout_has_columns_for_each_piece():
    network = plan(activation=["maxout", "relu"], maxout_pieces=3)
    assert network.layer_shapes == [(5, 150), (50, 3), (3, 1)]
    assert network.pieces == [3, 1, 1]
    assert network.widths == (5, 150, 50, 3, 1)
    assert [(op.n_in, op.n_out) for op in network.ops if op.kind == Kind.GROUP] == [(150, 50)]
    assert Kind.GROUP not in [op.kind for op in plan(maxout_pieces=3).ops]


def test_table_holds_the_ops():
    network = plan()
    assert network.table.dtype == np.int64
    assert network.table[:, FIELD["kind"]].tolist() == [op.kind for op in network.ops]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "log_loss"}, "loss='log_loss' needs out_activation in"),
        ({"loss": "poisson", "out_activation": "identity"}, "loss='poisson' needs out_activation in"),
        ({"loss": "nonsense"}, "loss='nonsense' is unknown; choose one of"),
        ({"activation": "exp"}, "activation='exp' is unknown for hidden layers; choose one of"),
        ({"out_activation": "maxout"}, "out_activation='maxout' is not for the output layer"),
        ({"out_activation": "nonsense"}, "out_activation='nonsense' is unknown; choose one of"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        plan(**changes)


def test_training_plan_refuses_a_full_batch_solver():
    parameters = inspect.signature(training_plan).parameters
    arguments = dict.fromkeys(parameters, 1) | dict(solver="lbfgs", learning_rate="constant", monitor="loss")
    with pytest.raises(ValueError, match="solver='lbfgs' does not work on mini-batches"):
        training_plan(**arguments)
