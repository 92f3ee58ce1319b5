"""`python -m fastbp fit`, `predict`, `info` and `diagnose`, with tables in files."""

import gzip
import io
import json
import re
import signal
import sys

import numpy as np
import pytest

import fastbp
from fastbp.__main__ import main
from fastbp.cli import libraries, tables
from fastbp.tables import base, training

pd = pytest.importorskip("pandas")

N_ROWS = 150
LIBRARIES = ["pandas", "polars"]


def flats():
    """Numbers, text, dates and gaps; a price, and whether it was sold."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"id": np.arange(N_ROWS), "rooms": rng.randint(1, 6, N_ROWS).astype(float)})
    frame["city"] = rng.choice(["Bern", "Basel", "NA"], N_ROWS)
    frame["listed"] = (pd.Timestamp("2025-01-01") + pd.to_timedelta(frame["id"], unit="D")).dt.strftime(
        "%Y-%m-%d"
    )
    frame["price"] = (
        100.5 * frame["rooms"] + 50 * (frame["city"] == "Bern") + rng.normal(size=N_ROWS).round(2)
    )
    frame["sold"] = np.where(frame["price"] < 350, "sold", "unsold")
    frame["stars"] = (frame["rooms"] > 2) + 1
    frame["weight"] = rng.uniform(0.5, 2, N_ROWS).round(2)
    frame.loc[3, "rooms"] = None
    return frame


FLATS = flats()
INPUTS = ["rooms", "city", "listed"]
DROP = "id,price,stars,weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the table and a model of each task."""
    path = tmp_path_factory.mktemp("tables")
    FLATS.to_csv(path / "flats.csv", index=False)
    table = str(path / "flats.csv")
    common = ["--effort", "fast", "--quiet"]
    assert (
        main(["fit", table, "--target", "sold", "--drop", DROP, "--out", str(path / "sold.bp"), *common]) == 0
    )
    drop = "id,sold,stars,weight"
    assert (
        main(["fit", table, "--target", "price", "--drop", drop, "--out", str(path / "price.bp"), *common])
        == 0
    )
    return path


@pytest.fixture
def run(folder, capsys, monkeypatch):
    """Run a command in the folder; return the exit code, standard output and standard error."""
    monkeypatch.chdir(folder)
    capsys.readouterr()

    def run(*arguments):
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = end.code
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


@pytest.fixture
def fast(tmp_path):
    """Arguments of a short fit, and the file of its model."""
    out = tmp_path / "model.bp"
    return ["--out", str(out), "--effort", "fast", "--quiet"], out


def use(library, monkeypatch):
    pytest.importorskip(library)
    for name in LIBRARIES:
        if name != library:
            monkeypatch.setattr(libraries, f"_{name}", lambda: None)


# --- fit


@pytest.mark.parametrize("library", LIBRARIES)
def test_fit_says_what_it_makes_of_a_table(library, run, fast, monkeypatch):
    use(library, monkeypatch)
    arguments, out = fast
    code, text, err = run("fit", "flats.csv", "--target", "sold", "--drop", DROP, *arguments)
    assert (code, err) == (0, "")
    assert "150 rows, 3 columns" in text
    assert "task: classify ('sold' holds 2 distinct texts" in text
    for treatment in (
        "rooms   numeric: numeric with an indicator",
        "city    string: one-hot",
        "listed  date: ",
    ):
        assert treatment in text
    assert "score on the rows that each network was not trained on: accuracy " in text
    assert f"{out} has " in text
    model = fastbp.load(out)
    assert list(model.feature_names_in_) == INPUTS  # "NA" is a city, not a missing value
    assert model.classes_.tolist() == ["sold", "unsold"]
    assert model.verbose is False


def test_fit_is_the_estimators_fit(run, folder):
    """With its random state, on the columns as they are."""
    model = fastbp.TabularClassifier(effort="fast", random_state=0).fit(FLATS[INPUTS], FLATS["sold"])
    found = fastbp.load(folder / "sold.bp").predict_proba(FLATS[INPUTS])
    np.testing.assert_array_equal(found, model.predict_proba(FLATS[INPUTS]))


