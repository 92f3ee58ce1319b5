"""The training doctor as a whole: what it takes, what it reports, and what it leaves alone."""

import builtins
import io
import warnings

import data
import numpy as np
import pytest
from helpers import assert_equal_state, snapshot
from readme import DIAGNOSIS, ROOT, quoted
from scipy import sparse
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import (
    BPClassifier,
    BPEnsembleClassifier,
    BPRegressor,
    TabularClassifier,
    TabularRegressor,
)
from fastbp.callbacks import StopWhen
from fastbp.diagnosis import Finding, Report, diagnose, progress
from fastbp.diagnosis.probe import Recorder
from fastbp.diagnosis.registry import CHECKS, check
from fastbp.diagnosis.report import SEVERITIES
from fastbp.training.result import INTERRUPTED

PARAMS = {"batch_size": 30, "max_iter": 8, "learning_rate_init": 0.01, "random_state": 0}
OF_DATA = ["missing_values", "unscaled_inputs", "constant_columns", "duplicate_rows", "rare_classes"]


def network(**changes):
    return BPClassifier(**{"hidden_layer_sizes": (8,), **PARAMS, **changes})


def ill():
    """A report with findings of each severity."""
    X, y = data.iris()
    X = np.column_stack([100 * X, np.ones(150)])
    X[0, 0] = np.nan
    return diagnose(network(), X, y, only=OF_DATA)


# --- The report


def test_access():
    report = ill()
    assert [finding.code for finding in report] == ["missing_values", "unscaled_inputs", "constant_columns"]
    assert [finding.severity for finding in report] == list(SEVERITIES)
    assert len(report) == 3 and bool(report) and not report.healthy
    assert "unscaled_inputs" in report and "rare_classes" not in report
    assert report["unscaled_inputs"] is report.findings[1]
    assert report["rare_classes"] is None  # made, and nothing found
    assert report["dead_units"] is None  # not made
    assert report.of("info") == (report["constant_columns"],)
    assert set(report.checked) == set(OF_DATA)
    assert report.skipped.keys() == CHECKS.keys() - set(OF_DATA)
    with pytest.raises(KeyError, match=r"no check has the code 'dead_unit'. Did you mean 'dead_units'\?"):
        report["dead_unit"]
    with pytest.raises(ValueError, match="severity must be one of"):
        report.of("bad")


def test_text():
    text = str(ill())
    assert repr(ill()) == text
    assert text.splitlines()[0].startswith("Diagnosis of BPClassifier(")
    assert text.splitlines()[2] == "1 serious, 1 warning, 1 for information, in 5 checks."
    for finding in ill():
        assert f"{finding.severity}: {finding.code}" in text
    assert "'x0'" in text and "'x4'" in text
    assert max(map(len, text.splitlines())) <= 100


def test_nothing_found_is_said():
    report = diagnose(network(), *data.iris(), only=OF_DATA)
    assert len(report) == 0 and report.healthy
    assert "Nothing found in 5 checks." in str(report)
    assert "Nothing found in 5 checks." in report._repr_html_()
    assert len(report.to_frame()) == 0


def test_html_is_escaped():
    finding = Finding("warning", "a < b & c", 1.0, "<b>", code="code")
    html = Report([finding], "<model>", ["1 > 0"], ["code"], {})._repr_html_()
    for text in ("a &lt; b &amp; c", "&lt;b&gt;", "&lt;model&gt;", "1 &gt; 0"):
        assert text in html
    assert html.count("<tr>") == html.count("</tr>") == 2


def test_frame():
    pytest.importorskip("pandas")
    frame = ill().to_frame()
    assert list(frame["code"]) == ["missing_values", "unscaled_inputs", "constant_columns"]
    assert frame.loc[1, "change"] == {"input_scaling": "robust"}
    assert frame.loc[2, "details"] == {"columns": [4]}


def test_no_frame_without_pandas(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)

    report = ill()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
        report.to_frame()


# --- Models


def codes(report):
    return [finding.code for finding in report]


