"""Many networks in one launch, in Numba's simulator; see conftest.py for how it is run."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import sklearn.model_selection
from helpers import assert_same_bits, weights
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32

import fastbp.model_selection
from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import StopWhen
from fastbp.engines.cuda import arrays, engine, fleet, fleet_rows, launch, shape
from fastbp.engines.cuda.device_data import Orders
from fastbp.engines.cuda.fleet_orders import FleetOrders
from fastbp.engines.cuda.lowering import select_training
from fastbp.engines.cuda.shape import make_shape
from fastbp.engines.cuda.target import SIMULATOR
from fastbp.engines.dataset import Dataset
from fastbp.engines.fit_state import FitStart
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.training import device_fleet
from fastbp.training.minibatch import fit_minibatch

if SIMULATOR:
    import simulator

    simulator.install()

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Grid size"),
]

N = 20
RNG = np.random.RandomState(0)
X, Y = RNG.normal(size=(N, 3)), np.arange(N) % 3
OTHER_X, VALUES = X + 0.1, np.c_[X[:, 0] * X[:, 1], np.abs(X[:, 2])]
WEIGHT = np.arange(N) % 4 + 0.0
PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 3, "batch_size": 8, "random_state": 0, "device": "cuda"}


def classifier(**params):
    return BPClassifier(**PARAMS | params)


def regressor(**params):
    return BPRegressor(**PARAMS | params)


@pytest.fixture
def fleets(monkeypatch):
    """Numbers of networks of the fleets that are made."""
    sizes, original = [], fleet.FleetTrainer.__init__

    def init(self, starts):
        original(self, starts)
        sizes.append(len(self.members))

    monkeypatch.setattr(fleet.FleetTrainer, "__init__", init)
    return sizes


def assert_same(one, other):
    assert_same_bits(one, other)
    assert one.loss_curve_ == other.loss_curve_
    assert one.n_iter_ == other.n_iter_


def fitted_alone(job):
    return clone(job.estimator).fit(job.X, job.y, **job.fit_params)


def check(jobs):
    """The networks of one run have the bits of single fits, and agree with the CPU's."""
    for found, job in zip(fit_many(jobs), jobs, strict=True):
        assert found is job.estimator
        assert_same(fitted_alone(job), found)
        on_cpu = clone(found).set_params(device="cpu").fit(job.X, job.y, **job.fit_params)
        tolerance = SAME_ARITHMETIC if found.coefs_[0].dtype == np.float64 else SAME_ARITHMETIC_32
        assert_allclose(weights(found), weights(on_cpu), **tolerance)
        assert found.n_iter_ == on_cpu.n_iter_


def varied():
    """Networks of one shape that differ in all that a fleet keeps per network."""
    return [
        FitJob(classifier(), X, Y),
        FitJob(classifier(alpha=1.0, learning_rate_init=0.01, beta_1=0.8), X, Y),
        FitJob(classifier(random_state=1, max_iter=5), X, Y),
        FitJob(classifier(tol=10.0, n_iter_no_change=1, max_iter=9), X, Y),
        FitJob(classifier(), OTHER_X, Y),
        FitJob(classifier(), X, Y[::-1].copy()),
        FitJob(classifier(), X[:17], Y[:17]),
        FitJob(classifier(), X, Y, {"sample_weight": WEIGHT}),
    ]


@pytest.mark.parametrize("resident", [True, False])
def test_bits_do_not_depend_on_the_fleet(resident, fleets, monkeypatch):
    if not resident:
        monkeypatch.setattr(shape, "is_resident", lambda program, dtype: False)
        monkeypatch.setattr(launch, "is_resident", lambda program, dtype: False)
        monkeypatch.setattr(fleet, "gains_by_fleet", lambda *args: True)
    check(varied())
    assert fleets == [8]