def test_fit_as_json(run, fast):
    arguments, out = fast
    code, text, _ = run(
        "fit", "flats.csv", "--target", "price", "--drop", "id,sold,stars", *arguments, "--json"
    )
    found = json.loads(text)
    assert code == found["exit_code"] == 0
    assert (found["rows"], found["columns"], found["task"]) == (N_ROWS, 4, "regress")
    assert found["score"]["R²"] > 0.5 and found["scored_on"] == "held-out rows"
    assert found["bytes"] == out.stat().st_size
    assert found["networks"] == 2
    assert [column["column"] for column in found["column_treatments"]] == [*INPUTS, "weight"]


@pytest.mark.parametrize(
    ("target", "task", "found", "reason"),
    [
        ("stars", "auto", "classify", "2 distinct whole numbers"),
        ("stars", "regress", "regress", "--task regress"),
        ("id", "auto", "regress", "150 distinct whole numbers"),
        ("price", "auto", "regress", "distinct numbers"),
        ("city", "auto", "classify", "'Basel', 'Bern', 'NA'"),
    ],
)
def test_the_task_is_chosen_by_the_target(target, task, found, reason, run, fast):
    arguments, out = fast
    command = ["fit", "flats.csv", "--target", target, "--task", task, "--time-limit", "0.001", "--json"]
    code, text, _ = run(*command, *arguments)
    answer = json.loads(text)
    assert (code, answer["task"]) == (0, found)
    assert reason in answer["reason"]
    kind = fastbp.TabularClassifier if found == "classify" else fastbp.TabularRegressor
    assert type(fastbp.load(out)) is kind