@pytest.mark.parametrize("fitted", [False, True])
def test_the_model_is_not_changed(fitted):
    X, y = data.iris()
    random_state = np.random.RandomState(0)
    stop = StopWhen(lambda epoch: pytest.fail("a callback was called"))
    model = network(random_state=random_state, warm_start=True, early_stopping=True)
    if fitted:
        model.fit(X, y)
    model.set_callbacks(stop)
    before, state = snapshot(model), random_state.get_state()[1].copy()
    diagnose(model, X, y, X[:30], y[:30])
    after = snapshot(model)
    for one in (before, after):
        del one[0]["random_state"]
    assert_equal_state(after, before)
    np.testing.assert_array_equal(random_state.get_state()[1], state)
    assert model._skl_callbacks == [stop]


def test_the_same_report_again():
    X, y = data.iris()
    assert str(diagnose(network(random_state=None), X, y)) == str(diagnose(network(random_state=None), X, y))


def test_remedies_can_be_set():
    X, y = data.iris()
    model = network()
    for finding in diagnose(model, 100 * X, y):
        model.set_params(**finding.change).get_params()
    model.fit(X, y)


@pytest.mark.parametrize("fitted", [False, True])
def test_steps_before_the_network_are_applied(fitted):
    X, y = data.iris()
    X = 1000 * X
    model = make_pipeline(StandardScaler(), network())
    if fitted:
        model.fit(X, y)
    before = snapshot(model[0])
    assert "unscaled_inputs" not in diagnose(model, X, y, only=OF_DATA)
    assert_equal_state(snapshot(model[0]), before)
    report = diagnose(model, X, y, X[:20] / 1000, y[:20], only=["unscaled_inputs", "shared_rows"])
    assert not len(report)  # X_val was scaled, too, to other rows
    assert "unscaled_inputs" in diagnose(model[-1], X, y, only=OF_DATA)


def test_a_pipeline_within_a_pipeline():
    X, y = data.iris()
    model = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), network()))
    assert "unscaled_inputs" not in diagnose(model, 1000 * X, y, only=OF_DATA)


def test_names_of_columns():
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(e=1.0)
    assert "'e'" in diagnose(network(), frame, y)["constant_columns"].message
    scaled = make_pipeline(StandardScaler(), network())
    assert "'e'" in diagnose(scaled, frame, y, only=OF_DATA)["constant_columns"].message


def test_weights_of_a_fitted_network_are_looked_at():
    X, y = data.iris()
    model = network().fit(X, y)
    assert "dead_units" not in diagnose(model, X, y, only=["dead_units"])
    model.intercepts_[0][:] = -1e6
    report = diagnose(model, X, y, only=["dead_units"])
    assert report["dead_units"].details["units"] == {1: list(range(8))}
    assert "Weights and losses are those of the fitted network" in str(report)
    assert "(fitted)" in report.subject


def test_an_ensemble():
    X, y = data.iris()
    ensemble = BPEnsembleClassifier(network(), n_estimators=2, random_state=0)
    assert "One member of the ensemble" in str(diagnose(ensemble, X, y, only=OF_DATA))
    ensemble.fit(X, y)
    ensemble.estimators_[0].intercepts_[0][:] = -1e6
    report = diagnose(ensemble, X, y, only=["dead_units"])
    assert "dead_units" in report and "The first of the 2 members" in str(report)


def test_a_fitted_search():
    X, y = data.iris()
    search = GridSearchCV(network(), {"alpha": [1e-4, 1e-3]}, cv=2)
    with pytest.raises(TypeError, match=r"got GridSearchCV\. Pass the estimator within"):
        diagnose(search, X, y)
    assert diagnose(search.fit(X, y), X, y, only=OF_DATA).healthy