@pytest.mark.parametrize("chunk", [2, 100])
def test_launches_and_orders_of_any_length(chunk, fleets, monkeypatch):
    monkeypatch.setattr(device_fleet, "FIRST_CHUNK", chunk)
    monkeypatch.setattr(device_fleet, "next_chunk", lambda *args: chunk)
    monkeypatch.setattr(fleet, "MOST_EPOCHS", 2)
    for found, job in zip(fit_many(varied()), varied(), strict=True):
        assert_same(fitted_alone(job), found)
    assert fleets == [8]


NETWORKS = {
    "dropout": dict(dropout=[0.3], input_dropout=0.1, input_noise=0.2),
    "limits": dict(clip_norm=0.3, max_norm=0.8, average="ema", average_params={"decay": 0.8}),
    "norm": dict(norm="batch", hidden_layer_sizes=(4, 4), residual=True),
    "sgd": dict(solver="sgd", learning_rate="adaptive", tol=1.0, n_iter_no_change=1, max_iter=6),
    "schedule": dict(schedule="cosine", rate_factors={"weights": 2.0, "biases": 0.1}),
    "unshuffled": dict(shuffle=False),
    "float32": dict(dtype="float32"),
    "full batch": dict(batch_size=N),
}


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_kinds_of_networks(params, fleets):
    check([FitJob(classifier(**params, random_state=seed, alpha=0.1 * seed), X, Y) for seed in range(2)])
    assert fleets == [2]


def test_constants_of_functions_differ_within_a_fleet(fleets):
    losses = [regressor(loss="huber", loss_params={"delta": delta}, dropout=delta) for delta in (0.3, 0.6)]
    check([FitJob(one, X, VALUES) for one in losses])
    assert fleets == [2]


def test_a_launch_for_each_shape(fleets):
    jobs = [FitJob(classifier(hidden_layer_sizes=(n,)), X, Y) for n in (3, 4, 4, 5, 5, 5)]
    jobs += [FitJob(classifier(hidden_layer_sizes=(4,), solver="sgd"), X, Y)]
    for found, job in zip(fit_many(jobs), jobs, strict=True):
        assert_same(fitted_alone(job), found)
    assert fleets == [3, 2]  # the others alone


def test_what_the_host_looks_at_every_epoch_is_trained_alone(fleets):
    stopped = classifier(max_iter=5).set_callbacks(StopWhen(lambda epoch: epoch.number == 2))
    jobs = [FitJob(classifier(early_stopping=True), X, Y) for _ in range(2)]
    jobs += [FitJob(stopped, X, Y), FitJob(classifier(solver="lbfgs"), X, Y)]
    for found, job in zip(fit_many(jobs), jobs, strict=True):
        assert_array_equal(weights(found), weights(fitted_alone(job)))
    assert stopped.n_iter_ == 2
    assert not fleets


def test_a_network_that_diverges_fails_alone(fleets):
    bad = regressor(solver="sgd", learning_rate_init=1e200)
    jobs = [FitJob(regressor(solver="sgd", random_state=seed), X, VALUES) for seed in range(2)]
    first, outcome, last = fit_many([jobs[0], FitJob(bad, X, VALUES), jobs[1]])
    with pytest.raises(ValueError, match="epoch 1, step 2") as alone:
        clone(bad).fit(X, VALUES)
    assert isinstance(outcome, ValueError) and str(outcome) == str(alone.value)
    assert not hasattr(bad, "coefs_")
    for found, job in ((first, jobs[0]), (last, jobs[1])):
        assert_same(fitted_alone(job), found)
    assert fleets == [3]


def test_networks_are_admitted_as_memory_allows(fleets, monkeypatch):
    jobs = [FitJob(classifier(alpha=0.1 * i), X, Y) for i in range(5)]
    trainer = fleet.FleetTrainer([start_of(problem_of()) for _ in range(2)])
    least = [trainer.needed(n) for n in range(1, 6)]
    assert np.all(np.diff(least) > trainer.shape.arena_bytes)
    fleets.clear()
    alone = []
    monkeypatch.setattr(
        device_fleet, "fit_minibatch", lambda problem: alone.append(1) or fit_minibatch(problem)
    )
    for room, wanted in ((least[1], [2, 2]), (least[3] - 1, [3, 2]), (least[0] - 1, [0])):
        # What a network alone needs is another matter.
        monkeypatch.setattr(fleet, "free_memory", lambda room=room: room / fleet.MEMORY_SHARE)
        for found, job in zip(fit_many(jobs), jobs, strict=True):
            assert_same(fitted_alone(job), found)
        assert fleets == wanted
        fleets.clear()
    assert len(alone) == 1 + 5


