"""`python -m fastbp lesson`: short programs that explain themselves; their figures are what they promise."""

import inspect
import json
import re
import runpy

import pytest

from fastbp.__main__ import main
from fastbp.lessons import LESSONS

NUMBERS = range(1, len(LESSONS) + 1)


@pytest.fixture(scope="module")
def texts():
    """What each lesson prints, by its number; a lesson runs when it is asked for."""
    return {}


def text_of(number, texts, capsys):
    if number not in texts:
        assert main(["lesson", str(number)]) == 0
        done = capsys.readouterr()
        assert done.err == ""
        texts[number] = done.out
    return texts[number]


def figures(pattern, text):
    found = re.search(pattern, text)
    assert found, pattern
    return [float(figure) for figure in found.groups()]


@pytest.mark.parametrize("number", NUMBERS)
def test_each_explains_itself_and_ends_with_something_to_try(number, texts, capsys):
    text = text_of(number, texts, capsys)
    assert text.isascii()
    assert text.rstrip().splitlines()[-1].startswith("To try: ")
    assert len(re.findall(r"\d", text)) > 20
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("number", NUMBERS)
def test_each_is_short_and_a_program_of_its_own(number, capsys):
    assert main(["lesson", str(number), "--code"]) == 0
    code = capsys.readouterr().out
    assert code.rstrip() == inspect.getsource(LESSONS[number - 1].module).rstrip()
    assert len(code.splitlines()) < 60
    assert 'if __name__ == "__main__":\n    run()' in code
    # as users import it
    assert all(
        line.startswith("from fastbp import ")
        for line in code.splitlines()
        if re.match("(from|import) fastbp", line)
    )


def test_the_list_names_the_textbook_systems(capsys):
    assert main(["lesson"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()[:9]] == [str(n) for n in range(1, 10)]
    assert main(["lesson", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["lessons"]
    assert [lesson["number"] for lesson in found] == list(NUMBERS)
    assert all(lesson["title"] in listed for lesson in found)


def test_code_runs_where_it_is_saved(tmp_path, capsys):
    path = tmp_path / "lesson3.py"
    path.write_text(LESSONS[2].code(), encoding="utf-8")
    runpy.run_path(str(path), run_name="__main__")
    assert "chain rule" in capsys.readouterr().out


def test_json_has_the_text(capsys):
    assert main(["lesson", "s3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["number"] == 3
    assert "chain rule" in found["text"]


@pytest.mark.parametrize("arguments", [["10"], ["0"], ["one"], ["--code"]], ids=str)
def test_wrong_numbers(arguments, capsys):
    try:
        code = main(["lesson", *arguments])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert "lesson" in capsys.readouterr().err


# The figures that a lesson is about.


def test_1_numpy_and_fastbp_agree(texts, capsys):
    text = text_of(1, texts, capsys)
    numpy, fastbp = (re.search(rf"Predictions of {name}: +(\[.*\])", text)[1] for name in ("NumPy", "fastbp"))
    assert numpy == fastbp
    assert figures(r"difference of a weight: (\S+)", text)[0] < 1e-10
    first, last = figures(r"step +1: F = (\S+)(?:.|\n)*step 1500: F = (\S+)", text)
    assert last < 0.01 < 1 < first


def test_2_the_error_falls(texts, capsys):
    first, last = figures(
        r"step +1: .*error (\S+),(?:.|\n)*step 1200: .*error (\S+),", text_of(2, texts, capsys)
    )
    assert last < 0.1 * first


def test_3_measured_slopes_are_the_computed_ones(texts, capsys):
    pairs = re.findall(r"slope measured (\S+), computed (\S+)", text_of(3, texts, capsys))
    assert len(pairs) == 5
    assert all(float(a) == pytest.approx(float(b), abs=1e-5) for a, b in pairs)


def test_4_small_batches_learn_more_in_an_epoch_and_have_noisier_gradients(texts, capsys):
    text = text_of(4, texts, capsys)
    online, whole = (figures(rf"\n +{n} +\d+ +\S+ +(\S+)", text)[0] for n in (1, 1500))
    assert online < whole
    angles = [int(angle) for angle in re.findall(r"rows: (\d+) degrees", text)]
    assert angles == sorted(angles, reverse=True) and angles[-1] < 30


def test_5_each_step_gives_its_figure(texts, capsys):
    text = text_of(5, texts, capsys)
    assert "\n   2.3026\n" in text
    assert figures(r"3\. .*\n +(\S+),", text)[0] == pytest.approx(0.1, abs=1e-3)
    assert figures(r"4\. .*\n +accuracy (\S+),", text)[0] < 0.15
    assert figures(r"5\. .*\n +loss (\S+),", text)[0] < 0.01
    assert len(set(figures(r"loss (\S+) and (\S+)\n", text))) == 1
    assert figures(r"test rows (\S+)\n", text)[0] > 0.95


def test_6_gradients_vanish_and_residual_connections_keep_them(texts, capsys):
    text = text_of(6, texts, capsys)
    sigmoid, residual = (
        figures(rf"\n +{name} .* (\S+)\n", text)[0] for name in ("sigmoid", "tanh and residual")
    )
    assert sigmoid < 1e-3
    assert residual > 0.3
    assert figures(r"explodes|layer 1 has (\S+);", text)[0] > 1e3
    assert figures(r"\n +plain .*accuracy (\S+)\n", text)[0] < 0.2
    assert figures(r"\n +with residual connections .*accuracy (\S+)\n", text)[0] > 0.7


def test_7_coefficients_are_those_of_logistic_regression(texts, capsys):
    text = text_of(7, texts, capsys)
    differences = [float(figure) for figure in re.findall(r"by at most (\S+)\n", text)]
    assert len(differences) == 2 and max(differences) <= 1e-3
    assert text.count("[0.5 0.5 0.5 0.5]") == 2  # no hidden layer, and one without a bend
    assert text.count("[0. 1. 1. 0.]") == 4


def test_8_says_where_it_ran(texts, capsys):
    text = text_of(8, texts, capsys)
    rows = re.findall(r"\n +(cpu|cuda) +(\d+) +\S+ +\S+ +(\S+)", text)
    assert ("There is no GPU here" in text) == (len(rows) == 3)
    assert [int(units) for _, units, _ in rows[:3]] == [16, 64, 256]
    assert all(float(accuracy) > 0.85 for *_, accuracy in rows)


def test_9_reads_digits(texts, capsys):
    text = text_of(9, texts, capsys)
    accuracy, n_wrong = figures(r"not seen: (\S+)\n\nIt errs on (\d+)", text)
    assert accuracy >= 0.97
    assert n_wrong == round(450 * (1 - accuracy))
