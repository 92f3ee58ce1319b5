"""Models as C files, compiled and run, against their own predictions."""

import ctypes
import shutil
import subprocess
from dataclasses import replace

import exported
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from fastbp import Activation, BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor, export
from fastbp.export.c_file import c_source
from fastbp.export.numba_function import compiled_kernel, source_of
from fastbp.export.prediction import Formula, Member, head
from fastbp.export.program import Step
from fastbp.functions import scalar
from fastbp.functions.symbolic.evaluation import evaluate
from fastbp.functions.symbolic.expression import variable
from fastbp.functions.symbolic.tracing import trace
from fastbp.plan.network import Kind

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wdouble-promotion", "-Wconversion", "-Werror"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
rng = np.random.RandomState(0)
X = rng.normal(size=(40, 3))


def compiled(folder, *texts, options=()):
    """A shared library of C files, which are included in one."""
    for number, text in enumerate(texts):
        (folder / f"m{number}.c").write_text(text, encoding="utf-8")
    (folder / "all.c").write_text("".join(f'#include "m{number}.c"\n' for number in range(len(texts))))
    library = folder / "all.so"
    command = [COMPILER, "-O0", "-std=c99", *WARNINGS, *options, "-shared", "-fPIC", "all.c", "-lm"]
    subprocess.run([*command, "-o", str(library)], cwd=folder, check=True)
    return ctypes.CDLL(str(library))


def call(function, X, *shapes, kind=None):
    """The arrays that a function fills, for each row."""
    outs = [np.empty((len(X), n), kind or X.dtype) for n in shapes]
    for i, row in enumerate(np.ascontiguousarray(X)):
        function(row.ctypes, *(ctypes.c_void_p(out[i].ctypes.data) for out in outs))
    return outs


@needs_compiler
def test_all_pairs(tmp_path):
    cases = exported.pairs()
    models = [exported.make(chosen, seed) for seed, chosen in enumerate(cases)]
    library = compiled(tmp_path, *(m.to_c(name=f"m{i}") for i, m in enumerate(models)))
    for i, (chosen, model) in enumerate(zip(cases, models, strict=True)):
        X = exported.rows(chosen["dtype"])
        expected, tolerance = exported.scores(model, X), TOLERANCE[chosen["dtype"]]
        method = model._prediction().method
        (found,) = call(library[f"m{i}_{method}"], X, expected.shape[1])
        assert exported.error(found, expected) < tolerance, chosen
        if isinstance(model, BPRegressor):
            if model.loss == "gaussian_nll":
                found = call(library[f"m{i}_predict_std"], X, *[expected.shape[1]] * 2)
                for a, b in zip(found, model.predict(X, return_std=True), strict=True):
                    assert exported.error(a, b.reshape(a.shape)) < tolerance, chosen
            continue
        labels = model.predict(X)
        if labels.ndim == 2:
            assert_array_equal(call(library[f"m{i}_predict"], X, 3, kind=np.int32)[0], labels)
        else:
            indices = [library[f"m{i}_predict"](row.ctypes) for row in X]
            assert_array_equal(model.classes_[indices], labels)


def test_every_two_values_meet():
    cases = exported.pairs()
    assert any("gelu" in c["activation"] and c["output"] == "two normal" for c in cases)
    assert any(c["norm"] == "layer" and c["residual"] and len(c["layers"]) > 2 for c in cases)
    assert {c["output"] for c in cases} == {*exported.OUTPUTS, *exported.MORE_OUTPUTS}


@needs_compiler
@pytest.mark.parametrize("classes", [["a", 'b"?é'], [3, -7], [2**40, 1], [1.0, 2.0], [True, False]])
def test_classes(tmp_path, classes):
    model = BPClassifier((3,), max_iter=1, random_state=0).fit(X, np.array(classes)[rng.randint(0, 2, 40)])
    library = compiled(tmp_path, model.to_c())
    of_index = library.model_class
    first = model.classes_[0]
    kinds = {"U": ctypes.c_char_p, "f": ctypes.c_double, "b": ctypes.c_long}
    of_index.restype = kinds.get(model.classes_.dtype.kind, ctypes.c_longlong)
    found = [of_index(i) for i in range(2)]
    assert found == [c.encode() if isinstance(first, str) else c for c in model.classes_.tolist()]


