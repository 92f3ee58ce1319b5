"""The compiler's cache on disk: never stale, and never needed.

Two tests start processes that compile all kernels of a fit anew, about ten seconds each.
"""

import ast
import compileall
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import data
import numba
import numpy as np
import pytest
from helpers import kernels
from numpy.testing import assert_array_equal

import fastbp
from fastbp import BPClassifier
from fastbp.engines import cache_folder, kernel_cache, kernel_sources

PACKAGE = Path(fastbp.__file__).parent
PARAMS = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
FIT = f"""
import warnings
import data
import fastbp
from sklearn.exceptions import ConvergenceWarning

with warnings.catch_warnings():
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = fastbp.BPClassifier(**{PARAMS}).fit(*data.iris())
result = [coef.tolist() for coef in model.coefs_]
"""
TWO_KERNELS = """
import numpy as np
import fastbp
from fastbp.engines.cpu.ops import elementwise

elementwise.functions({name!r}, np.dtype(np.float32))
result = None
"""
PROGRAM = """
import json
from numba.core import event

class Compilations(event.Listener):
    names = []
    def on_start(self, event):
        self.names.append(str(event.data["dispatcher"]))
    def on_end(self, event):
        pass

with event.install_listener("numba:compile", Compilations()):
    exec({0!r})
print(json.dumps([fastbp.__file__, Compilations.names, result]))
"""


def copy_package(folder):
    """Without what Python has cached."""
    return Path(shutil.copytree(PACKAGE, folder / "fastbp", ignore=shutil.ignore_patterns("__pycache__")))


