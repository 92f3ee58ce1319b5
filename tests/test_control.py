"""The control record: its rules in plain Python and compiled. And the signatures of calls by address."""

import numpy as np
import pytest
from combinations import make_data, make_network, make_training
from numba import types
from numba.core.errors import TypingError

from fastbp.engines.compiler import jit
from fastbp.engines.control import (
    CONTROL,
    STATUS_NAMES,
    average_fraction,
    batches,
    end_epoch,
    new_control,
    record_of,
    rules,
)
from fastbp.engines.cpu import engine, step
from fastbp.engines.cpu.arguments import Network, network_type
from fastbp.engines.cpu.call import ACTIVATION, LOSS, call_activation
from fastbp.engines.cpu.vector_memory import pointer
from fastbp.engines.dataset import Dataset


def control_of(**changes):
    plan = make_training(**changes)
    fields = batches(10, plan.batch_size, plan.batch_size, 10.0)
    return new_control(fields | rules(plan, fields["epoch_steps"]))


def test_an_epoch_ends_by_the_same_rules_compiled_or_not():
    """Two networks in one array: a fit that converges, and one whose loss becomes NaN."""
    plain = np.concatenate([control_of(tol=0.1, n_iter_no_change=2.0), control_of()])
    curves = np.zeros((4, 9))
    compiled = plain.copy()

    @jit
    def end(control, network, curve):
        step.end_epoch(control[network], curve)

    for losses in ((50.0, 1.0), (20.0, 2.0), (19.9, 3.0), (19.8, np.nan)):
        for network, loss in enumerate(losses):
            plain["epoch_loss"][network] = compiled["epoch_loss"][network] = loss
            end_epoch(record_of(plain, network), curves[network])
            end(compiled, network, curves[2 + network])
    np.testing.assert_array_equal(plain, compiled)
    np.testing.assert_array_equal(curves[:2], curves[2:])
    assert [STATUS_NAMES[status] for status in plain["status"]] == ["converged", "non_finite"]
    assert plain["samples"].tolist() == [40, 40]


def test_the_record_is_the_plan_s():
    (fit,) = control_of(alpha=0.3, l2=0.2, solver="adam", batch_size=4, max_epochs=7)
    assert [fit[name] for name in ("n_rows", "batch_rows", "epoch_steps", "epoch_limit")] == [10, 4, 3, 7]
    assert fit["hyper"].tolist() == [0.9, 0.999, 1e-8, 0.0]
    assert (fit["alpha"], fit["l2"], fit["rate"], fit["best"]) == (0.3, 0.2, 0.01, np.inf)
    assert all(CONTROL.fields[name][1] % 8 == 0 for name in CONTROL.names)


def test_the_mean_of_all_steps_becomes_an_average_with_a_rate():
    fit = record_of(control_of(average="ema", average_params={"decay": 0.75}))
    assert [average_fraction(fit, steps) for steps in range(6)] == [1.0, 0.5, 1 / 3, 0.25, 0.25, 0.25]
    fit.average_after = 2
    assert [average_fraction(fit, steps) for steps in range(5)] == [1.0, 1.0, 1.0, 0.5, 1 / 3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_call_that_does_not_fit_its_signature_is_not_compiled(dtype):
    p = types.CPointer(getattr(types, dtype))
    other = types.CPointer(types.float64 if dtype == "float32" else types.float32)
    wanted = ACTIVATION.types_for(np.dtype(dtype))
    assert ACTIVATION.match((p, p, types.int32, types.literal(2))) == wanted
    for wrong in (
        (p, p, types.int64),
        (p, other, types.int64, types.int64),
        (p, p, types.float64, types.int64),
    ):
        with pytest.raises(TypingError, match="z: values, a: values, n: integer"):
            ACTIVATION.match(wrong)
    assert LOSS.types_for(np.dtype(dtype))[-1] == types.CPointer(types.float64)

    @jit
    def call_it(address, values):
        call_activation(address, (pointer(values, 0), 1, 2, 3))

    with pytest.raises(TypingError):
        call_it(0, np.zeros(4, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_called_by_address_gets_the_types_that_kernels_make(dtype):
    network = make_network(dtype)
    X, targets, start = make_data(network, 40)
    trainer = engine.Trainer(network, make_training(), Dataset(X, targets), start, n_jobs=1)

    @jit
    def count(arrays):
        return len(Network(*arrays))

    count(trainer._arguments[0])
    (signature,) = count.signatures
    found = types.BaseTuple.from_types(tuple(signature[0]), Network)
    assert found == network_type(getattr(types, dtype))