@needs_compiler
def test_ensembles(tmp_path):
    y, t = rng.randint(0, 3, 40), np.c_[X[:, 0], 5 * X[:, 1]]
    small = {"max_iter": 2, "dtype": "float64"}
    models = [
        BPEnsembleClassifier(BPClassifier((3,), **small), n_estimators=3, random_state=0).fit(X, y),
        BPEnsembleClassifier(BPClassifier((3,), **small), n_estimators=2, random_state=0).fit(X, y > 0),
        BPEnsembleClassifier(BPClassifier((), loss="hinge", **small), n_estimators=2).fit(X, y > 0),
        BPEnsembleRegressor(BPRegressor((3,), **small), n_estimators=3, random_state=0).fit(X, t),
        BPEnsembleRegressor(BPRegressor((3,), loss="gaussian_nll", **small), n_estimators=3).fit(X, t),
    ]
    library = compiled(tmp_path, *(m.to_c(name=f"m{i}") for i, m in enumerate(models)))
    for i, model in enumerate(models):
        expected = exported.scores(model, X)
        (found,) = call(library[f"m{i}_{model._prediction().method}"], X, expected.shape[1])
        assert_allclose(found, expected, 1e-12)
        if i < 3:
            indices = [library[f"m{i}_predict"](row.ctypes) for row in X]
            assert_array_equal(model.classes_[indices], model.predict(X))
        else:
            found = call(library[f"m{i}_predict_std"], X, 2, 2)
            assert_allclose(found, model.predict(X, return_std=True), 1e-10)


@needs_compiler
def test_extreme_numbers(tmp_path):
    """Large logits overflow nowhere, and NaN stays NaN."""
    names = ["softplus", "gelu", "mish", "tanh", "selu", "logistic"]
    y = rng.randint(0, 3, 40)
    models = [BPClassifier((4,), activation=n, max_iter=1, random_state=0).fit(X, y) for n in names]
    for model in models:
        model.coefs_ = [300 * coef for coef in model.coefs_]
    texts = [m.to_c(name=f"m{i}", dtype="float32") for i, m in enumerate(models)]
    library = compiled(tmp_path, *texts)
    single = X.astype(np.float32)
    for i, model in enumerate(models):
        (found,) = call(library[f"m{i}_predict_proba"], single, 3)
        assert np.isfinite(found).all()
        assert_allclose(found, model.predict_proba(X), atol=0.02)
        (found,) = call(library[f"m{i}_predict_proba"], np.full((1, 3), np.nan, np.float32), 3)
        assert np.isnan(found).all()


FORMULAS = {
    "all functions": lambda z: (
        np.sin(z) * np.cos(z) + np.exp(-z) - np.expm1(0.3 * z) + np.tanh(z) / (1.5 + scalar.logistic(z))
    ),
    "of positive numbers": lambda z: (
        np.sqrt(np.abs(z)) + np.log(2 + z * z) + (1 + z * z) ** 0.3 + np.log1p(z * z)
    ),
    "steps": lambda z: np.floor(z) + np.rint(2 * z) + np.mod(z, 0.7) + np.sign(z) - np.clip(z, -0.5, 0.5),
    "choices": lambda z: np.where((z > 0.1) & ~(z > 1) | np.equal(z, 0.0), z**3, -1e300 * z * 1e-300),
    "normal": lambda z: scalar.normal_cdf(2 * z) + scalar.normal_density(z - 1) + scalar.softplus(3 * z),
    "several uses": lambda z: np.logaddexp(z, 0.5) * np.maximum(z, np.cosh(z) - 1) + np.sinh(z),
}


@needs_compiler
def test_whatever_formula_is_recorded(tmp_path):
    """Also what no registered function uses today: in C and for Numba."""
    network = BPRegressor((), max_iter=1, random_state=0).fit(X[:, :1], X[:, 0])
    network.coefs_ = [np.array([[1.0, -1.0, 2.0]])]
    network.intercepts_ = [np.zeros(3)]
    z = X[:, :1] * [[1.0, -1.0, 2.0]]
    texts, expected = [], []
    for name, formula in FORMULAS.items():
        steps = head(
            3,
            np.dtype(float),
            lambda b, n, dtype, f=formula, name=name: Step(
                Kind.ELEMENTWISE, b, b + 1, n, n, function=Formula(name, f)
            ),
        )
        prediction = replace(
            network._prediction(), members=(Member(network._prediction().members[0].network, steps),)
        )
        texts.append(c_source(prediction, f"m{len(texts)}"))
        expected.append(evaluate(trace(formula, variable("z")), {"z": z})[0])
        source, constants = source_of(prediction)
        kernel, out = compiled_kernel(source, constants.dtype), np.empty(3)
        for x, row in zip(X[:, :1].copy(), expected[-1], strict=True):
            kernel(constants, x, out)
            assert_allclose(out, row, 1e-11, 1e-13)
    library = compiled(tmp_path, *texts)
    for i, values in enumerate(expected):
        assert_allclose(call(library[f"m{i}_predict"], X[:, :1].copy(), 3)[0], values, 1e-11, 1e-13)


