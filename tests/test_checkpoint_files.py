"""What a fit takes up was written by a fit: any other content of the file is an error that names it."""

import json
import os
import subprocess
import sys
import zipfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot
from sklearn.base import clone
from sklearn.datasets import load_iris

from fastbp import BPClassifier
from fastbp.callbacks import Checkpoint, StopWhen, checkpoint_file
from fastbp.training.checkpoint_state import plain

PARAMS = {"hidden_layer_sizes": (6,), "max_iter": 5, "batch_size": 40, "random_state": 0, **EVERY_EPOCH}
KINDS = {"epochs": {}, "early stopping": {"early_stopping": True}, "lbfgs": {"solver": "lbfgs"}}
REFUSED = r"run\.ckpt' (cannot be read as a checkpoint|is of (another fit|a fit)).*delete"


@pytest.fixture(params=KINDS)
def kept(request, tmp_path):
    """A model, its file, and the content of the file."""
    path = tmp_path / "run.ckpt"
    stop = StopWhen(lambda epoch: epoch.number == 3)
    model = BPClassifier(**PARAMS, **KINDS[request.param])
    clone(model).set_callbacks(Checkpoint(path), stop).fit(*data.iris())
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(str(arrays.pop("meta")))
    return model.set_callbacks(Checkpoint(path, resume=True)), path, meta, arrays


def rewrite(path, meta, arrays, save=np.savez):
    with open(path, "wb") as file:
        save(file, meta=np.array(json.dumps(meta)), **arrays)


def assert_refused(model, path):
    """A ValueError that names the file and says what to do; model and file are as before."""
    before, content = snapshot(model), path.read_bytes()
    with pytest.raises(ValueError, match=f"(?i){REFUSED}"):
        model.fit(*data.iris())
    assert_equal_state(snapshot(model), before)
    assert path.read_bytes() == content


def fields(node, way=()):
    """The ways to all places of nested dictionaries, but for the settings, which are compared."""
    for name, part in node.items():
        if name != "settings":
            yield (*way, name)
            if isinstance(part, dict) and part.keys() != {"array"}:
                yield from fields(part, (*way, name))


def changed(meta, way, value):
    meta = json.loads(json.dumps(meta))
    node = meta
    for name in way[:-1]:
        node = node[name]
    if value is fields:
        del node[way[-1]]
    else:
        node[way[-1]] = value
    return meta


BAD = [fields, "nonsense", -1, -0.5, float("nan"), 10**400, [], [[]], {"array": 0.5}, {"array": 99}, {"a": 1}]
# Values that another fit could have at these places.
GOOD = {
    ("converged", True),
    ("best", -1),
    ("best", -0.5),
    ("best_score", -1),
    ("best_score", -0.5),
    ("gauss", -0.5),
}


def test_a_field_that_was_changed(kept):
    model, path, meta, arrays = kept
    for way in fields(meta):
        for value in [*BAD, None, True, {"array": 0}]:
            now = changed(meta, way, value)
            same = now == meta
            nullable = value is None and way[-1] in ("scores", "best_score", "best_parameters")
            possible = isinstance(value, int | float) and (way[-1], value) in GOOD
            is_vector = value == {"array": 0} and way[-1] in ("parameters", "best_parameters", "result")
            if same or possible or is_vector or (nullable and meta["position"].get("scores") is None):
                continue
            rewrite(path, now, arrays)
            assert_refused(model, path)
    rewrite(path, meta, arrays)
    assert_same_bits(model.fit(*data.iris()), clone(model).set_callbacks().fit(*data.iris()))


def test_an_array_that_was_changed(kept):
    model, path, meta, arrays = kept
    for name, array in arrays.items():
        others = [array[:-1], np.concatenate([array, array]), array[None], array.astype(np.int16)]
        others += [array.astype(complex), array.astype(str), array.astype(bool)]
        if array.dtype.kind == "f":
            missing = array.copy()
            missing.flat[0] = np.nan
            others += [missing, array.astype(array.dtype.newbyteorder())]
        for other in others:
            rewrite(path, meta, {**arrays, name: other})
            assert_refused(model, path)
        rewrite(path, meta, {one: arrays[one] for one in arrays if one != name})
        assert_refused(model, path)
    rewrite(path, meta, {**arrays, "more": np.zeros(2)})
    assert_refused(model, path)
    rewrite(path, meta, arrays, np.savez_compressed)
    assert_refused(model, path)


@pytest.mark.parametrize("version", [0, 2, 1.0, True, "1", None])
def test_a_file_of_another_format(version, kept):
    model, path, meta, arrays = kept
    rewrite(path, {**meta, "fastbp checkpoint": version}, arrays)
    assert_refused(model, path)


@pytest.mark.parametrize("value", [[], 1, "text", None, {}, {"fastbp checkpoint": 1}])
def test_other_json(value, kept):
    model, path, _, arrays = kept
    rewrite(path, value, arrays)
    assert_refused(model, path)


@pytest.mark.parametrize("name", ["seed", "RandomState", "default_rng", "Philox", "__class__"])
def test_no_name_of_the_file_is_called(name, kept):
    model, path, meta, arrays = kept
    rewrite(path, changed(meta, ("begin", "random_state", "bit_generator"), name), arrays)
    assert_refused(model, path)


