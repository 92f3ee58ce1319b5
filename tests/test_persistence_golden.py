"""Files that earlier versions have written are read, and the models predict what they did."""

import json
from pathlib import Path

import numpy as np
import pytest
from golden.make import MODELS, classes, numbers, predictions, write
from numpy.testing import assert_allclose

import fastbp
from fastbp.persistence import describe

FILES = sorted((Path(__file__).parent / "golden").glob("*.bp"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path, tmp_path):
    wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    X = wanted.pop("X")
    model = fastbp.load(path)
    for found in (predictions(model, X), predictions(again(model, tmp_path), X)):
        assert found.keys() == wanted.keys()
        for method, values in wanted.items():
            assert_as_before(np.array(found[method]), np.array(values))


def again(model, folder):
    """The model as this version writes it."""
    model.save(folder / "model.bp")
    return fastbp.load(folder / "model.bp")


def assert_as_before(found, wanted):
    assert found.dtype.kind == wanted.dtype.kind
    if wanted.dtype.kind == "f":
        # of float32 on another processor, sums are rounded otherwise
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    else:
        assert found.tolist() == wanted.tolist()


def test_each_kind_of_model_has_a_file():
    assert {path.stem.partition("_")[2] for path in FILES} == set(MODELS)
    for path in FILES:
        assert path.name.startswith(f"v{describe(path)['format']}_")


def test_training_goes_on():
    """From the state that the file holds."""
    X, y = numbers()
    model = fastbp.load(next(path for path in FILES if path.stem == "v1_classifier"))
    before = model.t_
    assert model.partial_fit(X, classes(y)).t_ == 2 * before == 2 * len(X)
    assert len(model.loss_curve_) == 2


def test_golden_files_are_not_replaced():
    before = {path: path.read_bytes() for path in FILES}
    with pytest.raises(SystemExit, match=r"v1_periodic\.bp exists"):
        write("periodic")
    assert {path: path.read_bytes() for path in FILES} == before