@pytest.mark.parametrize("Model", [TabularClassifier, TabularRegressor])
def test_a_table_model(Model):
    pd = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"rooms": rng.randint(1, 6, 80), "city": rng.choice(["Bern", "Basel"], 80)})
    y = (table["rooms"] > 3).astype(int) if Model is TabularClassifier else table["rooms"] ** 2.0
    report = diagnose(Model(), table, y, only=["leakage", "unscaled_inputs"])
    assert codes(report) == ["leakage"] and "'rooms'" in report["leakage"].message
    assert 'preset="tabular"' in str(report)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StandardScaler(), "got StandardScaler."),
        (BPClassifier, r"got BPClassifier. This is the class: pass an object, BPClassifier\(\)."),
        (make_pipeline(StandardScaler(), StandardScaler()), "got StandardScaler."),
        (
            make_pipeline(StandardScaler(), TabularClassifier()),
            "within a Pipeline is not diagnosed: pass it alone",
        ),
        (None, "got NoneType."),
    ],
)
def test_other_models_are_refused(model, message):
    with pytest.raises(TypeError, match=message):
        diagnose(model, *data.iris())


# --- Data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "y is None"),
        ({"y": np.zeros(3)}, "inconsistent numbers of samples"),
        ({"X": np.array([["a", "b"]] * 150)}, "X has values that are no numbers"),
        ({"X_val": np.zeros((3, 4))}, "X_val is given without y_val"),
        ({"y_val": np.zeros(3)}, "y_val is given without X_val"),
        ({"model": network(alpha=-1)}, "The 'alpha' parameter of BPClassifier"),
        ({"model": network().fit(data.iris()[0][:, :2], data.iris()[1])}, "X has 4 features, but the fitted"),
        ({"max_samples": 3}, "The 'max_samples' parameter of diagnose"),
        ({"time_limit": 0}, "The 'time_limit' parameter of diagnose"),
        ({"random_state": -1}, "The 'random_state' parameter of diagnose"),
        ({"verbose": "yes"}, "The 'verbose' parameter of diagnose"),
        ({"only": ["dead"]}, r"only names checks that there are not: \['dead'\]"),
        ({"X": np.zeros((1, 4)), "y": [0]}, "at least 2"),
    ],
)
def test_bad_input_is_named(change, message):
    X, y = data.iris()
    given = {"model": network(), "X": X, "y": y, **change}
    with pytest.raises(ValueError, match=message):
        diagnose(given.pop("model"), given.pop("X"), given.pop("y"), **given)


def test_large_data_are_sampled():
    X, y = data.iris()
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    y = np.where(np.arange(3000) < 3, 5, y)
    report = diagnose(network(), X, y, X, y, max_samples=100, only=[*OF_DATA, "most_wrong"])
    assert "A sample of 100 of 3000 rows was looked at" in str(report)
    assert "A sample of 50 of 3000 validation rows" in str(report)
    assert report["rare_classes"].value == 3  # counted before
    assert max(report["most_wrong"].details["rows"]) > 100  # numbers of the rows given


def test_sparse_rows_say_the_same():
    X, y = data.sparse_like()
    report = diagnose(network(), X, y)
    rare = diagnose(network(), sparse.csr_array(X), y)
    assert set(codes(rare)) - {"sparsity", "outliers"} == set(codes(report)) - {"sparsity", "outliers"}


@pytest.mark.parametrize("kind", ["multilabel", "multi_output", "counts"])
def test_other_targets(kind):
    X, y = getattr(data, kind)()
    Estimator = BPClassifier if kind == "multilabel" else BPRegressor
    loss = {"loss": "poisson"} if kind == "counts" else {}
    report = diagnose(Estimator((8,), **PARAMS, **loss), X, y)
    assert {"one_batch", "update_ratio", "initial_loss"} & set(report.checked)
    assert "leakage" in (report.checked if kind == "counts" else report.skipped)


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "lbfgs"},
        {"solver": "rprop", "batch_size": 150},
        {"preset": "tabular"},
        {"norm": "batch", "dropout": 0.1, "average": "ema", "schedule": "one_cycle"},
        {"loss": "hinge"},
        {"hidden_layer_sizes": ()},
        {"fit_intercept": False, "class_weight": "balanced", "early_stopping": True},
    ],
    ids=str,
)
def test_other_networks(change):
    X, y = data.iris()
    report = diagnose(network(**change), X, y, sample_weight=np.linspace(0.5, 1, 150))
    assert len(report.checked) > 15
    assert {*report.checked, *report.skipped} == set(CHECKS)