def start(place, program, **environment):
    """A process that finds fastbp at `place`."""
    path = os.pathsep.join([str(place), str(Path(__file__).parent)])
    # Python's own cache looks at the time and the size of a file only.
    env = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(program)],
        cwd=Path(place).parent,
        env=env | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, place):
    """The names of the functions that it compiled, and its result."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == ""
    file, compiled, result = json.loads(out)
    assert file.startswith(str(place))
    return compiled, result


def run(place, program=FIT, **environment):
    return end(start(place, program, **environment), place)


def equal(coefs, others):
    return all((a == b).all() for a, b in zip(coefs, others, strict=True))


def folders():
    """Where this process keeps kernels."""
    return cache_folder.survey(numba.config.CACHE_DIR, kernel_cache.stamp())[0]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache of the test's own; yields the folder of this process' stamp."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return folders()[0]


def plain(x):
    return x + x


def one_kernel():
    """A kernel that no other test has compiled in this process, and what it does."""
    from fastbp.engines.compiler import jit
    from fastbp.engines.cpu.blocks import row_pitch

    kernel = jit(row_pitch.py_func)
    return kernel, lambda: kernel(3, 4) == row_pitch.py_func(3, 4)


# Where kernels are kept.


def test_a_fit_leaves_nothing_in_the_package(tmp_path):
    """So that uninstalling it removes all of it."""
    BPClassifier(**PARAMS).fit(*data.iris())
    assert not any(folder.is_relative_to(PACKAGE.parent) for folder in folders())
    package = copy_package(tmp_path)
    before = set(package.rglob("*"))
    compiled, _ = run(tmp_path, TWO_KERNELS.format(name="relu"), NUMBA_CACHE_DIR=str(tmp_path / "home"))
    assert compiled
    assert set(package.rglob("*")) == before


def test_numba_cache_dir_is_honoured(own_cache, tmp_path):
    kernel, works = one_kernel()
    assert works()
    assert own_cache.is_relative_to(tmp_path / "cache")
    assert len(list(own_cache.iterdir())) == 1
    assert kernel.stats.cache_path == str(own_cache)


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x/cache", "HOME": "/home/me"}, "/x/cache/fastbp"),
        ("linux", {"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/fastbp"),
        ("linux", {"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/fastbp"),
        ("darwin", {"XDG_CACHE_HOME": "/x/cache", "HOME": "/Users/me"}, "/Users/me/Library/Caches/fastbp"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastbp"),
        ("win32", {"LOCALAPPDATA": ""}, None),
        ("linux", {"XDG_CACHE_HOME": "", "HOME": "nonsense"}, "temporary"),
    ],
)
def test_the_users_cache_folder(platform, environment, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(cache_folder.tempfile, "tempdir", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    found = [str(path) for path in cache_folder.candidates("")]
    monkeypatch.undo()
    temporary = [] if platform == "win32" else [str(tmp_path / f"fastbp-{os.geteuid()}")]
    assert found == ([] if expected in (None, "temporary") else [expected]) + temporary


def test_without_any_folder_to_write_to(tmp_path):
    """Root may write anywhere, but not below a file: neither where told to, nor at home, nor for a while."""
    package = copy_package(tmp_path)
    nowhere = str(package / "__init__.py" / "cache")
    compiled, coefs = run(
        tmp_path,
        f"import tempfile; tempfile.tempdir = {nowhere!r}\n{FIT}",
        NUMBA_CACHE_DIR=nowhere,
        XDG_CACHE_HOME=nowhere,
        HOME=nowhere,
    )
    assert compiled
    for ours, theirs in zip(BPClassifier(**PARAMS).fit(*data.iris()).coefs_, coefs, strict=True):
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("lost", ["folder", "disk"])
def test_a_folder_that_is_lost_after_the_import(lost, own_cache, tmp_path, monkeypatch):
    """A kernel finds out at its first call."""
    _, works = one_kernel()
    if lost == "folder":
        shutil.rmtree(tmp_path / "cache")
        (tmp_path / "cache").touch()
        monkeypatch.setattr(cache_folder, "candidates", lambda wish: [tmp_path / "cache" / "fastbp"])
    else:

        def replace(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", replace)
    assert works()
    assert lost == "folder" or not list(own_cache.iterdir())
    assert kernel_cache.faults.pop()


def test_a_read_only_cache_is_read_and_others_get_what_is_new(tmp_path, monkeypatch):
    """As in a container's image."""
    monkeypatch.setattr(
        cache_folder, "candidates", lambda wish: [tmp_path / "image" / "fastbp", tmp_path / "home" / "fastbp"]
    )
    kernel, works = one_kernel()
    assert works()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "image" not in str(path) and may(path, mode))
    kernel, works = one_kernel()
    assert works()
    assert kernel.stats.cache_hits
    image, home = folders()
    assert len(list(image.iterdir())) == 1
    assert not list(home.iterdir())
    (image / next(image.iterdir())).unlink()
    _, works = one_kernel()
    assert works()
    assert not list(image.iterdir())
    assert len(list(home.iterdir())) == 1


# Whose they are.


def test_what_another_user_may_have_written_is_not_loaded(own_cache, monkeypatch):
    _, works = one_kernel()
    assert works()
    for folder in (own_cache, own_cache.parent):
        for mode in (0o775, 0o757):
            folder.chmod(mode)
            assert own_cache not in folders()
        folder.chmod(0o755)
    assert own_cache in folders()
    owner = own_cache.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    _, works = one_kernel()
    assert works()
    assert own_cache not in folders() or owner == 0  # root may write everywhere anyway


def test_a_folder_of_another_user_in_a_shared_temporary_folder(tmp_path, monkeypatch):
    """Which has guessed our name."""
    status = SimpleNamespace(st_uid=os.geteuid() + 1, st_mode=stat.S_IFDIR | 0o755)
    monkeypatch.setattr(Path, "stat", lambda path, **options: status)
    with pytest.raises(PermissionError, match="belongs to another user"):
        cache_folder._refuse_where_others_write(tmp_path)


def test_root_leaves_nothing_in_the_home_of_another_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "there"))
    status = os.stat(tmp_path)
    for owner in (0, 1000):
        theirs = SimpleNamespace(st_uid=owner, st_mode=status.st_mode)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "exists", lambda path: path == tmp_path)
            patch.setattr(Path, "stat", lambda path, theirs=theirs, **options: theirs)
            found = list(cache_folder.candidates(""))
        assert (tmp_path / "not" / "there" / "fastbp" in found) == (owner == 0)


