"""Small networks that are trained in one call: the same bits as alone, whatever the others do."""

import numpy as np
import pytest
from combinations import make_network, make_training
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier, BPRegressor
from fastbp.engines.cpu import block_kernel, step
from fastbp.engines.cpu.engine import Block
from fastbp.engines.cpu.execution import new_execution
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.estimators.resumable_fit import ResumableFit
from fastbp.training import fleet, fleet_units, minibatch

X, Y = load_iris(return_X_y=True)
X_R, Y_R = load_diabetes(return_X_y=True)
FITTED = ("loss_curve_", "n_iter_", "t_", "best_loss_")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of the blocks that are trained."""
    made = []
    begin = Block.__init__

    def noted(self, network, starts):
        made.append(len(starts))
        begin(self, network, starts)

    monkeypatch.setattr(Block, "__init__", noted)
    return made


def assert_same(one, other) -> None:
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(one.feature_params_, other.feature_params_, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(one._memory.state.moments, other._memory.state.moments)
    for name in FITTED:
        assert getattr(one, name) == getattr(other, name), name


def check(jobs, n_jobs=1) -> None:
    """Fit the jobs in one run, and each alone."""
    for one, job in zip(fit_many(jobs, n_jobs), jobs, strict=True):
        assert_same(one, clone(job.estimator).fit(job.X, job.y, **job.fit_params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"batch_size": 16, "alpha": 1.0},
        {"batch_size": 16, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
        {"batch_size": 31, "dropout": 0.2, "input_noise": 0.1, "schedule": "cosine"},
        {"batch_size": 20, "norm": "batch", "average": "ema"},
        {"batch_size": 31, "norm": "layer", "clip_norm": 0.1, "max_norm": 1.0, "l1": 1e-3},
        {"batch_size": 31, "residual": True, "hidden_layer_sizes": (5, 5), "shuffle": False},
    ],
    ids=str,
)
def test_bits_are_those_of_each_network_alone(parameters, dtype, sizes, monkeypatch):
    monkeypatch.setattr(minibatch, "SECONDS_PER_CHUNK", 1e-6)  # calls that end in the midst of a network
    shared = {"hidden_layer_sizes": (6,), "max_iter": 7, "dtype": dtype} | parameters
    jobs = [
        FitJob(BPClassifier(**shared, random_state=i, learning_rate_init=0.002 * i), X, Y)
        for i in range(1, 8)
    ]
    check(jobs)
    assert sizes == [4, 3]


@pytest.mark.parametrize("n_jobs", [1, 2, 3, None])
def test_rounds_may_end_in_the_midst_of_a_block(n_jobs, monkeypatch, sizes):
    monkeypatch.setattr(fleet, "SECONDS_PER_ROUND", 1e-4)
    monkeypatch.setattr(minibatch, "SECONDS_PER_CHUNK", 1e-5)
    check([FitJob(BPRegressor((4,), max_iter=20, random_state=i), X_R, Y_R) for i in range(12)], n_jobs)
    assert sum(sizes) >= 6


def test_networks_have_weights_and_numbers_of_epochs_of_their_own(sizes):
    rng = np.random.RandomState(0)
    jobs = [
        FitJob(
            BPClassifier((4,), max_iter=3 + i, random_state=0, batch_size=40, alpha=i),
            X,
            Y,
            {"sample_weight": rng.randint(1, 4, len(Y)).astype(float)},
        )
        for i in range(6)
    ]
    check(jobs)
    assert sizes == [3, 3]


def test_sparse_rows(sizes):
    rows = sparse.csr_matrix(np.where(X > 2, X, 0))
    check([FitJob(BPClassifier((4,), max_iter=5, random_state=i, batch_size=40), rows, Y) for i in range(4)])
    assert sizes == [2, 2]


def test_networks_of_other_shapes_and_rows_are_in_other_blocks(sizes):
    def jobs(rows, targets, **parameters):
        return [
            FitJob(BPClassifier((4,), max_iter=5, random_state=i, **parameters), rows, targets)
            for i in range(2)
        ]

    half = X[::2].copy(), Y[::2].copy()
    several = [*jobs(X, Y), *jobs(*half), *jobs(X, Y, activation="tanh"), *jobs(X, Y, solver="sgd")]
    several += [*jobs(X, Y, batch_size=20), *jobs(X, Y, early_stopping=True), *jobs(X, Y, solver="lbfgs")]
    fit_many(several, 1)
    assert sizes == [2] * 5


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_network_that_diverges_leaves_the_block_whole(place, sizes):
    rates = [0.01] * 4
    rates[place] = 1e200
    jobs = [
        FitJob(BPRegressor((4,), max_iter=9, random_state=0, solver="sgd", learning_rate_init=one), X_R, Y_R)
        for one in rates
    ]
    outcomes = fit_many(jobs[:4] * 1, 1)
    assert sizes == [2, 2]
    for i, (one, job) in enumerate(zip(outcomes, jobs, strict=True)):
        if i == place:
            with pytest.raises(ValueError) as single:
                clone(job.estimator).fit(X_R, Y_R)
            assert str(one) == str(single.value)
            assert not hasattr(job.estimator, "coefs_")
        else:
            assert_same(one, clone(job.estimator).fit(X_R, Y_R))


def test_an_error_in_a_block_is_each_members(monkeypatch):
    def failing(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr("fastbp.engines.cpu.block.train_block", failing)
    jobs = [FitJob(BPClassifier((4,), max_iter=2), X, Y) for _ in range(4)]
    assert [str(one) for one in fit_many(jobs, 1)] == ["no room"] * 4


@pytest.mark.parametrize("parameters", [{}, {"batch_size": 40, "average": "ema", "solver": "sgd"}], ids=str)
def test_members_resume_earlier_fits(parameters, sizes):
    kept = [ResumableFit() for _ in range(4)]

    def jobs(n_epochs):
        models = [BPClassifier((4,), max_iter=n_epochs, random_state=i, **parameters) for i in range(4)]
        return [FitJob(one, X, Y, {}, fit) for one, fit in zip(models, kept, strict=True)]

    fit_many(jobs(4), 1)
    fitted = fit_many(jobs(9), 1)
    assert [one.n_resumed for one in kept] == [4] * 4
    for one, job in zip(fitted, jobs(9), strict=True):
        assert_same(one, job.estimator.fit(X, Y))
    fit_many(jobs(9), 1)  # nothing is left to train
    assert sizes == [2] * 6
    assert [one.n_resumed for one in kept] == [9] * 4


def test_warnings_are_those_of_each_fit():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations \\(2\\)") as caught:
        fit_many([FitJob(BPClassifier((4,), max_iter=2), X, Y) for _ in range(4)], 1)
    assert len(caught) == 4


def test_limits_of_a_block(sizes, monkeypatch):
    jobs = [FitJob(BPClassifier((4,), max_iter=2, random_state=i), X, Y) for i in range(80)]
    fit_many(jobs, 1)
    assert sizes == [fleet_units.MOST_MEMBERS] * 5
    sizes.clear()
    monkeypatch.setattr(fleet_units, "MOST_NUMBERS", 3 * (len(X) + 4 * 4 + 4 + 4 * 3 + 3) + 1)
    fit_many(jobs[:7], 1)
    assert sizes == [3, 3]
    sizes.clear()
    monkeypatch.setattr(fleet_units, "LARGEST_WORK", 1.0)
    fit_many(jobs[:7], 1)
    assert sizes == []


def test_plans_of_one_structure_have_one_execution_record():
    """What a block takes from its first plan holds for the others."""
    network = make_network("float32")
    changes = [
        {},
        {"solver": "adam"},
        {"solver": "sgd", "momentum": 0.0},
        {"l1": 0.1},
        {"weight_decay": 0.1},
        {"clip_value": 1.0},
        {"clip_norm": 1.0},
        {"max_norm": 1.0},
        {"schedule": "cosine"},
        {"schedule": "plateau"},
        {"schedule_params": {"warmup_steps": 5}},
        {"average": "ema"},
        {"average": "swa"},
        {"shuffle": False},
        {"batch_size": 7},
        {"alpha": 0.3, "l2": 0.1, "tol": 0.1, "seed": 5, "max_epochs": 9, "learning_rate_init": 0.1},
        {"beta_1": 0.5, "epsilon": 1e-3, "n_iter_no_change": 3.0},
    ]
    found = {}
    for change in changes:
        plan = make_training(**change)
        record = new_execution(network, plan, 40, 16).tobytes(), plan.n_moments, plan.batch_size
        assert found.setdefault(plan.structure, record) == record, change
    assert len(found) == 13


def test_the_parts_of_a_block_are_aligned_and_typed_as_those_of_a_network(monkeypatch):
    """Kernels are called by address, where nobody compares the types."""
    seen = []
    compile = step.train.compile
    monkeypatch.setattr(step.train, "compile", lambda kinds: (seen.append(kinds), compile(kinds))[1])
    monkeypatch.setattr(block_kernel, "_addresses", {})
    blocks = []
    train = Block.train
    monkeypatch.setattr(Block, "train", lambda self, n: (blocks.append(self), train(self, n))[1])
    fit_many([FitJob(BPClassifier((5,), max_iter=2), X, Y) for _ in range(4)], 1)
    assert seen[0] in step.train.overloads
    (signature,) = [one for one in block_kernel.train_block.signatures if one[2][5] == seen[0][4][5]]
    assert signature[2:] == seen[0][4:]
    for member in blocks[0].members:
        assert member._parameters.ctypes.data % 64 == 0 and member._moments.ctypes.data % 64 == 0