def test_whole_numbers_and_truth_values_stay_what_they_are(run, folder, fast, tmp_path):
    frame = pd.DataFrame({"a": np.arange(40.0), "yes": np.arange(40) > 20, "class": np.arange(40) // 20})
    frame.to_csv(tmp_path / "t.csv", index=False)
    arguments, out = fast
    for target, values in (("yes", {"True", "False"}), ("class", {"0", "1"})):
        command = ["fit", str(tmp_path / "t.csv"), "--target", target, *arguments, "--force"]
        assert run(*command, "--time-limit", "0.001")[0] == 0
        code, text, _ = run("predict", str(out), str(tmp_path / "t.csv"))
        assert code == 0
        assert set(text.split()[1:]) <= values


def test_rows_without_a_target_are_left_out(run, fast, tmp_path):
    frame = FLATS[[*INPUTS, "price"]].copy()
    frame.loc[:9, "price"] = None
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    arguments, _ = fast
    code, text, err = run("fit", str(tmp_path / "gaps.csv"), "--target", "price", *arguments)
    assert code == 0
    assert err == "note: 10 of 150 rows have no target and are left out\n"
    assert "140 rows" in text


def test_weights_count(run, fast, tmp_path):
    """Rows of weight 0 are as if they were not there."""
    frame = FLATS[[*INPUTS, "price"]].assign(w=1.0)
    wrong = frame.assign(price=0.0, w=0.0)
    pd.concat([frame, wrong]).to_csv(tmp_path / "weights.csv", index=False)
    arguments, out = fast
    command = ["fit", str(tmp_path / "weights.csv"), "--target", "price", "--weights", "w", *arguments]
    assert run(*command)[0] == 0
    model = fastbp.load(out)
    assert list(model.feature_names_in_) == INPUTS
    assert model.score(FLATS[INPUTS], FLATS["price"]) > 0.5


def test_held_out_scores(run, fast, folder, tmp_path):
    """Of a share of the rows, and of another table: the score of the saved model itself."""
    arguments, out = fast
    command = ["fit", "flats.csv", "--target", "price", "--drop", "id,sold,stars,weight", "--json"]
    code, text, _ = run(*command, *arguments, "--test", "0.2")
    found = json.loads(text)
    assert (code, found["test_rows"], found["scored_on"]) == (0, 30, "test")
    assert found["score"].keys() == {"R²", "RMSE", "mean absolute error", "coverage of 90 % intervals"}
    FLATS[["price", *reversed(INPUTS)]][:40].to_csv(tmp_path / "test.csv", index=False)
    code, text, _ = run(*command, *arguments, "--force", "--test", str(tmp_path / "test.csv"))
    assert code == 0
    score = fastbp.load(out).score(FLATS[INPUTS][:40], FLATS["price"][:40])
    assert json.loads(text)["score"]["R²"] == pytest.approx(score)


def test_test_scores_of_classes(run, fast):
    arguments, _ = fast
    command = ["fit", "flats.csv", "--target", "sold", "--drop", DROP, "--test", "0.3", "--json"]
    code, text, _ = run(*command, *arguments)
    score = json.loads(text)["score"]
    assert code == 0 and score.keys() == {"accuracy", "log loss", "ROC AUC"}
    assert score["accuracy"] > 0.6


def test_the_seed_and_the_effort_reach_the_model(run, fast):
    arguments, out = fast
    command = [
        "fit",
        "flats.csv",
        "--target",
        "sold",
        "--drop",
        DROP,
        *arguments,
        "--time-limit",
        "9",
        "--jobs",
        "1",
    ]
    assert run(*command, "--seed", "3")[0] == 0
    model = fastbp.load(out)
    wanted = {"random_state": 3, "effort": "fast", "time_limit": 9.0, "n_jobs": 1}
    assert {name: getattr(model, name) for name in wanted} == wanted


def test_columns_of_numbers_may_be_categories(run, fast):
    arguments, _ = fast
    command = ["fit", "flats.csv", "--target", "sold", "--drop", DROP, *arguments, "--time-limit", "0.001"]
    code, text, _ = run(*command, "--categorical", "rooms")
    assert code == 0 and "rooms   categorical: one-hot" in text
    code, _, err = run(*command, "--categorical", "price", "--force")
    assert code == 2 and "--categorical: no column 'price'" in err  # it is dropped


def test_what_is_read_is_not_overwritten(run, folder):
    before = (folder / "flats.csv").read_bytes()
    fit = ["fit", "flats.csv", "--target", "price", "--out", "flats.csv", "--force"]
    predict = ["predict", "sold.bp", "flats.csv", "--out", str(folder / "flats.csv"), "--force"]
    for command in (fit, predict):
        code, _, err = run(*command)
        assert code == 2 and "is read by this command" in err
    assert (folder / "flats.csv").read_bytes() == before


def test_nothing_is_overwritten_unasked(run, folder):
    before = (folder / "sold.bp").read_bytes()
    command = ["fit", "flats.csv", "--target", "price", "--out", "sold.bp"]
    code, _, err = run(*command)
    assert code == 2
    assert err == "fastbp fit: sold.bp exists: --force replaces it\n"
    assert (folder / "sold.bp").read_bytes() == before


def pressed(*arguments):
    """Ctrl-C while networks are trained together: small ones have ended before anything is reported."""
    signal.raise_signal(signal.SIGINT)


class PressedLater(training.TimeLimit):
    """Ctrl-C while a network is trained alone."""

    def __init__(self, limit):
        super().__init__(1000)

    def on_fit_task_end(self, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return super().on_fit_task_end(*args, **kwargs)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("limit", [[], ["--time-limit", "1000"]], ids=str)
def test_ctrl_c_leaves_nothing(limit, run, fast, monkeypatch):
    monkeypatch.setattr(base, "train", pressed)
    monkeypatch.setattr(training, "TimeLimit", PressedLater)
    arguments, out = fast
    code, text, err = run("fit", "flats.csv", "--target", "sold", "--drop", DROP, *arguments, *limit)
    assert code == 130
    assert err.strip() == f"fastbp fit: interrupted; nothing was written: there is no {out}"
    assert list(out.parent.iterdir()) == []
    assert "accuracy" not in text
    monkeypatch.undo()


# --- predict


@pytest.mark.parametrize("library", LIBRARIES)
def test_predictions_are_the_models(library, run, folder, monkeypatch):
    use(library, monkeypatch)
    code, text, err = run("predict", "sold.bp", "flats.csv")
    assert (code, err) == (0, "")
    model = fastbp.load(folder / "sold.bp")
    assert text.splitlines() == ["prediction", *model.predict(FLATS[INPUTS])]
    code, text, _ = run("predict", "sold.bp", "flats.csv", "--proba")
    found = pd.read_csv(io.StringIO(text))
    assert list(found) == ["sold", "unsold"]
    np.testing.assert_allclose(found, model.predict_proba(FLATS[INPUTS]), rtol=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "parquet", "feather"])
def test_tables_of_all_kinds_are_written_and_read(suffix, library, run, folder, tmp_path, monkeypatch):
    if suffix in ("parquet", "feather") and library == "pandas":
        pytest.importorskip("pyarrow")
    use(library, monkeypatch)
    table = tmp_path / f"table.{suffix}"
    flats = tables.read("flats.csv")
    tables.write({name: flats.frame[name].to_numpy() for name in INPUTS}, str(table), None, flats.library)
    out = tmp_path / f"out.{suffix}"
    command = [
        "predict",
        "price.bp",
        str(table),
        "--out",
        str(out),
        "--keep",
        "city,rooms",
        "--interval",
        "0.8",
    ]
    code, text, err = run(*command)
    assert (code, err) == (0, "")
    assert text == f"150 predictions are in {out}\n"
    found = tables.read(str(out))
    assert found.names == ["city", "rooms", "prediction", "lower", "upper"]
    model = fastbp.load(folder / "price.bp")
    mean, ends = model.predict(FLATS[INPUTS]), model.predict_interval(FLATS[INPUTS], coverage=0.8)
    numbers = np.column_stack([found.frame[name] for name in found.names[2:]])
    np.testing.assert_allclose(numbers, np.column_stack([mean, ends]), rtol=1e-6)
    assert list(found.frame["city"]) == list(FLATS["city"])
    assert set(tmp_path.iterdir()) == {table, out}  # and nothing half-written
    assert run(*command)[0] == 2  # it exists
    assert run(*command, "--force")[0] == 0


def test_parquet_without_pyarrow_is_written_by_polars(run, tmp_path, monkeypatch):
    polars = pytest.importorskip("polars")
    monkeypatch.setattr(libraries, "_has_pyarrow", lambda: False)
    out = tmp_path / "out.parquet"
    assert run("predict", "sold.bp", "flats.csv", "--keep", "city", "--out", str(out))[0] == 0
    found = polars.read_parquet(out)
    assert found.columns == ["city", "prediction"]
    assert found["city"].to_list() == list(FLATS["city"])


def test_standard_input_and_output(run, monkeypatch):
    text = FLATS[INPUTS[::-1]][:5].to_csv(index=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, err = run("predict", "sold.bp", "-", "--out", "-", "--keep", "rooms")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "rooms,prediction"
    assert len(out.splitlines()) == 6


def test_predictions_as_json(run, folder):
    code, text, _ = run("predict", "sold.bp", "flats.csv", "--json", "--keep", "rooms")
    found = json.loads(text)
    assert code == 0 and found["rows"] == N_ROWS
    assert (
        found["predictions"]["prediction"] == fastbp.load(folder / "sold.bp").predict(FLATS[INPUTS]).tolist()
    )
    assert found["predictions"]["rooms"][3] is None  # missing: JSON has no NaN


def test_missing_columns_are_named(run, tmp_path):
    FLATS[["city", "id"]].to_csv(tmp_path / "less.csv", index=False)
    code, text, err = run("predict", "sold.bp", str(tmp_path / "less.csv"))
    assert (code, text) == (2, "")
    assert err.endswith("lacks 2 of the 3 columns that the model was fitted on: 'rooms', 'listed'\n")
    assert len(err.splitlines()) == 1


# --- info


def test_info_describes_the_file(run, folder):
    code, text, _ = run("info", "sold.bp")
    assert code == 0
    for part in ("TabularClassifier, fitted", "'rooms', 'city', 'listed'", "'sold', 'unsold'", "effort "):
        assert part in text
    assert fastbp.__version__ in text
    assert "coefs_" not in text and "coefs_" in run("info", "sold.bp", "--arrays")[1]
    found = json.loads(run("info", "sold.bp", "--json")[1])
    assert found["class"] == "TabularClassifier"
    assert found["size"] == (folder / "sold.bp").stat().st_size


# --- diagnose


@pytest.mark.parametrize("library", LIBRARIES)
def test_diagnose_names_the_columns_of_the_table(library, run, tmp_path, monkeypatch):
    use(library, monkeypatch)
    frame = FLATS[[*INPUTS, "price", "weight"]].assign(leak=FLATS["price"] * 2, again=FLATS["rooms"], one=1)
    frame.to_csv(tmp_path / "ill.csv", index=False)
    command = ["diagnose", str(tmp_path / "ill.csv"), "--target", "price", "--weights", "weight"]
    code, text, err = run(*command, "--time-limit", "0.001")
    assert (code, err) == (0, "")
    assert "column 'one' is not used: one value only" in text
    assert "column 'again' is not used: the same as 'rooms'" in text
    assert "leakage" in text and "'leak'" in text
    found = json.loads(run(*command, "--time-limit", "0.001", "--json")[1])
    assert found["unused_columns"].keys() == {"again", "one"}
    (leakage,) = [finding for finding in found["findings"] if finding["code"] == "leakage"]
    assert leakage["severity"] in ("warning", "serious") and leakage["remedy"]
    assert found["healthy"] is False
    assert found["skipped"]  # for want of time


# --- What users do wrong


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "flats.csv", "--target", "pricee", "--out", "x.bp"], 2, "did you mean 'price'?"),
        (
            ["fit", "flats.csv", "--target", "price", "--drop", "rom,s", "--out", "x.bp"],
            2,
            "--drop: no column 'rom'",
        ),
        (
            ["fit", "flats.csv", "--target", "price", "--weights", "w", "--out", "x.bp"],
            2,
            "--weights: no column 'w'",
        ),
        (
            ["fit", "flats.csv", "--target", "price", "--drop", "price", "--out", "x.bp"],
            2,
            "'price' is the target",
        ),
        (
            ["fit", "flats.csv", "--target", "sold", "--task", "regress", "--out", "x.bp"],
            2,
            "holds text such as 'sold'",
        ),
        (["fit", "flats.csv", "--target", "listed", "--out", "x.bp"], 1, "holds dates"),
        (["fit", "flats.csv", "--target", "price", "--out", "no/x.bp"], 2, "there is no folder no"),
        (["fit", "flats.csv", "--target", "price", "--out", "x.bp", "--test", "1.5"], 2, "between 0 and 1"),
        (["fit", "flats.xls", "--target", "price", "--out", "x.bp"], 2, "the name of a table ends with .csv"),
        (["fit", "none.csv", "--target", "price", "--out", "x.bp"], 1, "there is no file none.csv"),
        (["predict", "none.bp", "flats.csv"], 1, "there is no file none.bp"),
        (["predict", "flats.csv", "flats.csv"], 1, "cannot be loaded"),
        (["predict", "price.bp", "flats.csv", "--proba"], 2, "predicts numbers"),
        (["predict", "sold.bp", "flats.csv", "--interval", "0.9"], 2, "predicts classes"),
        (["predict", "sold.bp", "flats.csv", "--keep", "nothing"], 2, "--keep: no column 'nothing'"),
        (["predict", "sold.bp", "flats.csv", "--out", "x.docx"], 2, "the name of a table ends with"),
        (["info", "none.bp"], 1, "there is no file none.bp"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_errors_are_one_line(arguments, code, message, run, folder):
    found = run(*arguments)
    assert (found[0], found[1]) == (code, "")
    assert message in found[2]
    assert len(found[2].splitlines()) == 1
    assert found[2].startswith(f"fastbp {arguments[0]}: ")
    as_json = run(*arguments, "--json")
    assert json.loads(as_json[1])["error"] in found[2]
    assert not (folder / "x.bp").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "flats.csv", "--out", "x.bp"],
        ["fit", "flats.csv", "--target", "price"],
        ["fit", "flats.csv", "--target", "price", "--out", "x.bp", "--effort", "huge"],
        ["fit", "flats.csv", "--target", "price", "--out", "x.bp", "--time-limit", "-1"],
        ["fit", "flats.csv", "--target", "price", "--out", "x.bp", "--jobs", "0"],
        ["predict", "price.bp", "flats.csv", "--interval", "1"],
        ["predict", "price.bp", "flats.csv", "--interval", "0.9", "--proba"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments, run):
    code, text, err = run(*arguments)
    assert (code, text) == (2, "")
    assert "usage: python -m fastbp" in err


def test_a_traceback_is_shown_when_asked_for(run):
    code, _, err = run("info", "none.bp", "--traceback")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == "fastbp info: there is no file none.bp"


# --- Files


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator, library, tmp_path, monkeypatch):
    use(library, monkeypatch)
    path = tmp_path / "table.csv"
    path.write_text(f'a{separator}"b, ; c"{separator}d\n1{separator}2.5{separator}x\n', encoding="utf-8")
    table = tables.read(str(path))
    assert table.names == ["a", "b, ; c", "d"]
    assert [table.frame[name][0] for name in table.names] == [1, 2.5, "x"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("\ufeffa;b\n1,5;x,y\n-2;z\n", [1.5, -2]),  # as spreadsheets write it in much of Europe
        ("a;b\n1.5;1,5\n-2;z\n", [1.5, -2]),
        ('a,b\n1.5,"1,5"\n-2,z\n', [1.5, -2]),
    ],
    ids=["comma", "both", "point"],
)
def test_decimals_after_a_comma(content, values, library, tmp_path, monkeypatch):
    use(library, monkeypatch)
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    table = tables.read(str(path))
    assert table.names == ["a", "b"]
    assert list(table.frame["a"]) == values
    assert table.frame["b"][1] == "z"


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_an_empty_field_is_missing(library, tmp_path, monkeypatch):
    use(library, monkeypatch)
    path = tmp_path / "table.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("a\tb\nNA\t1\n\t\nNone\t2\n")
    table = tables.read(str(path))
    assert [None if value != value else value for value in table.frame["a"]] == ["NA", None, "None"]
    assert table.frame["b"].dtype.kind == "f" if library == "pandas" else True


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n1,2\n3,4,5\n", "cannot be read"),
        (b"\xff\xfe,b\n1,2\n", "UTF-8|utf-8"),
    ],
)
def test_files_that_are_no_tables(content, message, library, tmp_path, monkeypatch, capsys):
    use(library, monkeypatch)
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert main(["fit", str(path), "--target", "a", "--out", str(tmp_path / "x.bp")]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert re.search(message, err)


def test_what_is_not_installed_is_named(tmp_path, monkeypatch, capsys):
    for name in ("_pandas", "_polars"):
        monkeypatch.setattr(libraries, name, lambda: None)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "a.parquet").write_bytes(b"")
    for suffix, packages in (("csv", "pandas"), ("parquet", "pandas pyarrow")):
        path = str(tmp_path / f"a.{suffix}")
        assert main(["fit", path, "--target", "a", "--out", str(tmp_path / "x.bp")]) == 1
        assert capsys.readouterr().err.endswith(f"python -m pip install {packages}\n")
    monkeypatch.setattr(libraries, "_pandas", lambda: pd)
    monkeypatch.setattr(libraries, "_has_pyarrow", lambda: False)
    with pytest.raises(tables.CommandError, match=r"pip install pyarrow$"):
        tables.read(str(tmp_path / "a.parquet"))
