"""`python -m fastbp`: the demonstration and the help; test_precompile.py has `compile`."""

import re
import subprocess
import sys

import pytest

import fastbp
from fastbp.__main__ import main


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastbp", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_the_commands():
    done = run("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert "compile" in done.stdout
    assert done.stderr == ""


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
    assert main([]) != 0
    assert "demo" in capsys.readouterr().out
