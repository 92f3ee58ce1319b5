"""device="cuda" of the estimators, in Numba's simulator; see conftest.py for how it is run."""

import pickle
import warnings

import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, weights
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32, SAME_OPTIMUM

from fastbp import Activation, BPClassifier, BPRegressor, Loss, Schedule, Solver, learning_rate_range
from fastbp.callbacks import Checkpoint, StopWhen
from fastbp.engines.cuda import arrays, device_data
from fastbp.engines.cuda.target import SIMULATOR

if SIMULATOR:
    import simulator

    simulator.install()

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

PARAMS = {"max_iter": 3, "batch_size": 8, "random_state": 0}


def make_data(dtype=np.float64, n=20):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 3)).astype(dtype)
    return X, np.arange(n) % 3, np.c_[X[:, 0] * X[:, 1], np.abs(X[:, 2])]


def both(estimator, X, y, **fit):
    """The estimator fitted on the CPU and on the simulated GPU."""
    return [clone(estimator).set_params(device=device).fit(X, y, **fit) for device in ("cpu", "cuda")]


def assert_same_fit(ours, theirs, tolerance):
    assert_allclose(weights(ours), weights(theirs), **tolerance)
    assert ours.n_iter_ == theirs.n_iter_
    assert_allclose(ours.loss_, theirs.loss_, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_classifier(dtype):
    X, y, _ = make_data(dtype)
    tolerance = SAME_ARITHMETIC if dtype == np.float64 else SAME_ARITHMETIC_32
    on_cpu, on_gpu = both(BPClassifier((5,), **PARAMS), X, y, sample_weight=np.arange(20) % 4)
    assert_same_fit(on_gpu, on_cpu, tolerance)
    assert_array_equal(on_gpu.predict(X), on_cpu.predict(X))
    for method in ("predict_proba", "transform"):
        found, wanted = getattr(on_gpu, method)(X), getattr(on_cpu, method)(X)
        assert found.dtype == dtype
        assert_allclose(found, wanted, **tolerance)
    for found, wanted in zip(on_gpu.activations(X), on_cpu.activations(X), strict=True):
        assert_allclose(found, wanted, **tolerance)
    found, wanted = on_gpu.loss_and_gradients(X, y), on_cpu.loss_and_gradients(X, y)
    assert_allclose(found.coefs[0], wanted.coefs[0], **tolerance)
    assert isinstance(on_gpu.coefs_[0], np.ndarray)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_a_fit_taken_up_has_the_same_bits(options, tmp_path):
    X, y, _ = make_data()
    model = BPClassifier((5,), device="cuda", **PARAMS, **options)
    whole = clone(model).fit(X, y)
    stop = StopWhen(lambda epoch: epoch.number == 2 and epoch.estimator.n_iter_ == 2)
    clone(model).set_callbacks(Checkpoint(tmp_path / "run.ckpt"), stop).fit(X, y)
    found = clone(model).set_callbacks(Checkpoint(tmp_path / "run.ckpt", resume=True)).fit(X, y)
    assert_same_bits(found, whole)
    assert found.n_iter_ == whole.n_iter_ == 3
    if found.solver != "lbfgs":
        assert found.loss_curve_ == whole.loss_curve_
    on_cpu = clone(model).set_params(device="cpu")
    with pytest.raises(ValueError, match="engine was 'cuda' and is 'cpu'"):
        on_cpu.set_callbacks(Checkpoint(tmp_path / "run.ckpt", resume=True)).fit(X, y)


def test_range_of_learning_rates():
    X, y, _ = make_data()
    on_cpu = learning_rate_range(BPClassifier((5,), **PARAMS), X, y, n_steps=10)
    on_gpu = learning_rate_range(BPClassifier((5,), device="cuda", **PARAMS), X, y, n_steps=10)
    assert_allclose(on_gpu.losses, on_cpu.losses, **SAME_ARITHMETIC)
    assert on_gpu.suggestion == on_cpu.suggestion


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gaussian_nll"])
def test_a_regressor(loss):
    X, _, Y = make_data()
    params = {**PARAMS, "solver": "sgd", "learning_rate": "adaptive", "loss": loss}
    Y = np.abs(Y)
    on_cpu, on_gpu = both(BPRegressor((4, 3), activation="logistic", **params), X, Y)
    assert_same_fit(on_gpu, on_cpu, SAME_ARITHMETIC)
    assert_allclose(on_gpu.predict(X), on_cpu.predict(X), **SAME_ARITHMETIC)
    if loss == "gaussian_nll":
        std, expected = (model.predict(X, return_std=True)[1] for model in (on_gpu, on_cpu))
        assert_allclose(std, expected, **SAME_ARITHMETIC)


def test_lbfgs():
    X, y, _ = make_data()
    on_cpu, on_gpu = both(BPClassifier((), solver="lbfgs", alpha=1.0, max_iter=200, random_state=0), X, y)
    assert_allclose(weights(on_gpu), weights(on_cpu), **SAME_OPTIMUM)


def test_early_stopping():
    X, _, Y = make_data()
    estimator = BPRegressor((4,), early_stopping=True, validation_fraction=0.2, **PARAMS)
    on_cpu, on_gpu = both(estimator.set_params(n_iter_no_change=2, max_iter=6), X, Y)
    assert_same_fit(on_gpu, on_cpu, SAME_ARITHMETIC)
    assert_allclose(on_gpu.validation_scores_, on_cpu.validation_scores_, **SAME_ARITHMETIC)


REGULAR = {"dropout": [0.2, 0.4], "input_dropout": 0.1, "input_noise": 0.1, "residual": True}
RATES = {"rate_factors": {"weights": 2.0, "biases": 0.1}}
LIMITED = {"clip_norm": 0.3, "max_norm": 0.8, "average": "ema", "average_params": {"decay": 0.8}}


@pytest.mark.parametrize(
    "params", [REGULAR, LIMITED, RATES, REGULAR | LIMITED | RATES], ids=["noise", "limits", "rates", "all"]
)
def test_regularisation(params):
    X, y, _ = make_data()
    estimator = BPClassifier((4, 4), early_stopping=True, **PARAMS, **params)
    on_cpu, on_gpu = both(estimator, X, y)
    assert_same_fit(on_gpu, on_cpu, SAME_ARITHMETIC)
    assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), **SAME_ARITHMETIC)
    assert_allclose(on_gpu.validation_scores_, on_cpu.validation_scores_, **SAME_ARITHMETIC)