@pytest.mark.parametrize("position", [625, 2**31, -1])
def test_a_random_state_that_reads_past_its_end(position, kept):
    model, path, meta, arrays = kept
    rewrite(path, changed(meta, ("begin", "random_state", "state", "pos"), position), arrays)
    assert_refused(model, path)


def test_attributes_that_no_fit_adds_to(kept):
    model, path, meta, arrays = kept
    for earlier in ({"coefs_": []}, {"fit": 1}, {"t_": -1}, {"t_": 1.5}, {"loss_curve_": ["a"]}):
        rewrite(path, changed(meta, ("begin", "earlier"), earlier), arrays)
        assert_refused(model, path)


def test_a_file_of_another_network(kept, tmp_path):
    """Its settings say that it is of this one."""
    model, path, meta, arrays = kept
    larger = clone(model).set_params(hidden_layer_sizes=(7,)).set_callbacks(Checkpoint(tmp_path / "other"))
    larger.fit(*data.iris())
    with np.load(tmp_path / "other") as archive:
        arrays = {name: archive[name] for name in archive.files}
    other = json.loads(str(arrays.pop("meta")))
    rewrite(path, changed(other, ("begin", "settings"), meta["begin"]["settings"]), arrays)
    assert_refused(model, path)


def test_an_array_that_says_it_is_huge(kept):
    """Memory is taken for what is there."""
    model, path, _, _ = kept
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    shape = members["0.npy"].index(b"'shape': (") + len(b"'shape': (")
    end = members["0.npy"].index(b")", shape)
    header = bytearray(members["0.npy"])
    header[shape:end] = b"99999999999999,"
    members["0.npy"] = bytes(header)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert_refused(model, path)


@pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_every_bit_generator_of_numpy(name, tmp_path):
    X, y = data.iris()

    def model():
        rng = np.random.RandomState(getattr(np.random, name)(3))
        rng.normal()  # one more is kept for later
        return BPClassifier(**{**PARAMS, "random_state": rng})

    path = tmp_path / "run.ckpt"
    model().set_callbacks(Checkpoint(path), StopWhen(lambda epoch: epoch.number == 2)).fit(X, y)
    again = model().set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert_same_bits(again, model().fit(X, y))


def test_a_class_whose_label_is_array(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, class_weight={"array": 2.0})
    y = np.array(["array", "b", "c"])[y]
    model.set_callbacks(Checkpoint(tmp_path / "run.ckpt", resume=True)).fit(X, y)
    assert_same_bits(clone(model).fit(X, y), model)


# --- What is left by a process that was killed

KILLED_WHILE_WRITING = """
import os, sys, time
from sklearn.datasets import load_iris
from fastbp import BPClassifier
from fastbp.callbacks import Checkpoint, checkpoint_file
def wait(handle):
    print("writing", flush=True)
    time.sleep(600)
checkpoint_file.os.fsync = wait
BPClassifier((6,), random_state=0).set_callbacks(Checkpoint(sys.argv[1])).fit(*load_iris(return_X_y=True))
"""


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_process_that_is_killed_while_it_writes(is_folder, tmp_path):
    path = tmp_path if is_folder else tmp_path / "run.ckpt"
    command = [sys.executable, "-W", "ignore", "-c", KILLED_WHILE_WRITING, str(path)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        process.stdout.readline()
        process.kill()
    (left,) = os.listdir(tmp_path)
    own = left[1:].rsplit(".", 1)[0]
    others = [f".{own}.1-2.tmp", f".{own}.1", f".{own}.a-b", f"{own}.1-2"]
    others += [f".other-{own}.1-2", f".{own}x.1-2"]
    for name in others:
        (tmp_path / name).write_text("another file")
    model = BPClassifier((6,), random_state=0)
    model.set_callbacks(Checkpoint(path, resume=True), StopWhen(lambda epoch: True))
    model.fit(*load_iris(return_X_y=True))
    assert sorted(os.listdir(tmp_path)) == sorted([own, *others])


def test_a_remainder_that_was_none(tmp_path, monkeypatch):
    """Another fit with this path begins while the file is written."""
    path, sync = tmp_path / "run.ckpt", os.fsync
    once = [True]

    def begin_another(handle):
        sync(handle)
        if once:
            once.clear()
            checkpoint_file.remove_remainders(path)

    monkeypatch.setattr(checkpoint_file.os, "fsync", begin_another)
    BPClassifier(**PARAMS).set_callbacks(Checkpoint(path)).fit(*data.iris())
    assert os.listdir(tmp_path) == ["run.ckpt"]


# --- Parameters as the file holds them


def test_numbers_of_other_types_stay_apart():
    kinds = [(np.longdouble(1), np.longdouble(2)), (np.longdouble("1e400"), np.longdouble("1e401"))]
    kinds += [(Decimal(n), Decimal(n + 1)) for n in (1, 10**400)]
    kinds += [(Fraction(n, 7), Fraction(n + 1, 7)) for n in (1, 10**400)]
    kinds += [(1j, 2j), (b"a", b"b"), (np.complex64(1), np.complex64(2))]
    kinds += [(np.timedelta64(1), np.timedelta64(2))]
    for first, second in kinds:
        if first != second:
            assert plain(first) != plain(second), (first, second)
            assert plain({"a": [first]}) != plain({"a": [second]})
        json.dumps(plain(first))
