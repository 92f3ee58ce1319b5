"""Files that `fastbp.load` must refuse: damaged, foreign, made up, or of a later version."""

import io
import json
import pickle
import zipfile

import data
import joblib
import numpy as np
import pytest

import fastbp
from fastbp import BPClassifier, BPEnsembleClassifier
from fastbp.callbacks import Checkpoint
from fastbp.persistence import describe

REFUSED = r"cannot be loaded as a model of fastbp: .*(write it again by model.save|use that version)"


@pytest.fixture(scope="module")
def content():
    """The bytes of a file with training state, a random state, a dictionary and an ensemble's members."""
    X, y = data.iris()
    network = BPClassifier((3,), max_iter=2, random_state=0, class_weight={0: 1.0, 1: 2.0, 2: np.inf})
    network.set_params(class_weight={0: 1.0, 1: 2.0, 2: 1.0}).fit(X, y)
    ensemble = BPEnsembleClassifier(network, n_estimators=2, random_state=np.random.RandomState(0))
    ensemble.partial_fit(X, y, classes=[0, 1, 2])
    file = io.BytesIO()
    ensemble.save(file)
    return file.getvalue()


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def joined(parts, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def load(content):
    return fastbp.load(io.BytesIO(content))


def assert_refused(content, fault=""):
    with pytest.raises(ValueError, match=f"(?s){REFUSED}") as caught:
        load(content)
    assert fault in str(caught.value)


def edited(content, change):
    """The file with another description."""
    parts = parts_of(content)
    header = json.loads(parts["model.json"])
    change(header)
    return joined({**parts, "model.json": json.dumps(header)})


def test_joined_parts_are_a_file(content):
    """Else all that follows would be refused for another reason."""
    assert len(load(joined(parts_of(content))).estimators_) == 2


def test_files_that_are_cut_off(content):
    for length in {0, 1, 4, 30, 100, 1000, len(content) // 2, len(content) - 30, len(content) - 1}:
        assert_refused(content[:length])


def test_bits_that_have_changed(content):
    """The checksums of the archive find them, or the value was none of the model's."""
    X, _ = data.iris()
    wanted = load(content).predict_proba(X)
    rng = np.random.RandomState(0)
    n_found = 0
    for position in rng.randint(0, len(content), 150):
        changed = bytearray(content)
        changed[position] ^= 1 << rng.randint(8)
        try:
            found = load(bytes(changed)).predict_proba(X)
        except ValueError as error:
            assert "cannot be loaded" in str(error)
            n_found += 1
        else:
            assert np.array_equal(found, wanted)
    assert n_found > 100


def test_other_kinds_of_files(tmp_path):
    X, y = data.iris()
    path = tmp_path / "model"
    BPClassifier((3,), max_iter=2).set_callbacks(Checkpoint(path)).fit(X, y)
    assert_refused(path.read_bytes(), "checkpoint of a fit, which fastbp.callbacks.Checkpoint")
    assert_refused(pickle.dumps(BPClassifier()), "it is a pickle")
    joblib.dump(BPClassifier(), path)
    assert_refused(path.read_bytes(), "it is a pickle")
    assert_refused(joined({"schema.json": "{}"}), "skops.io.load")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    assert_refused((tmp_path / "a.npz").read_bytes(), "an archive without model.json")
    assert_refused(b"", "it is empty")
    assert_refused(b"a,b\n1,2\n", "it is no archive")
    with pytest.raises(ValueError, match=r"'.*a\.npz' cannot be loaded"):
        fastbp.load(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"'.*a\.npz' cannot be loaded"):
        describe(tmp_path / "a.npz")


def test_a_later_format(content):
    def later(header):
        header["version"] = 2
        header["versions"]["fastbp"] = "9.5"

    text = (
        "its format is 2, and this version of fastbp reads up to 1. It was written by fastbp 9.5, and this is"
    )
    assert_refused(edited(content, later), text)
    with pytest.raises(ValueError, match=r"written by fastbp 9\.5"):
        describe(io.BytesIO(edited(content, later)))


def test_a_parameter_of_a_later_version(content):
    def later(header):
        header["versions"]["fastbp"] = "9.5"
        header["model"]["parameters"]["voting"] = "soft"

    text = "BPEnsembleClassifier has no parameter 'voting' in this version. It was written by fastbp 9.5"
    assert_refused(edited(content, later), text)


def test_a_parameter_that_the_file_does_not_know(content):
    """It was written before there was one: it takes its default."""

    def earlier(header):
        del header["model"]["parameters"]["oob_score"]
        del header["model"]["attributes"]["estimators_"][0]["parameters"]["alpha"]

    found = load(edited(content, earlier))
    assert found.oob_score is False
    assert found.estimators_[0].alpha == 1e-4


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "1", None, []])
def test_no_format(version, content):
    assert_refused(edited(content, lambda header: header.update(version=version)))


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", "null", "{}", '{"format": "fastbp model"}', "[" * 100_000, "\xff", "{" * 9]
)
def test_other_json(text, content):
    assert_refused(joined({**parts_of(content), "model.json": text}))


def test_arrays(content):
    parts = parts_of(content)
    name = "estimators_.0.coefs_.0.npy"
    coef = np.load(io.BytesIO(parts[name]))
    others = [coef[:-1], coef.T, coef.astype(np.float32), coef.astype(object), coef.astype(str), coef.ravel()]
    for other in others:
        assert_refused(joined({**parts, name: npy(other)}))
    assert_refused(joined({**parts, name: parts[name][:-8]}))
    assert_refused(joined({**parts, name: parts[name] + b"more"}))
    assert_refused(joined({**parts, name: b"none"}))
    assert_refused(joined({**parts, "more.npy": npy(coef)}))
    assert_refused(joined({one: part for one, part in parts.items() if one != name}))
    assert_refused(joined(parts, zipfile.ZIP_DEFLATED), "compressed")


def test_an_array_of_a_huge_size(content):
    """No memory is taken for what a header says."""
    parts = parts_of(content)
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    assert_refused(joined({**parts, "estimators_.0.coefs_.0.npy": file.getvalue()}), "another size")


def test_weights_of_another_network(content):
    """Equal headers, yet they do not fit together: nothing is computed with them."""

    def change(header):
        for one in header["model"]["attributes"]["estimators_"]:
            one["attributes"]["coefs_"] = one["attributes"]["coefs_"][:1] * 2

    assert_refused(edited(content, change), "coefs_")


def ways(node, way=()):
    """The ways to all values of nested JSON."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        yield (*way, key)
        yield from ways(part, (*way, key))


def test_made_up_descriptions(content):
    """Any value at any place: a model, or the one error; nothing else is raised, and nothing executed."""
    parts = parts_of(content)
    header = json.loads(parts["model.json"])
    header["model"]["attributes"]["estimators_"] = header["model"]["attributes"]["estimators_"][:1]
    header["arrays"] = {n: a for n, a in header["arrays"].items() if not n.startswith("estimators_.1")}
    parts = {n: part for n, part in parts.items() if not n.startswith("estimators_.1")}
    load(joined({**parts, "model.json": json.dumps(header)}))
    places = list(ways(header))
    rng = np.random.RandomState(0)
    bad = [
        None,
        1,
        -1.5,
        "os.system",
        [],
        {},
        {"$object": "Popen"},
        {"$array": "x"},
        {"$tuple": 1},
        {"$x": 1},
    ]
    bad += [{"$dict": [[[], 1]]}, {"$objects": {"shape": [2], "values": []}}, {"$numpy type": "object"}]
    bad += [{"$object": "BPClassifier", "parameters": {}, "attributes": {"fit": 1}}, {"$dtype": "O"}]
    for place in rng.permutation(len(places))[:35]:
        *way, last = places[place]
        for value in bad:
            now = json.loads(json.dumps(header))
            node = now
            for key in way:
                node = node[key]
            node[last] = value
            try:
                load(joined({**parts, "model.json": json.dumps(now)}))
            except ValueError as error:
                assert "cannot be loaded as a model of fastbp" in str(error)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "Popen",
        "NetworkPlan",
        "Member",
        "KFold",
        "fastbp.BPClassifier",
        "",
        "dict",
        "Pipeline",
        3,
        None,
    ],
)
def test_only_classes_of_the_table(name, content):
    assert_refused(edited(content, lambda header: header["model"].update({"$object": name})), "unknown class")


@pytest.mark.parametrize(
    "name", ["predict", "__class__", "__dict__", "save", "_mean", "a b", "__sklearn_tags__"]
)
def test_methods_are_not_hidden(name, content):
    def change(header):
        header["model"]["attributes"][name] = 1

    assert_refused(edited(content, change), "has no attribute")


@pytest.mark.parametrize("change", [{"pos": 625}, {"pos": -1}, {"key": {"$array": "classes_"}}])
def test_a_random_state_that_reads_past_its_end(change, content):
    def edit(header):
        state = header["model"]["parameters"]["random_state"]["$random_state"]
        state["state"].update(change)

    assert_refused(edited(content, edit))


@pytest.mark.parametrize("name", ["seed", "RandomState", "default_rng", "__class__"])
def test_no_bit_generator_of_another_name(name, content):
    def edit(header):
        header["model"]["parameters"]["random_state"]["$random_state"]["bit_generator"] = name

    assert_refused(edited(content, edit), "bit generator")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    X, y = data.iris()
    model = BPClassifier((3,), max_iter=2).fit(X, y)
    with pytest.raises(FileNotFoundError, match=r"no such folder: '.*missing'$"):
        model.save(tmp_path / "missing" / "model.bp")