def test_warm_starts_and_partial_fits_change_devices():
    X, y, _ = make_data()
    params = {**PARAMS, **EVERY_EPOCH}
    whole = BPClassifier((4,), **{**params, "max_iter": 4}).fit(X, y)
    for devices in (("cpu", "cuda"), ("cuda", "cpu")):
        model = BPClassifier((4,), warm_start=True, **{**params, "max_iter": 2})
        for device in devices:
            model.set_params(device=device).fit(X, y)
        assert_allclose(weights(model), weights(whole), **SAME_ARITHMETIC)
    model, other = BPClassifier((4,), **params), BPClassifier((4,), **params)
    for i in range(2):
        model.set_params(device=("cpu", "cuda")[i]).partial_fit(X, y, classes=[0, 1, 2])
        other.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(weights(model), weights(other), **SAME_ARITHMETIC)


def test_two_fits_have_the_same_bits_and_pickles_follow():
    X, y, _ = make_data()
    first, second = (BPClassifier((4,), device="cuda", **PARAMS).fit(X, y) for _ in range(2))
    assert_same_bits(first, second)
    assert_array_equal(pickle.loads(pickle.dumps(first)).predict_proba(X), first.predict_proba(X))


def test_weights_that_were_changed_count():
    X, y, _ = make_data()
    model = BPClassifier((4,), device="cuda", **PARAMS).fit(X, y)
    model.coefs_[0][:] = 0
    assert np.ptp(model.predict_proba(X), axis=0).max() == 0