def test_rows_and_names_that_are_missing():
    """All at once, without an error: labels of text, gaps in X and y, three rows of a class."""
    X, y = data.iris()
    names = np.array(["a", "b", "c", None], dtype=object)[y]
    names[:5] = None
    X = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.05, np.inf, X)
    report = diagnose(network(early_stopping=True), X, names)
    assert {"missing_values", "missing_targets"} <= set(codes(report))
    assert report["missing_targets"].value == pytest.approx(5 / 150)


def test_suspicious_rows_are_the_wrong_ones():
    X, y = data.digits()
    X, wrong = X[:600], y[:600].copy()
    rows = np.random.RandomState(0).choice(600, 50, replace=False)
    wrong[rows] = (wrong[rows] + 3) % 10
    model = BPClassifier((32,), batch_size=32, max_iter=30, learning_rate_init=0.005, random_state=0)
    found = diagnose(model, X, wrong, only=["suspicious_labels"])["suspicious_labels"].details
    hits = set(found["rows"]) & set(rows.tolist())
    assert len(hits) > 0.6 * 50 and len(hits) > 0.8 * len(found["rows"])
    right = [believed == y[row] for row, believed in zip(found["rows"], found["believed"], strict=True)]
    assert np.mean(right) > 0.8


# --- Time and interruption


def test_no_time(monkeypatch):
    X, y = data.iris()
    report = diagnose(network(), X, y, time_limit=1e-9)
    assert "time limit" in report.skipped["overfitting"]
    assert "Not checked for lack of time" in str(report)
    assert "leakage" in report.checked


def test_one_run_has_a_part_of_the_time():
    X, y = data.iris()
    model = network(max_iter=10**6, tol=0, n_iter_no_change=float("inf"))
    report = diagnose(model, X, y, time_limit=1.0, only=["overfitting", "max_iter_reached", "calibration"])
    assert "Training was ended after" in str(report)
    assert "overfitting" in report.checked and "max_iter_reached" not in report
    assert "takes too long" in report.skipped["calibration"]


def test_an_interrupt_ends_the_diagnosis(monkeypatch):
    def interrupted(self, estimator, context):
        warnings.warn(INTERRUPTED)
        return True

    monkeypatch.setattr(Recorder, "on_fit_task_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        diagnose(network(), *data.iris(), only=["overfitting"])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("verbose", [True, False])
def test_a_bar_for_long_diagnoses_in_a_terminal(monkeypatch, verbose):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    diagnose(network(), *data.iris(), only=["overfitting"], verbose=verbose)
    assert terminal.getvalue() == ""  # it was short
    monkeypatch.setattr(progress, "SECONDS_IN_SILENCE", 0.0)
    monkeypatch.setattr("fastbp.training.progress._RedrawnLine.SECONDS_BETWEEN_DRAWINGS", 0.0)
    diagnose(network(), *data.iris(), only=["overfitting"], verbose=verbose)
    assert ("training a copy" in terminal.getvalue()) == verbose


def test_no_bar_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_IN_SILENCE", 0.0)
    diagnose(network(), *data.iris(), only=["overfitting"])
    assert capsys.readouterr().out == ""


# --- The registry and its document


def test_a_code_is_given_once():
    with pytest.raises(ValueError, match="two checks have the code 'leakage'"):

        @check(meaning="", figure="", threshold="", remedy="")
        def leakage(case):
            return None


def test_the_table_is_the_registry():
    rows = DIAGNOSIS.table("code")
    assert [quoted(row[0]) for row in rows] == [[code] for code in CHECKS]
    for row, one in zip(rows, CHECKS.values(), strict=True):
        assert row[1:] == [one.meaning, one.figure, one.threshold, one.remedy]


def test_python_in_the_document_runs(capsys):
    namespace = {}
    for line, code in DIAGNOSIS.blocks:
        exec(compile("\n" * line + code, str(ROOT / DIAGNOSIS.name), "exec"), namespace)
    assert namespace["model"].input_scaling == "robust"
    assert "unscaled_inputs" in capsys.readouterr().out
