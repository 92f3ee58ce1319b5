"""The package around the estimators."""

import importlib.metadata
import re
from pathlib import Path

import fastbp

FOLDER = Path(fastbp.__file__).parent


def test_public_names():
    assert {"BPClassifier", "BPRegressor"} <= set(fastbp.__all__)
    for name in fastbp.__all__:
        assert hasattr(fastbp, name)


def test_help_lists_the_public_names():
    """A line each, with a few words about it."""
    lines = fastbp.__doc__.splitlines()
    for name in set(fastbp.__all__) - {"__version__"}:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert len(line.split()) >= 2, name
    for path in FOLDER.glob("*/__init__.py"):
        if "__all__" in path.read_text(encoding="utf-8") and path.parent.name != "ensembles":  # listed itself
            assert any(line.split()[:1] == [f"fastbp.{path.parent.name}"] for line in lines), path


def test_version():
    assert re.match(r"\d+\.\d+", fastbp.__version__)
    try:
        installed = importlib.metadata.version("fastbp")
    except importlib.metadata.PackageNotFoundError:  # run from the source tree
        return
    assert installed == fastbp.__version__


def test_types_are_published():
    assert (FOLDER / "py.typed").exists()


def test_only_one_place_calls_the_compiler():
    """So that options and the cache stamp are the same everywhere."""
    for path in FOLDER.rglob("*.py"):
        if path.name != "compiler.py":
            assert not re.search(
                r"^\s*@?(numba\.)?(njit|jit)\(", path.read_text(encoding="utf-8"), re.MULTILINE
            ), path


def test_nothing_needs_the_network():
    """Neither the package nor its tests and documents fetch data."""
    root = FOLDER.parent
    for path in [*FOLDER.rglob("*.py"), *(root / "tests").glob("*.py")]:
        if path.resolve() != Path(__file__).resolve():
            assert not re.search(r"\bfetch_\w+\(|urlopen|requests\.get", path.read_text(encoding="utf-8")), (
                path
            )
