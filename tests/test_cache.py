"""The compiler's cache on disk: never stale, and never needed.

Two tests start processes that compile all kernels of a fit anew, about ten seconds each.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import data
import pytest
from helpers import kernels
from numpy.testing import assert_array_equal

import fastbp
from fastbp import BPClassifier

PACKAGE = Path(fastbp.__file__).parent
PARAMS = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
PROGRAM = f"""
import json, warnings
import data
import fastbp
from numba.core import event
from sklearn.exceptions import ConvergenceWarning

class Compilations(event.Listener):
    names = []
    def on_start(self, event):
        self.names.append(str(event.data["dispatcher"]))
    def on_end(self, event):
        pass

with event.install_listener("numba:compile", Compilations()), warnings.catch_warnings():
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = fastbp.BPClassifier(**{PARAMS}).fit(*data.iris())
print(json.dumps([fastbp.__file__, Compilations.names, [coef.tolist() for coef in model.coefs_]]))
"""


def copy_package(folder):
    """Without what Python and Numba have cached."""
    return Path(shutil.copytree(PACKAGE, folder / "fastbp", ignore=shutil.ignore_patterns("__pycache__")))


def fit_in_process(package, **environment):
    """A fit by a copy of the package: the names of the functions that it compiled, and coefs_."""
    path = os.pathsep.join([str(package.parent), str(Path(__file__).parent)])
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    # Python's own cache looks at the time and the size of a file only.
    env |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=package.parent,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    file, compiled, coefs = json.loads(done.stdout)
    assert Path(file).samefile(package / "__init__.py")
    return compiled, coefs


def equal(coefs, others):
    return all((a == b).all() for a, b in zip(coefs, others, strict=True))


def test_without_any_folder_to_write_to(tmp_path):
    """Root may write anywhere, but not below a file: neither where told to, nor beside the sources, nor at
    home."""
    package = copy_package(tmp_path)
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    nowhere = str(package / "__init__.py" / "cache")
    compiled, coefs = fit_in_process(package, NUMBA_CACHE_DIR=nowhere, XDG_CACHE_HOME=nowhere, HOME=nowhere)
    assert compiled
    assert not list(tmp_path.rglob("*.nb[ci]"))
    for ours, theirs in zip(BPClassifier(**PARAMS).fit(*data.iris()).coefs_, coefs, strict=True):
        assert_array_equal(ours, theirs)


def test_a_changed_formula_is_compiled_anew(tmp_path):
    """Though the file that holds it, which no kernel is in, keeps its time and its size."""
    here = BPClassifier(**PARAMS).fit(*data.iris()).coefs_
    package = copy_package(tmp_path)
    for kernel in kernels():  # what this process has cached is as good for the copy
        if kernel._cache.cache_path is not None:
            folder = (package.parent / Path(*kernel.py_func.__module__.split("."))).parent / "__pycache__"
            folder.mkdir(exist_ok=True)
            for file in Path(kernel._cache.cache_path).glob(f"{kernel._cache._impl.filename_base}.*nb[ci]"):
                shutil.copy(file, folder)
    _, before = fit_in_process(package)
    assert equal(here, before)

    source = package / "functions" / "activations.py"
    old, then = source.read_bytes(), source.stat()
    new = old.replace(b"select(z < 0.0, 0.0, z)", b"select(z < 0.0, 0.1, z)")
    assert new != old
    source.write_bytes(new)
    os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert (source.stat().st_mtime_ns, source.stat().st_size) == (then.st_mtime_ns, then.st_size)

    compiled, after = fit_in_process(package)
    assert compiled
    assert not equal(here, after)


def test_digest_is_of_names_and_contents(tmp_path):
    from fastbp.compiler import source_digest

    package = copy_package(tmp_path)
    digests = [source_digest(package)]
    assert digests == [source_digest(PACKAGE)]
    for name in ("cpu/tile.py", "functions/losses.py", "plan.py", "compiler.py"):
        source = package / name
        then = source.stat()
        text = source.read_bytes()
        source.write_bytes(text[:-1] + b" ")  # as long as before
        os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))
        digests.append(source_digest(package))
    (package / "functions" / "more").mkdir()
    (package / "functions" / "more" / "new.py").touch()
    digests.append(source_digest(package))
    (package / "functions" / "more" / "new.py").rename(package / "functions" / "more" / "newer.py")
    digests.append(source_digest(package))
    assert len(set(digests)) == len(digests)
    (package / "progress.py").write_text("")  # not what kernels are made of
    assert source_digest(package) == digests[-1]


def imported(file):
    """The files of the package that a file imports, by reading it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            module = PACKAGE.parent.joinpath(*name.split("."))
            if name.startswith("fastbp."):
                yield from (f for f in (module.with_suffix(".py"), module / "__init__.py") if f.exists())


def test_digest_covers_whatever_kernels_import():
    from fastbp.compiler import KERNEL_SOURCES

    covered = {file for pattern in KERNEL_SOURCES for file in PACKAGE.glob(pattern)}
    found = set()
    unread = {Path(kernel.py_func.__code__.co_filename) for kernel in kernels()}
    assert unread
    while unread:
        file = unread.pop()
        found.add(file)
        unread |= set(imported(file)) - found
    assert len(found) > 10
    assert found <= covered


def twice(x):
    return x + x


@pytest.mark.parametrize("lost", ["folder", "disk"])
def test_a_folder_that_is_lost_after_the_import(lost, tmp_path, monkeypatch):
    """A kernel finds out at its first call."""
    import numba
    from numba.core.caching import IndexDataCacheFile

    from fastbp.compiler import jit

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    kernel = jit(twice)
    assert Path(kernel._cache.cache_path).is_relative_to(tmp_path)
    if lost == "folder":
        shutil.rmtree(tmp_path / "cache")
        (tmp_path / "cache").touch()
    else:

        def save(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(IndexDataCacheFile, "save", save)
    assert kernel(21) == 42
