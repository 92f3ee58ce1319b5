"""Models with formulas of a user's own in files; no text of a description becomes code unchecked."""

import io
import json
import subprocess
import sys
from contextlib import suppress

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from numpy.testing import assert_array_equal
from test_own_formulas import ADAM, COSINE, CROSS_ENTROPY, HUBER, SINE, TANH
from test_persistence import again, outputs
from test_persistence_files import edited, load

from fastbp import Activation, BPClassifier, BPEnsembleRegressor, BPRegressor, register
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.own.description import check_formula
from fastbp.functions.own.formula import Formula
from fastbp.persistence import describe

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, **EVERY_EPOCH}


@pytest.fixture(autouse=True)
def names_are_as_before(monkeypatch):
    """Afterwards, whatever a test registers."""
    monkeypatch.setattr(ACTIVATIONS, "_names", ACTIVATIONS.names())


def written(model):
    file = io.BytesIO()
    model.save(file)
    return file.getvalue()


def test_all_of_them():
    X, y = data.iris()
    params = {**PARAMS, "hidden_layer_sizes": (4, 3), "activation": [SINE, TANH], "loss": CROSS_ENTROPY}
    model = BPClassifier(**{**params, "solver": ADAM, "schedule": COSINE, "schedule_params": {"end": 0.1}})
    model.partial_fit(X, y, classes=[0, 1, 2])
    loaded = again(model)
    assert loaded.get_params() == model.get_params()
    assert isinstance(loaded.activation[0], Activation)
    assert_array_equal(outputs(loaded, X), outputs(model, X))
    assert_same_bits(loaded.partial_fit(X, y), model.partial_fit(X, y))
    found = describe(io.BytesIO(written(model)))["parameters"]
    assert found["activation"][0] == {"class": "Activation", "name": "sine"}
    X, y = data.regression()
    model = BPEnsembleRegressor(BPRegressor(**PARAMS, loss=HUBER), n_estimators=1, random_state=0).fit(X, y)
    assert_array_equal(outputs(again(model), X), outputs(model, X))


IN_ANOTHER_PROCESS = """
import sys
import numpy as np
import fastbp
model = fastbp.load(sys.argv[1])
assert model.activation == "persisted" and isinstance(model.solver, fastbp.Solver)
model.partial_fit(*np.load(sys.argv[2]).values())
model.save(sys.argv[1])
"""


def test_another_process(tmp_path):
    """It knows neither the object nor the registered name before."""
    X, y = data.iris()
    register(Activation("persisted", lambda z: z * np.tanh(z)))
    model = BPClassifier(**PARAMS, activation="persisted", solver=ADAM).partial_fit(X, y, classes=[0, 1, 2])
    model.save(tmp_path / "model.bp")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, tmp_path / "model.bp", tmp_path / "data.npz"]
    subprocess.run(command, check=True)
    with open(tmp_path / "model.bp", "rb") as file:
        loaded = load(file.read())
    assert loaded.activation == "persisted"
    assert_same_bits(loaded, model.partial_fit(X, y))


def test_a_name_that_is_taken():
    X, y = data.iris()
    register(Activation("taken", lambda z: np.sin(z)))
    content = written(BPClassifier(**PARAMS, activation="taken").fit(X, y))

    def another(header):
        plain = header["model"]["parameters"]["activation"]["$registered"]["plain"]
        assert plain["formulas"][1] == ["sin", 0]
        plain["formulas"][1][0] = "cos"

    with pytest.raises(ValueError, match="there is a Activation named 'taken' already"):
        load(edited(content, another))


@pytest.mark.parametrize("formula", [SINE, TANH, HUBER, CROSS_ENTROPY, ADAM, COSINE], ids=repr)
def test_no_text_of_a_description_becomes_code(formula, monkeypatch):
    """Any value at any place: refused, or a formula that runs nothing while it is made."""
    kind, plain = formula.kind, formula.to_plain()
    check_formula(kind, json.loads(json.dumps(plain)))
    ran = []
    monkeypatch.setattr("builtins.ran", ran.append, raising=False)
    monkeypatch.setattr(Formula, "_add", lambda self: self._entry(str(self)))  # and not to the registry
    code = ["ran(1)", "__import__('os')", "z if ran(1) else z", "z\n    ran(1)", "", "a b", "p[0]"]
    for way in ways(plain):
        for value in [*code, "__class__", None, -1, 10**400, 0.5, [], {}, [["ran(1)"]], float("nan")]:
            changed = json.loads(json.dumps(plain))
            node = changed
            for key in way[:-1]:
                node = node[key]
            node[way[-1]] = value
            try:
                check_formula(kind, changed)
            except ValueError:
                continue
            # texts that are only compared
            assert value not in code or way[0] in ("merged_with", "tasks", "targets"), (way, value)
            with suppress(ValueError):
                type(formula).from_plain(changed)
    assert ran == []


def ways(node, way=()):
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        yield (*way, key)
        yield from ways(part, (*way, key))


def test_code_in_a_file_is_refused(monkeypatch):
    ran = []
    monkeypatch.setattr("builtins.ran", ran.append, raising=False)
    X, y = data.iris()
    content = written(BPClassifier(**PARAMS, activation=SINE).fit(X, y))

    def change(header):
        header["model"]["parameters"]["activation"]["plain"]["formulas"][0][1] = "ran(1) or z"

    with pytest.raises(ValueError, match="is no operation of a formula"):
        load(edited(content, change))
    assert ran == []


def test_a_formula_that_grows_without_end():
    """Each operation doubles it: written out without shared parts, it would fill the memory."""
    n = 1000
    rows = [["input", "z", False], *(["add", i, i] for i in range(n)), [n, n]]
    formula = Activation.from_plain({"name": "a", "of": "input", "formulas": rows})
    assert len(ACTIVATIONS[formula].formula) < 200
    assert ACTIVATIONS[formula].value(2.0**-n) == 1.0
