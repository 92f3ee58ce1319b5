"""The declarations of parameters, and the options of a fit that are made of them."""

import inspect
import re

import numpy as np
import pytest

from fastbp import BPClassifier, BPRegressor, presets
from fastbp.estimators.options import Options, constraints, defaults, parameter_names, task_of, with_role
from fastbp.plan.training import training_plan

ESTIMATORS = [BPClassifier, BPRegressor]


def signature(function):
    own = inspect.signature(function).parameters
    return {name: one.default for name, one in own.items() if name != "self"}


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_constructors_have_what_is_declared(Estimator):
    task = task_of(Estimator())
    assert signature(Estimator.__init__) == defaults(task)
    assert tuple(signature(Estimator.__init__)) == parameter_names(task)
    assert Estimator._parameter_constraints == constraints(task)
    headings = re.findall(
        r"^    ([a-z_0-9, ]+) : ", Estimator.__doc__.partition("Attributes\n")[0], re.MULTILINE
    )
    documented = [name for heading in headings for name in heading.split(", ")]
    assert sorted(documented) == sorted(parameter_names(task))


def test_defaults_may_be_what_is_declared():
    for Estimator in ESTIMATORS:
        Estimator()._validate_params()


def test_training_plans_take_every_parameter_of_training():
    of_a_fit = {"batch_size", "seed", "max_epochs", "planned_epochs", "monitor"}
    assert set(with_role("trains")) == set(signature(training_plan)) - of_a_fit


def test_equal_parameters_give_the_same_options():
    first, second = (Options.from_estimator(BPClassifier((5,), alpha=0.1)) for _ in range(2))
    assert first is second
    for other in (BPClassifier((5,), alpha=0), BPClassifier((5.0,), alpha=0.1), BPRegressor((5,), alpha=0.1)):
        assert Options.from_estimator(other) is not first
    # what may be changed in place is never remembered
    sizes = [5]
    before = Options.from_estimator(BPClassifier(sizes)).hidden
    sizes.append(3)
    assert (before, Options.from_estimator(BPClassifier(sizes)).hidden) == ((5,), (5, 3))


def test_numbers_become_pythons_own():
    options = Options.from_estimator(BPClassifier(alpha=np.float32(0.5), max_iter=np.int8(3), dropout=0))
    assert (type(options.alpha), type(options.max_iter)) == (float, int)
    assert (options.alpha, options.max_iter) == (0.5, 3)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_a_preset_stands_in_the_place_of_defaults(Estimator):
    wanted = presets.parameters("tabular", task_of(Estimator()))
    options = Options.from_estimator(Estimator(preset="tabular", alpha=0.5))
    assert options.alpha == 0.5
    assert options.of_preset == wanted.keys() - {"alpha"}
    assert all(getattr(options, name) == wanted[name] for name in options.of_preset)
    assert "preset='tabular'" in options.set_by("init")
    assert options.set_by("alpha") == ""


def test_parameters_may_be_attributes_of_a_subclass():
    class Strong(BPClassifier):
        alpha = property(lambda self: 3.0, lambda self, value: None)

    assert Options.from_estimator(Strong()).alpha == 3.0
    lacking = BPClassifier()
    del lacking.alpha
    with pytest.raises(AttributeError, match="alpha"):
        Options.from_estimator(lacking)