def test_few_networks_of_many_blocks_are_trained_alone(fleets, monkeypatch):
    problem = problem_of()
    training = problem.training
    program = make_shape(problem.network, select_training(problem.network, training), 8).program
    gains = [launch.gains_by_fleet(program, problem.network.dtype, n) for n in (1, 2)]
    monkeypatch.setattr(launch, "is_resident", lambda program, dtype: False)
    program = replace(program, most_tiles=3)
    gains += [launch.gains_by_fleet(program, problem.network.dtype, n) for n in (1, 2, 3)]
    assert gains == [False, True, False, False, True]
    monkeypatch.setattr(fleet, "gains_by_fleet", lambda *args: False)
    jobs = [FitJob(classifier(random_state=seed), X, Y) for seed in range(2)]
    for found, job in zip(fit_many(jobs), jobs, strict=True):
        assert_same(fitted_alone(job), found)
    assert fleets == [0]


def test_equal_rows_are_sent_once(monkeypatch):
    sent, original = [], fleet_rows.FleetRows.upload
    monkeypatch.setattr(fleet_rows.FleetRows, "upload", lambda self: (sent.append(self.n), original(self))[1])
    fit_many([FitJob(classifier(random_state=seed), X, Y) for seed in range(3)])
    fit_many([FitJob(classifier(random_state=seed), X, (Y + seed) % 3) for seed in range(3)])
    assert sent == [N, 3 * N]


class Elsewhere:
    """An array on the GPU that belongs to another library."""

    def __init__(self, values):
        self.array, self.shape = arrays.cuda.to_device(values), values.shape

    @property
    def __cuda_array_interface__(self):
        return {} if SIMULATOR else self.array.__cuda_array_interface__


def test_rows_on_the_gpu(fleets, monkeypatch):
    if SIMULATOR:  # which lacks the function
        monkeypatch.setattr(arrays.cuda, "as_cuda_array", lambda values: values.array, raising=False)
    there = [Elsewhere(X), Elsewhere(OTHER_X)]
    jobs = [FitJob(classifier(random_state=i), there[i], Y) for i in (0, 0, 1)]
    for i, found in zip((0, 0, 1), fit_many(jobs), strict=True):
        assert_same(classifier(random_state=i).fit((X, OTHER_X)[i], Y), found)
    assert fleets == [3]


def test_orders_are_those_of_single_fits():
    index = np.array([3, 9, 4, 1, 0])
    orders = FleetOrders()
    numbers = [
        orders.add(20, 5, index, 7, 0),
        orders.add(0, 4, None, 8, 3),
        orders.add(20, 5, index, None, 1),
    ]
    assert orders.add(20, 5, index, 7, 0) == numbers[0]
    numbers = np.array(numbers)
    orders.upload(3)
    orders.draw(numbers, np.array([2, 3, 1]), 2)
    found = orders.device.copy_to_host()
    wanted = [Orders(5, 7, True, 9, index), Orders(4, 8, True, 9), Orders(5, 0, False, 9, index)]
    for number, first, order, base in zip(numbers, (2, 3, 1), wanted, (20, 0, 20), strict=True):
        for epoch in (first, first + 1):
            (at,) = orders.position(np.array([number]), np.array([epoch]))
            assert_array_equal(found[at : at + order.n_rows], order.of(epoch) + base)
    assert_array_equal(orders.epoch_end(numbers), [4, 5, 3])


