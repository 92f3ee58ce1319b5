"""What documents and docstrings say is true: their Python runs, no parameter or function is left out."""

import ast
import inspect
import re
import warnings

import data
import pytest
from helpers import fitted_attributes
from readme import BENCH, CHANGELOG, DOCUMENTS, ENGINES, ESTIMATORS, FUNCTIONS, GUIDES, README, ROOT, quoted
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

import fastbp
from bench import formulas
from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.initialisers import INITIALISERS
from fastbp.functions.loss_lookup import loss_names
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import SOLVERS, STOCHASTIC
from fastbp.plan.training import AVERAGES

NAMES = [document.name for document in DOCUMENTS]


def test_no_document_is_left_out():
    folders = (ROOT.glob("*.md"), (ROOT / "bench").rglob("*.md"), (ROOT / "fastbp").rglob("*.md"))
    assert sorted(path.relative_to(ROOT).as_posix() for paths in folders for path in paths) == sorted(NAMES)


def test_the_changelog_begins_with_this_version():
    found = re.search(r"^## \[(.+?)\]", CHANGELOG.text, re.MULTILINE)
    assert found and found[1] == fastbp.__version__


def test_the_readme_is_short():
    assert README.text.count("\n") <= 350


@pytest.mark.parametrize("document", [README, ESTIMATORS, *GUIDES], ids=lambda document: document.name)
def test_python_in_documents_runs(document, tmp_path, monkeypatch):
    """In order and in one namespace, as a reader would type it."""
    assert document.blocks
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    for line, code in document.blocks:
        # Padded, so that a traceback names the line of the document.
        with warnings.catch_warnings():
            if document is not README:  # whose examples warn of nothing
                warnings.simplefilter("ignore", ConvergenceWarning)
            else:
                warnings.simplefilter("error", ConvergenceWarning)
            exec(compile("\n" * line + code, str(document.path), "exec"), namespace)


@pytest.mark.parametrize(
    "document", [CHANGELOG, BENCH, ENGINES, FUNCTIONS], ids=lambda document: document.name
)
def test_other_documents_have_no_python(document):
    assert not document.blocks and ">>>" not in document.text


@pytest.mark.parametrize("command", ["python -m fastbp demo", "pytest"])
def test_the_two_commands_are_there(command):
    assert command in README.text


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.prose):
        name, _, anchor = link.partition("#")
        path = (document.path.parent / name).resolve() if name else document.path
        assert path.exists(), link
        if anchor:
            (target,) = [other for other in DOCUMENTS if other.path == path]
            assert anchor in target.anchors, link


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_files_that_documents_name_exist(document):
    """Those with a folder before them."""
    for name in re.findall(r"\b(?:bench|fastbp|tests)/[\w/.]*\w", document.text):
        assert (ROOT / name).exists(), name


def test_the_measurements_name_every_script():
    """Of bench/: what can be run and has a command line of its own."""
    scripts = {
        path.name
        for path in (ROOT / "bench").glob("*.py")
        if "argparse.ArgumentParser(" in path.read_text(encoding="utf-8") or path.name == "formulas.py"
    }
    assert {name for (cell, _) in BENCH.table("script") for name in quoted(cell)} == scripts | {"benchmarks/"}


def test_options_that_documents_name_are_the_scripts_own():
    commands = [
        match.group(1, 2)
        for document in DOCUMENTS
        for match in re.finditer(r"python (bench/\w+\.py)((?: [^\n`]+)?)", document.text)
    ]
    assert commands
    for script, arguments in commands:
        source = (ROOT / script).read_text(encoding="utf-8")
        shared = (ROOT / "bench" / "report.py").read_text(encoding="utf-8")
        for option in re.findall(r"--[a-z-]+", arguments):
            assert f'"{option}"' in source + shared, f"{script} {option}"


def test_figures_of_the_readme_are_those_of_the_measurements():
    """Each line of its tables of numbers stands among all measurements, too."""
    measured = set(BENCH.text.splitlines())
    tables = [lines for lines in README.tables() if "---:" in lines[1]]
    assert len(tables) == 2
    for lines in tables:
        assert set(lines) <= measured


def test_formulas_are_those_of_the_registries():
    assert formulas.document() == FUNCTIONS.text, "python bench/formulas.py makes it anew"


BOTH = [BPClassifier, BPRegressor]


def described(name, doc):
    """Whether a numpydoc section has an entry for it, maybe with others: "beta_1, beta_2 : float"."""
    return re.search(rf"^(\w+, )*{name}(, \w+)* : ", doc, re.MULTILINE)


def defaults(Estimator):
    return {name: p.default for name, p in inspect.signature(Estimator).parameters.items()}


def test_the_parameters_of_the_document_are_those_of_the_estimators():
    """Names, defaults, and the italics of what scikit-learn does not have."""
    found = {Estimator: {} for Estimator in BOTH}
    for names, values, _ in ESTIMATORS.table("parameter", "default"):
        values = [ast.literal_eval(value) for value in quoted(values)]
        if len(quoted(names)) == 1:
            of_each = [(quoted(names)[0], values)]  # one value, or one for each estimator
        else:
            of_each = [(name, [value]) for name, value in zip(quoted(names), values, strict=True)]
        for name, one_or_two in of_each:
            assert len(one_or_two) in (1, 2)
            owners = [Estimator for Estimator in BOTH if name in defaults(Estimator)]
            assert owners, name
            for Estimator, value in zip(owners, one_or_two * 2, strict=False):
                assert name not in found[Estimator]
                found[Estimator][name] = value
            is_new = f"*`{name}`*" in names
            theirs = MLPClassifier().get_params() | MLPRegressor().get_params()
            assert is_new == (name not in theirs), name
    for Estimator in BOTH:
        own = defaults(Estimator)
        assert found[Estimator] == own
        assert {name: type(value) for name, value in found[Estimator].items()} == {
            name: type(value) for name, value in own.items()
        }


