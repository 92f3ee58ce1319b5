"""`python -m fastbp`: the demonstration, the help, what all commands have in common.

test_cli_tables.py has the commands for tables, test_lessons.py `lesson`, test_precompile.py `compile`.
"""

import json
import re
import subprocess
import sys
import warnings

import pytest

import fastbp
from fastbp import demo, precompile
from fastbp.__main__ import main
from fastbp.engines import kernel_cache

COMMANDS = ["fit", "predict", "diagnose", "info", "lesson", "demo", "compile"]


def test_help_names_the_commands():
    """And loads neither the compiler nor a plotting library."""
    arguments = [sys.executable, "-X", "importtime", "-m", "fastbp", "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w", done.stdout, re.MULTILINE), command
    lines = done.stderr.splitlines()
    assert all(line.startswith("import time:") for line in lines)
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "fastbp.cli.fit" in loaded
    assert not loaded & {"numba", "polars", "matplotlib"}  # pandas is loaded by scikit-learn


def test_demo_trains_both_and_compares(capsys):
    """With few epochs: the numbers are there, and nothing is said about how large they are."""
    assert not main(["demo", "--epochs", "3"])
    out = capsys.readouterr().out
    accuracies = [float(number) for number in re.findall(r"accuracy (\d\.\d+)", out)]
    assert len(accuracies) == 2
    assert all(0.5 < accuracy <= 1 for accuracy in accuracies)
    assert len(re.findall(r"\d s\b", out)) >= 3  # compilation apart, and both fits
    assert "scikit-learn" in out
    assert re.search(r"\d+(\.\d+)? times", out)


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert fastbp.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["demo", "--epochs", "0"], ["demo", "--epochs", "many"], ["--nonsense"]],
    ids=str,
)
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_is_enough_to_work_from(command, capsys):
    """A description, every argument explained, the exit codes; examples where arguments are needed."""
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted" in " ".join(text.split())
    assert command in ("demo", "compile") or f"python -m fastbp {command} " in text.partition("options:")[2]
    for argument in re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE):
        explained = re.search(rf"^  (?:-\w, )?{argument}\b[^\n]*(?:  +\S|\n {{20,}}\S)", text, re.MULTILINE)
        assert explained, argument


def test_the_demonstration_as_json(capsys):
    assert main(["demo", "--epochs", "2", "--json"]) == 0
    done = capsys.readouterr()
    found = json.loads(done.out)
    assert found["exit_code"] == 0
    assert 0.5 < found["fastbp_accuracy"] <= 1 and 0.5 < found["sklearn_accuracy"] <= 1
    assert found["fastbp_seconds"] > 0
    assert "fastbp.BPClassifier" in done.err  # what else is printed does not disturb


def test_kernels_as_json(capsys, tmp_path, monkeypatch):
    """What the folder holds in the end; the compilation itself is in test_precompile.py."""
    (tmp_path / "a kernel").write_bytes(b"")
    monkeypatch.setattr(kernel_cache, "folder_to_write", lambda: (tmp_path, []))
    monkeypatch.setattr(precompile, "run", lambda everything: print(f"all: {everything}") or 0)
    assert main(["compile", "--all", "--json"]) == 0
    done = capsys.readouterr()
    found = json.loads(done.out)
    assert (found["kernels"], found["folder"], found["exit_code"]) == (1, str(tmp_path), 0)
    assert done.err == "all: True\n"


def test_errors_that_nobody_expects_are_one_line_too(capsys, monkeypatch):
    def fail(**options):
        raise RuntimeError("first\n  second")

    monkeypatch.setattr(demo, "run", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "fastbp demo: RuntimeError: first second\n"


def test_warnings_for_users_are_one_line(capsys, monkeypatch):
    def warned(**options):
        warnings.warn("look\nhere", UserWarning)
        warnings.warn("look\nhere", UserWarning)
        return {}

    monkeypatch.setattr(demo, "run", warned)
    assert main(["demo", "--json"]) == 0
    done = capsys.readouterr()
    assert done.err == "warning: look here\n"
    assert json.loads(done.out)["warnings"] == ["look here"]


def test_nobody_reads_to_the_end():
    """As with `head`: no traceback, no message."""
    code = "import sys; from fastbp.__main__ import main; sys.exit(main(['lesson', '7']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1