def problem_of(**params):
    """The beginning of a fit."""
    from fastbp.estimators.prepare import FitArguments

    return classifier(**params)._begin_fit(FitArguments(X, Y)).problem


def start_of(problem, rows=None, state=None):
    rows = problem.rows if rows is None else rows
    return FitStart(problem.network, problem.training, rows, problem.parameters, state)


def test_members_are_trainers():
    """Rows by index, a state that is continued, and what a trainer tells on the way."""
    problem = problem_of(random_state=3, max_iter=4)
    half = Dataset(X, problem.rows.targets, WEIGHT, np.arange(0, N, 2))
    first = replace(problem.training, max_epochs=1)
    with engine.Trainer(problem.network, first, problem.rows, problem.parameters) as trainer:
        trainer.train(100)
        state = trainer.state()
    starts = [start_of(problem), start_of(problem, half), start_of(problem, state=state)]
    with fleet.FleetTrainer(starts) as together:
        members, done = together.members, [together.train(4) for _ in range(2)]
        middle = [member.parameters for member in members]
        done += [together.train(100), together.train(100)]
        assert done == [4, 4, 4, 0]
    names = (
        "status",
        "learning_rate",
        "n_epochs",
        "n_samples_seen",
        "loss_curve",
        "best_monitored",
        "n_stale",
    )
    for start, member, before in zip(starts, members, middle, strict=True):
        with engine.Trainer(*start) as alone:
            alone.train(min(8, 2 * int(alone._fit["epoch_steps"]) * 2))
            assert_array_equal(alone.parameters, before)
            alone.train(100)
            for name in names:
                assert getattr(member, name) == getattr(alone, name)
            assert_array_equal(member.result, alone.result)
            assert_array_equal(member.state().moments, alone.state().moments)
            assert member.state().n_steps == alone.state().n_steps


def test_ctrl_c_ends_the_run_after_a_launch(monkeypatch):
    launches, original = [], fleet.FleetTrainer.train

    def train(self, max_steps):
        signal.raise_signal(signal.SIGINT)
        launches.append(1)
        return original(self, max_steps)

    monkeypatch.setattr(fleet.FleetTrainer, "train", train)
    jobs = [FitJob(classifier(max_iter=50), X, Y) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        fit_many(jobs)
    assert len(launches) == 1
    assert not any(hasattr(job.estimator, "coefs_") for job in jobs)


def test_an_error_of_the_device_is_every_network_s(monkeypatch):
    def train(self, max_steps):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(fleet.FleetTrainer, "train", train)
    outcomes = fit_many([FitJob(classifier(), X, Y) for _ in range(2)])
    assert [str(outcome) for outcome in outcomes] == ["the device is gone"] * 2


def test_a_search_has_the_scores_of_scikit_learn_s(fleets):
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"bpclassifier__learning_rate_init": [0.01, 0.1]}
    ours, theirs = (
        module.GridSearchCV(pipeline, grid, cv=2, refit=False).fit(X, Y)
        for module in (fastbp.model_selection, sklearn.model_selection)
    )
    assert fleets == [4]
    for fold in range(2):
        name = f"split{fold}_test_score"
        assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])


def test_more_networks_than_are_prepared_at_once(fleets, monkeypatch):
    monkeypatch.setattr(device_fleet, "MOST_WAITING", 2)
    monkeypatch.setattr(device_fleet, "next_chunk", lambda *args: 1)  # many rounds
    monkeypatch.setattr(device_fleet, "FIRST_CHUNK", 1)
    most, original = [], device_fleet.DeviceFleet.run_round
    monkeypatch.setattr(
        device_fleet.DeviceFleet, "run_round", lambda self: (most.append(self.n_left), original(self))[1]
    )
    jobs = [FitJob(classifier(random_state=seed), X, Y) for seed in range(5)]
    fitted = fit_many(jobs)
    assert max(most) == 4  # two in training, two that wait
    for found, job in zip(fitted, jobs, strict=True):
        assert_same(fitted_alone(job), found)
    assert fleets == [2, 2]
