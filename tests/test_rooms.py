"""The package's floors: imports go down only, so that a reader of one room needs no room above it."""

import ast
from pathlib import Path

import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent
# From the lowest floor up; rooms of one floor may import each other.
FLOORS = (
    ("functions", "hover_texts"),
    ("persistence",),  # finds the classes of the rooms above by their names
    ("plan",),
    ("engines", "export"),
    ("training",),
    ("preprocessing",),
    ("estimators", "presets", "callbacks"),
    ("ensembles",),
    ("tables",),
    ("model_selection",),
    ("onnx", "plots", "diagnosis"),
    ("cli",),
    ("__init__", "__main__", "demo", "lessons", "precompile"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("fastbp.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imported(path):
        assert FLOOR[room_of(name)] <= FLOOR[room], f"{room} imports {name}"


def test_every_module_has_a_room():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} == set(FLOOR)


def test_cpu_and_cuda_stand_apart():
    """Only the choice of an engine knows both, and only when it is asked for one."""
    for engine, other in (("cpu", "cuda"), ("cuda", "cpu")):
        for path in (PACKAGE / "engines" / engine).rglob("*.py"):
            assert not [name for name in imported(path) if name.startswith(f"fastbp.engines.{other}")], path