def test_divergence_is_an_error_that_leaves_the_model_alone():
    X, _, Y = make_data()
    model = BPRegressor((4,), device="cuda", **PARAMS).fit(X, Y)
    before = weights(model)
    model.set_params(solver="sgd", learning_rate_init=1e200)
    with pytest.raises(ValueError, match=r"non-finite.*epoch 1, step 2"):
        model.fit(X, Y)
    assert_array_equal(weights(model), before)


def test_the_last_epoch_is_warned_about():
    X, y, _ = make_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match="Maximum iterations"):
            BPClassifier((2,), device="cuda", **{**PARAMS, "max_iter": 1}).fit(X, y)


def test_sparse_inputs_are_refused_and_auto_takes_the_cpu():
    X, y, _ = make_data()
    X_sparse = sparse.csr_array(X)
    model = BPClassifier((4,), device="cuda", **PARAMS)
    with pytest.raises(ValueError, match=r"no sparse X.*toarray\(\).*device='cpu'"):
        model.fit(X_sparse, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match="no sparse X"):
        model.predict(X_sparse)
    auto = BPClassifier((4,), device="auto", **PARAMS).fit(X_sparse, y)
    assert_same_bits(auto, BPClassifier((4,), **PARAMS).fit(X_sparse, y))
    # Here auto is the simulated GPU for dense rows.
    assert_same_bits(BPClassifier((4,), device="auto", **PARAMS).fit(X, y), model)


class Elsewhere:
    """An array that another library holds on the GPU, and that refuses to become a NumPy array."""

    def __init__(self, values):
        self.array = arrays.cuda.to_device(values)

    @property
    def shape(self):
        return self.array.shape

    @property
    def __cuda_array_interface__(self):
        return {} if SIMULATOR else self.array.__cuda_array_interface__

    def __array__(self, *args, **kwargs):
        raise TypeError("no implicit copies to the host")


@pytest.fixture
def elsewhere(monkeypatch):
    if SIMULATOR:  # which lacks the function
        monkeypatch.setattr(arrays.cuda, "as_cuda_array", lambda values: values.array, raising=False)
    return Elsewhere


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_arrays_on_the_gpu_are_taken_as_they_lie_there(params, elsewhere, monkeypatch):
    X, y, _ = make_data(np.float32)
    weight = np.arange(20) % 4 + 1.0
    model = BPClassifier((4,), device="cuda", **{**PARAMS, **params})
    wanted = clone(model).fit(X, y, weight)
    rows = []
    original = device_data.Resident.__init__
    monkeypatch.setattr(
        device_data.Resident,
        "__init__",
        lambda self, data, *rest: rows.append(data) or original(self, data, *rest),
    )
    there = elsewhere(X)
    found = clone(model).fit(there, elsewhere(y), elsewhere(weight))
    assert_same_bits(found, wanted)
    assert rows and not any(data.on_host for data in rows)
    assert_array_equal(found.predict(there), wanted.predict(X))
    assert_array_equal(found.predict_proba(there), wanted.predict_proba(X))
    assert_array_equal(found.transform(there), wanted.transform(X))
    gradients = found.loss_and_gradients(there, elsewhere(y)), wanted.loss_and_gradients(X, y)
    assert_array_equal(gradients[0].coefs[0], gradients[1].coefs[0])