@needs_compiler
def test_a_file_is_a_program_and_a_header(tmp_path):
    model = BPRegressor((3,), max_iter=1, random_state=0).fit(X, X[:, 0])
    model.to_c(tmp_path / "net.c", name="net")
    program = [COMPILER, "-O2", "-std=c99", *WARNINGS, "-DNET_MAIN", "net.c", "-lm", "-o", "net"]
    subprocess.run(program, cwd=tmp_path, check=True)
    rows = " ".join(map(repr, X[:4].ravel().tolist()))
    done = subprocess.run([tmp_path / "net"], input=rows, capture_output=True, text=True, check=True)
    assert_allclose(list(map(float, done.stdout.split())), model.predict(X[:4]), 1e-12)
    text = '#define NET_DECLARATIONS_ONLY\n#include "net.c"\n#include "net.c"\n'
    (tmp_path / "user.c").write_text(text + "void f(const double *x, double *y) { net_predict(x, y); }\n")
    subprocess.run([COMPILER, "-std=c99", *WARNINGS, "-c", "user.c"], cwd=tmp_path, check=True)


def test_sizes_in_the_comment():
    model = BPRegressor((50, 20), max_iter=1, dtype="float32").fit(X, X[:, :2])
    text = model.to_c()
    assert f"{4 * (3 * 50 + 50 + 50 * 20 + 20 + 20 * 2 + 2)} bytes of" in text
    assert f"about {4 * (50 + 20 + 2 + 3 * 2)} bytes of stack" in text


def test_names_in_the_comment_do_not_end_it():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["*/ int", "ok", "two\nlines"])
    text = BPRegressor((3,), max_iter=1).fit(table, X[:, 0]).to_c()
    comment = text[: text.index("#ifndef")]
    assert comment.count("*/") == 1 and "1: ok" in comment and "two?lines" in comment


@pytest.mark.parametrize("name", ["1x", "a-b", "", "for", "é", None])
def test_name_must_be_an_identifier(name):
    model = BPRegressor((3,), max_iter=1).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="name="):
        model.to_c(name=name)


@pytest.mark.parametrize("dtype", ["float16", int, "nothing"])
def test_dtype_must_be_known(dtype):
    model = BPRegressor((3,), max_iter=1).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="dtype="):
        model.to_c(dtype=dtype)


def test_the_model_must_be_fitted():
    for model in (BPClassifier(), BPRegressor(), BPEnsembleRegressor()):
        with pytest.raises(ValueError, match="not fitted"):
            model.to_c()


SCALERS = {
    "standard": [StandardScaler()],
    "centre": [StandardScaler(with_std=False)],
    "quartiles": [RobustScaler()],
    "range": [MinMaxScaler((-1, 2))],
    "largest": [MaxAbsScaler(), "passthrough"],
    "several": [StandardScaler(), MinMaxScaler(), RobustScaler(with_centering=False), StandardScaler()],
    "none": [],
}


@needs_compiler
def test_pipelines(tmp_path):
    rows = 3.0 * X + [5.0, -100.0, 0.001]
    network = BPClassifier((4,), max_iter=2, random_state=0)
    models = [make_pipeline(*steps, clone(network)).fit(rows, X[:, 0] > 0) for steps in SCALERS.values()]
    residual = BPRegressor((3, 3), residual=True, input_scaling="robust", max_iter=2, random_state=0)
    models.append(make_pipeline(StandardScaler(), residual).fit(rows, X[:, 0]))
    library = compiled(tmp_path, *(export.to_c(m, name=f"m{i}") for i, m in enumerate(models)))
    for i, model in enumerate(models):
        expected = exported.scores(model, rows)
        (found,) = call(library[f"m{i}_{model[-1]._prediction().method}"], rows, expected.shape[1])
        assert_allclose(found, expected, 1e-10)


def test_other_steps_and_models_are_refused():
    model = BPRegressor((3,), max_iter=1)
    for step in (PCA(), MinMaxScaler(clip=True)):
        with pytest.raises(ValueError, match=f"step '{type(step).__name__.lower()}' of the pipeline"):
            export.to_c(make_pipeline(step, clone(model)).fit(X, X[:, 0]))
    for other in (Ridge().fit(X, X[:, 0]), make_pipeline(StandardScaler(), Ridge()).fit(X, X[:, 0]), None):
        with pytest.raises(TypeError, match="only networks and ensembles"):
            export.to_c(other)
    with pytest.raises(ValueError, match="not fitted"):
        export.to_c(make_pipeline(StandardScaler(), model))


@needs_compiler
def test_own_activations(tmp_path):
    """A user's formula is written out as those of the registries."""
    wave = Activation("exported_wave", lambda z: np.sin(z) * np.exp(-z * z) + np.where(z > 0, z, 0.1 * z))
    model = BPRegressor((4, 4), activation=[wave, "tanh"], out_activation=wave, max_iter=1, random_state=0)
    model.fit(X, X[:, 0])
    (found,) = call(compiled(tmp_path, model.to_c()).model_predict, X, 1)
    assert_allclose(found[:, 0], model.predict(X), 1e-12)
    source, constants = source_of(model._prediction())
    kernel, out = compiled_kernel(source, constants.dtype), np.empty(1)
    kernel(constants, X[0].copy(), out)
    assert_allclose(out, model.predict(X[:1]), 1e-12)
