"""What the package imports, and how: seen by installers and by tools that freeze programs."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import fastbp

PACKAGE = Path(fastbp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {"scikit-learn": "sklearn", "numba-cuda": "numba_cuda"}  # where another name is imported
MAKE_FUNCTIONS = ("python_code.py", "numba_function.py")  # of formulas: they import nothing


def declared(extra=None):
    """Module -> requirement."""
    texts = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {MODULES.get(r.name, r.name): r for r in map(Requirement, texts)}


def lower_bound(requirement):
    return max(
        (Version(s.version) for s in requirement.specifier if s.operator == ">="), default=Version("0")
    )


def top_level(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module.split(".")[0]


def can_do_without(node):
    return isinstance(node, ast.Try) and any(
        "ImportError" in ast.unparse(h.type) for h in node.handlers if h.type
    )


def imported():
    """Modules that the package imports, but for its own and Python's: needed ones, and optional ones."""
    needed, optional = set(), set()
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in [node for node in ast.walk(tree) if can_do_without(node)]:
            optional |= {name for statement in node.body for name in top_level(statement)}
            node.body = []
        needed |= set(top_level(tree))
    return tuple(names - sys.stdlib_module_names - {"fastbp"} for names in (needed, optional))


def test_what_is_imported_is_declared_and_nothing_else():
    needed, optional = imported()
    assert needed == declared().keys()
    assert declared("cuda").keys() | declared("onnx").keys() <= optional


def test_lower_bounds_are_not_below_those_of_scikit_learn():
    """pip would never install what lies between, and nothing was tried there."""
    theirs = {
        r.name: r for r in map(Requirement, importlib.metadata.requires("scikit-learn")) if not r.marker
    }
    shared = declared().keys() & theirs.keys()
    assert shared >= {"numpy", "scipy", "joblib", "threadpoolctl"}
    for name in shared:
        assert lower_bound(declared()[name]) >= lower_bound(theirs[name]), name


def test_every_dependency_has_a_lower_bound_that_is_met_here():
    for requirement in declared().values():
        assert lower_bound(requirement) > Version("0"), requirement
        assert importlib.metadata.version(requirement.name) in requirement.specifier, requirement


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_imported_by_statements(path):
    """An import by a name that is computed is not seen by PyInstaller, cx_Freeze and Nuitka."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        names = {getattr(node, "id", None), getattr(node, "attr", None)}
        if isinstance(node, ast.alias):
            names.add(node.name.split(".")[0])
        if isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
        if path.name in (
            "python_code.py",
            "numba_function.py",
        ):  # functions of formulas, which import nothing
            names.discard("exec")
        assert not names & {"importlib", "import_module", "__import__", "runpy", "exec", "eval", "imp"}
    assert not re.search(r"^from .* import \*", text, re.MULTILINE)
    if path.name != "kernel_sources.py":  # which asks for the code of modules, and imports none
        assert "find_spec" not in text
        assert "pkgutil" not in text


def test_every_module_is_reached_by_statements():
    """From the package's public names and its command line, so that a frozen program has all of them."""
    modules = {"fastbp": PACKAGE / "__init__.py"}
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    public = (
        "fastbp.__main__",
        "fastbp.callbacks",
        "fastbp.model_selection",
        "fastbp.plots",
        "fastbp.onnx",
        "fastbp.export",
    )
    reached, unread = set(), {"fastbp", *public}
    while unread:
        module = unread.pop()
        reached.add(module)
        names = set()
        for node in ast.walk(ast.parse(modules[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        with_parents = {
            ".".join(name.split(".")[: i + 1]) for name in names for i in range(name.count(".") + 1)
        }
        unread |= (with_parents & modules.keys()) - reached
    assert reached == modules.keys()