@pytest.mark.parametrize("Estimator", BOTH)
def test_the_defaults_of_the_docstrings_are_those_of_the_estimators(Estimator):
    found = {}
    for names, values in re.findall(
        r"^(\w+(?:, \w+)*) : .*default=(.+)$", inspect.getdoc(Estimator), re.MULTILINE
    ):
        names = names.split(", ")
        found |= zip(
            names,
            ast.literal_eval(f"({values},)") if len(names) > 1 else [ast.literal_eval(values)],
            strict=True,
        )
    assert found == defaults(Estimator)


def rows_of(*header):
    """A table as a dict: name in backquotes -> the other cells; a name may have several rows."""
    found = {}
    for first, *others in FUNCTIONS.table(*header):
        found.setdefault(quoted(first)[0], []).append(others)
    return found


def with_defaults(parameters):
    return {parameter.name: parameter.default for parameter in parameters}


def read_defaults(cell):
    """{"end": 0.0} of "`end` 0, `peak` 0.3"."""
    return {name: float(value) for name, value in re.findall(r"`(\w+)` ([^,]+)", cell)}


def test_activations_of_the_document():
    layers = {entry.name: "any" for entry in ACTIVATIONS if entry.hidden}
    layers |= {entry.name: "hidden" for entry in GROUP_ACTIVATIONS}
    chosen = [entry for entry in ROW_ACTIVATIONS if entry.output]
    assert rows_of("activation", "f(z)", "layers") == {
        entry.name: [[entry.formula, layers.get(entry.name, "output")]]
        for entry in [*ACTIVATIONS, *chosen, *GROUP_ACTIVATIONS]
    }


def test_initialisers_of_the_document():
    found = {name: row[0] for name, (row,) in rows_of("initialiser").items()}
    assert found == {entry.name: entry.formula for entry in INITIALISERS}


def test_losses_of_the_document():
    found = [
        [quoted(name)[0], formula, read_defaults(parameters), output, estimator]
        for name, formula, parameters, output, estimator in FUNCTIONS.table("loss")
    ]
    assert found == [
        [
            entry.name.partition("+")[0],
            entry.formula,
            with_defaults(entry.parameters),
            entry.merged_with or ("identity" if entry.signed else "any"),
            entry.tasks[0] if len(entry.tasks) == 1 else "both",
        ]
        for entry in LOSSES
    ]


def test_solvers_of_the_document():
    rules = {"`sgd` with `momentum=0`": "sgd", "`sgd` with `nesterovs_momentum=False`": "momentum"}
    rules["`sgd`"] = "nesterov"
    found = {
        rules.get(name) or quoted(name)[0]: (formula, read_defaults(parameters))
        for name, formula, parameters in FUNCTIONS.table("solver")
    }
    assert found.pop("lbfgs")
    assert found == {entry.name: (entry.formula, with_defaults(entry.own)) for entry in SOLVERS}


def test_schedules_of_the_document():
    found = {
        name: (formula, read_defaults(parameters))
        for name, ((formula, parameters),) in rows_of("schedule").items()
    }
    assert found.pop("plateau")
    assert found == {entry.name: (entry.formula, with_defaults(entry.parameters)) for entry in RATE_SCHEDULES}


def test_noises_of_the_document():
    found = rows_of("noise")
    assert {name: formula for name, ((formula, _),) in found.items()} == {
        entry.name: entry.formula for entry in NOISES
    }
    used = [name for ((_, parameters),) in found.values() for name in quoted(parameters)]
    assert set(used) <= set(defaults(BPClassifier))


def test_averages_of_the_document():
    found = {name: read_defaults(parameters) for name, ((_, parameters),) in rows_of("average").items()}
    assert found == {name: with_defaults([parameter]) for name, parameter in AVERAGES.items()}


@pytest.mark.parametrize("Estimator", BOTH)
def test_docstrings_name_every_parameter_and_attribute(Estimator):
    X, y = data.iris()
    doc = inspect.getdoc(Estimator)
    for name in [*Estimator().get_params(), *fitted_attributes(Estimator((2,), max_iter=1).fit(X, y))]:
        assert described(name, doc), name
    assert described("feature_names_in_", doc)
    assert ">>> " in doc


def public_methods(Estimator):
    for name in (
        "fit",
        "predict",
        "score",
        "transform",
        "activations",
        "loss_and_gradients",
        "partial_fit",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "get_feature_names_out",
    ):
        method = getattr(Estimator, name, None)
        if method is not None and getattr(method, "__module__", "fastbp").startswith("fastbp"):
            yield pytest.param(method, id=f"{Estimator.__name__}.{name}")


@pytest.mark.parametrize("method", [method for Estimator in BOTH for method in public_methods(Estimator)])
def test_docstrings_of_methods(method):
    doc = inspect.getdoc(method) or ""
    assert doc
    for name in inspect.signature(method).parameters:
        if name != "self":
            assert described(name, doc), name


@pytest.mark.parametrize("Estimator", BOTH)
def test_docstrings_name_every_registered_function(Estimator):
    task = Estimator.__name__.removeprefix("BP").lower()
    names = ACTIVATIONS.names() + GROUP_ACTIVATIONS.names() + loss_names(task) + INITIALISERS.names()
    names += [*STOCHASTIC, *RATE_SCHEDULES.names()]
    for name in names:
        assert f"'{name}'" in Estimator.__doc__, name