def test_all_may_read_and_nobody_else_write_whatever_the_umask(own_cache, tmp_path):
    shutil.rmtree(tmp_path / "cache")
    before = os.umask(0)
    try:
        _, works = one_kernel()
        assert works()
    finally:
        os.umask(before)
    (file,) = own_cache.iterdir()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (own_cache.parent, own_cache, file)]
    assert modes == [0o755, 0o755, 0o644]


# Whole files, and few.


@pytest.mark.parametrize("fault", ["cut off", "empty", "a bit", "nonsense", "a folder"])
def test_a_damaged_file_costs_a_compilation(fault, own_cache):
    _, works = one_kernel()
    assert works()
    (file,) = own_cache.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    file.unlink()
    if fault == "a folder":
        file.mkdir()
    else:
        kinds = {"cut off": whole[:-100], "empty": b"", "a bit": bytes(flipped), "nonsense": b"x" * 100}
        file.write_bytes(kinds[fault])
    kernel, works = one_kernel()
    assert works()
    assert not kernel.stats.cache_hits
    if fault != "a folder":
        kernel, works = one_kernel()
        assert works()
        assert kernel.stats.cache_hits
    else:
        assert kernel_cache.faults.pop()
    assert len(list(own_cache.iterdir())) == 1


def test_an_interrupted_write_leaves_nothing_behind(own_cache, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache_folder.write(own_cache, "name", b"payload")
    assert not list(own_cache.iterdir())


def test_two_processes_that_compile_at_once(tmp_path):
    """Variants of one loop: a third process finds both."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    programs = [TWO_KERNELS.format(name=name) for name in ("relu", "identity")]
    processes = [start(PACKAGE.parent, program, **environment) for program in programs]
    assert all([end(process, PACKAGE)[0] for process in processes])
    compiled, _ = run(PACKAGE.parent, "\n".join(programs), **environment)
    assert compiled == []
    assert len(list(tmp_path.glob("cache/fastbp/kernels-*/*"))) == 4  # each forward and backward


def test_stale_kernels_are_removed(own_cache, tmp_path):
    """Those of the stamps that were used longest ago, and nothing else."""
    root = own_cache.parent
    shutil.rmtree(own_cache)
    old = [root / f"kernels-{number:020x}" for number in range(20)]
    for age, folder in enumerate(old):
        folder.mkdir()
        (folder / "kernel").touch()
        os.utime(folder, (1e9 - age, 1e9 - age))
    others = [root / "kernels-of-mine", root / "notes"]
    for folder in others:
        folder.mkdir()
        os.utime(folder, (0, 0))
    cache_folder._used.discard(own_cache)
    assert folders() == [own_cache]
    kept = cache_folder.STAMPS_KEPT - 1
    assert {*root.iterdir()} == {own_cache, *old[:kept], *others}


# What names them.


def name_of(kernel, codegen=None):
    if codegen is None:
        codegen = kernel.targetctx.codegen()
    return kernel._cache.file_name((numba.int64, numba.int64), codegen)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("OPT", 1),
        ("BOUNDSCHECK", 1),
        ("LOOP_VECTORIZE", 0),
        ("SLP_VECTORIZE", 1),
        ("ENABLE_AVX", 0),
        ("DEBUGINFO_DEFAULT", 1),
        ("CPU_NAME", "generic"),
        ("CPU_FEATURES", ""),
        ("USING_SVML", None),
        ("ENABLE_PROFILING", 1),
        ("LLVM_REFPRUNE_FLAGS", ""),
        ("SOMETHING_NEW", 1),
    ],
)
def test_settings_that_change_code_change_the_name(setting, value, monkeypatch):
    kernel, _ = one_kernel()
    before = name_of(kernel)
    monkeypatch.setattr(numba.config, setting, value, raising=False)
    assert name_of(kernel) != before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NUMBA_NUM_THREADS", 77),
        ("THREADING_LAYER", "omp"),
        ("CACHE_DIR", "/elsewhere"),
        ("DEBUG_CACHE", 1),
        ("CUDA_LOG_LEVEL", "DEBUG"),
        ("DISABLE_CUDA", 1),
        ("GDB_BINARY", "/usr/bin/gdb"),
    ],
)
def test_settings_without_effect_do_not(setting, value, monkeypatch):
    kernel, _ = one_kernel()
    before = name_of(kernel)
    monkeypatch.setattr(numba.config, setting, value)
    assert name_of(kernel) == before


def test_processor_types_options_and_enclosed_functions_change_the_name():
    from fastbp.engines.compiler import OPTIONS
    from fastbp.engines.cpu import lowering
    from fastbp.engines.cpu.ops import elementwise
    from fastbp.functions.activations import relu, scalar
    from fastbp.functions.solvers import adam
    from fastbp.functions.step import StepOptions

    kernel, _ = one_kernel()
    triple, cpu, features = kernel.targetctx.codegen().magic_tuple()
    names = [name_of(kernel)]
    for magic in [("other", cpu, features), (triple, "other", features), (triple, cpu, "+other")]:
        names.append(name_of(kernel, SimpleNamespace(magic_tuple=lambda magic=magic: magic)))
    function, codegen = kernel.py_func, kernel.targetctx.codegen()
    names.append(kernel._cache.file_name((numba.int64, numba.float64), codegen))
    names.append(kernel_cache.KernelCache(function, OPTIONS).file_name((numba.int64,) * 2, codegen))
    loops = [elementwise._forward_loop(f) for f in (relu, scalar.tanh)]
    loops += [lowering._update_loop(adam, 2, StepOptions(l1=l1)) for l1 in (False, True)]
    loops += [lowering._update_loop(adam, 3, StepOptions())]
    names += [kernel_cache.KernelCache(loop, OPTIONS).file_name((), codegen) for loop in loops]
    assert len(set(names)) == len(names)
    again = elementwise._forward_loop(relu)
    assert kernel_cache.KernelCache(again, OPTIONS).file_name((), codegen) in names


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("numba", "__version__", "9.9"),
        ("llvmlite", "__version__", "9.9"),
        ("llvmlite.binding", "llvm_version_info", (99, 0, 0)),
        ("numpy", "__version__", "9.9"),
        ("sys", "version", "9.9"),
        ("fastbp.engines.kernel_cache", "sources", lambda: {"fastbp.plan.network": "other"}),
    ],
)
def test_versions_and_sources_change_the_stamp(module, name, value, monkeypatch):
    stamps = [kernel_cache.stamp()]
    monkeypatch.setattr(importlib.import_module(module), name, value)
    stamps.append(kernel_cache.stamp.__wrapped__())
    assert stamps[0] != stamps[1]


def test_functions_of_others_are_not_cached(own_cache):
    """What they call is not among the sources of the stamp."""
    from fastbp.engines.compiler import jit

    assert jit(plain)(21) == 42
    assert not list(own_cache.iterdir())
    assert kernel_cache.faults.pop()


# Never stale.


def test_a_changed_formula_is_compiled_anew(tmp_path):
    """Though the file that holds it, which no kernel is in, keeps its time and its size."""
    here = BPClassifier(**PARAMS).fit(*data.iris()).coefs_
    package = copy_package(tmp_path)
    cache = tmp_path / "cache" / "fastbp"
    shutil.copytree(folders()[-1], cache / folders()[-1].name)
    compiled, before = run(tmp_path, NUMBA_CACHE_DIR=str(cache.parent))
    assert compiled == []  # what this process has cached is as good for the copy
    assert equal(here, before)

    source = package / "functions" / "activations.py"
    old, then = source.read_bytes(), source.stat()
    new = old.replace(b"select(z < 0.0, 0.0, z)", b"select(z < 0.0, 0.1, z)")
    assert new != old
    source.write_bytes(new)
    os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert (source.stat().st_mtime_ns, source.stat().st_size) == (then.st_mtime_ns, then.st_size)

    compiled, after = run(tmp_path, NUMBA_CACHE_DIR=str(cache.parent))
    assert compiled
    assert not equal(here, after)


def described(package):
    importlib.invalidate_caches()
    found = kernel_sources.kernel_modules([str(package)])
    return {name: kernel_sources.describe(code) for name, code in found.items()}


def test_sources_are_names_and_code(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    package = copy_package(tmp_path)
    seen = [described(package)]
    assert seen == [kernel_cache.sources()]
    for name in ("engines/cpu/tile.py", "functions/losses.py", "plan/network.py", "engines/compiler.py"):
        source = package / name
        then = source.stat()
        lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
        source.write_text("".join([*lines, "# a comment\n"]), encoding="utf-8")
        assert described(package) == seen[-1]
        source.write_text("".join([*lines, "x = 1\n"]), encoding="utf-8")
        os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))
        seen.append(described(package))
    (package / "functions" / "more").mkdir()
    (package / "functions" / "more" / "__init__.py").touch()
    (package / "functions" / "more" / "new.py").touch()
    seen.append(described(package))
    (package / "functions" / "more" / "new.py").rename(package / "functions" / "more" / "newer.py")
    seen.append(described(package))
    assert all(one != other for one, other in zip(seen, seen[1:], strict=False))
    (package / "training" / "progress.py").write_text("")  # not what kernels are made of
    assert described(package) == seen[-1]


@pytest.mark.parametrize("missing", ["plan", "engines/cpu"])
def test_where_sources_cannot_be_looked_at_nothing_is_cached(missing, tmp_path, own_cache, monkeypatch):
    package = copy_package(tmp_path)
    for path in (package / missing, *(package / missing).rglob("*.py")):
        if path.is_file():
            path.unlink()
    with pytest.raises(LookupError, match=f"fastbp.{missing.replace('/', '.')}"):
        kernel_sources.kernel_modules([str(package)])
    monkeypatch.setattr(kernel_cache, "sources", dict)
    _, works = one_kernel()
    assert works()
    assert not list(own_cache.iterdir())
    assert kernel_cache.faults.pop()


def imported(file):
    """The files of the package that a file imports, by reading it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
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


def test_the_stamp_covers_whatever_kernels_import():
    covered = {Path(importlib.import_module(name).__file__) for name in kernel_cache.sources()}
    found = set()
    unread = {Path(kernel.py_func.__code__.co_filename) for kernel in kernels()}
    assert unread
    while unread:
        file = unread.pop()
        found.add(file)
        unread |= set(imported(file)) - found
    assert len(found) > 10
    assert found <= covered


# Programs without source files.


def zipped(folder):
    package = copy_package(folder)
    with zipfile.ZipFile(folder / "program.zip", "w") as file:
        for path in package.rglob("*"):
            file.write(path, path.relative_to(folder))
    shutil.rmtree(package)
    return folder / "program.zip"


def without_sources(folder):
    package = copy_package(folder)
    compileall.compile_dir(package, quiet=1, legacy=True)
    for path in package.rglob("*.py"):
        path.unlink()
    return folder


@pytest.mark.parametrize("make", [zipped, without_sources])
def test_programs_without_source_files_cache_too(make, tmp_path):
    place = make(tmp_path)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    program = TWO_KERNELS.format(name="relu")
    assert run(place, program, **environment)[0]
    assert run(place, program, **environment)[0] == []
    # Kernels are the same whatever the package lies in: a fit finds what was compiled here.
    here = BPClassifier(**PARAMS).fit(*data.iris()).coefs_
    compiled, coefs = run(place)
    assert compiled == []
    assert equal(here, coefs)


def test_every_float_and_kind_of_constant_is_told_apart():
    values = [0, 0.0, -0.0, False, "0", b"0", None, ..., (), (0,), ((0,),), frozenset({1, 2}), 0j, 1, True]
    assert len({kernel_sources.describe(value) for value in values}) == len(values)
    assert kernel_sources.describe(frozenset({"a", "b"})) == kernel_sources.describe(frozenset({"b", "a"}))
    with pytest.raises(TypeError, match="no description"):
        kernel_sources.describe(np.zeros(3))