def test_arrays_on_the_gpu_that_cannot_be_taken(elsewhere):
    X, y, _ = make_data()
    model = BPClassifier((4,), device="cuda", **PARAMS).fit(elsewhere(X), y)
    bad = X.copy()
    bad[3, 1] = np.inf
    for values, message in [
        (X[:, :2].copy(), "2 features"),
        (X.astype(np.float16), "dtype float64, got float16"),
        (X.T.copy().T, "contiguous"),
        (X[0], "2D array"),
        (bad, "NaN or infinity"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.predict(elsewhere(values))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(elsewhere(X), y[1:])
    with pytest.raises(ValueError, match=r"X lies on the GPU.*device='cuda'"):
        BPClassifier((4,), **PARAMS).fit(elsewhere(X), y)
    model.device = "cpu"
    with pytest.raises(ValueError, match=r"X lies on the GPU.*device='cuda'"):
        model.predict(elsewhere(X))


def test_arrays_on_the_gpu_are_cast_there(elsewhere):
    X, y, _ = make_data()
    X[:, 0] = np.round(X[:, 0])
    model = BPClassifier((4,), device="cuda", dtype="float32", **PARAMS)
    wanted = clone(model).fit(X.astype(np.float32), y)
    found = clone(model).fit(elsewhere(X), y)
    assert_same_bits(found, wanted)
    assert_array_equal(found.predict_proba(elsewhere(X)), wanted.predict_proba(X))
    integers = elsewhere(np.round(X).astype(np.int64))
    assert_array_equal(found.predict_proba(integers), wanted.predict_proba(np.round(X)))
    X[3, 1] = 1e300
    for call in (lambda: found.fit(elsewhere(X), y), lambda: found.predict(elsewhere(X))):
        with pytest.raises(ValueError, match=r"X contains .*too large for dtype.'float32'.*dtype='float64'"):
            call()


SHAPES = [
    {"activation": "maxout", "maxout_pieces": 3},
    {"norm": "batch", "early_stopping": True, **LIMITED},
    {"norm": "layer", "activation": "gelu", "residual": True},
    {"input_scaling": "robust", **LIMITED},
    {"learn_input_scales": True, "input_dropout": 0.2},
    {"parametric_activation": True, "activation": ["mish", "relu"], **RATES},
    {"preset": "tabular", "max_iter": 2, "hidden_layer_sizes": (4, 4)},
]


@pytest.mark.parametrize("params", SHAPES, ids=lambda params: next(iter(params)))
def test_shapes_of_networks(params, elsewhere):
    X, y, _ = make_data()
    on_cpu, on_gpu = both(BPClassifier(**{"hidden_layer_sizes": (4, 4), **PARAMS, **params}), X, y)
    tolerance = SAME_ARITHMETIC_32 if "preset" in params else SAME_ARITHMETIC
    assert_same_fit(on_gpu, on_cpu, tolerance)
    for found, wanted in zip(on_gpu.feature_params_, on_cpu.feature_params_, strict=True):
        assert_allclose(found, wanted, **tolerance)
    assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), **tolerance)
    found, wanted = on_gpu.loss_and_gradients(X, y), on_cpu.loss_and_gradients(X, y)
    assert_allclose(found.coefs[0], wanted.coefs[0], **tolerance)
    assert_same_bits(clone(on_gpu).fit(elsewhere(X), y), on_gpu)


def test_batch_norm_goes_on_with_its_running_moments_on_the_other_device():
    X, y, _ = make_data()
    whole = BPClassifier((4,), norm="batch", **PARAMS)
    parts = clone(whole)
    for device in ("cpu", "cuda", "cpu"):
        whole.partial_fit(X, y, classes=[0, 1, 2])
        parts.set_params(device=device).partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(weights(parts), weights(whole), **SAME_ARITHMETIC)
    assert_allclose(parts.predict_proba(X), whole.predict_proba(X), **SAME_ARITHMETIC)


def test_own_formulas():
    """Formulas of a user's own: recorded once, compiled for both engines."""

    def update(w, g, m, rate, beta):
        m = beta * m + g
        return w - rate * np.where(m > 0, np.sqrt(m * m), m), m

    X, y, _ = make_data()
    sine = Activation("sine", np.sin, np.cos)
    estimator = BPClassifier(
        (4, 3),
        activation=[sine, "tanh"],
        loss=Loss("brier", lambda f, y, p: p * np.mean((f - y) ** 2) + np.max(f), params={"p": 2.0}),
        solver=Solver("heavy", update, n_states=1, params={"beta": 0.5}),
        schedule=Schedule("down", lambda x, epoch: np.where(epoch > 1, 1 - x, np.exp(-(x**2)))),
        parametric_activation=True,
        **PARAMS,
    )
    on_cpu, on_gpu = both(estimator, X, y)
    assert_allclose(weights(on_gpu), weights(on_cpu), **SAME_ARITHMETIC)
    assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), **SAME_ARITHMETIC)
    assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_)
