"""Settings of the whole suite."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Numba decides at its import whether GPU kernels run in its simulator, and a process has one Numba. So these
# files are run in a process of their own, by test_cuda.py; or by hand:
#   NUMBA_ENABLE_CUDASIM=1 pytest tests/test_cuda_kernels.py
# With FASTBP_TEST_GPU=1 instead they run on the GPU, as bench/gpu.py does before it measures.
SIMULATOR = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
ON_GPU = os.environ.get("FASTBP_TEST_GPU") == "1"
IN_SIMULATOR_ONLY = ["test_cuda_kernels.py", "test_cuda_fits.py", "test_cuda_fleet.py"]
collect_ignore = [] if SIMULATOR or ON_GPU else IN_SIMULATOR_ONLY


# Pictures are drawn into memory, not into windows.
os.environ.setdefault("MPLBACKEND", "Agg")

TESTS = Path(__file__).parent
IN_SIMULATOR = pytest.StashKey[tuple]()


def pytest_collection_finish(session):
    """Start what runs in the simulator beside everything else; the test that wants it comes last."""
    if session.config.option.collectonly or not any("in_simulator" in i.fixturenames for i in session.items):
        return
    files = [TESTS / name for name in IN_SIMULATOR_ONLY]
    output = tempfile.TemporaryFile("w+")  # noqa: SIM115  (read later; a pipe that nobody reads fills up)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(str, files)],
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=TESTS.parent,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
    )
    session.config.stash[IN_SIMULATOR] = process, output


def pytest_unconfigure(config):
    process, output = config.stash.get(IN_SIMULATOR, (None, None))
    if process is not None:
        process.kill()  # where the session ended before
        process.wait()
        output.close()


@pytest.fixture
def in_simulator(request):
    """The exit code and the output of the tests in the simulator."""
    process, output = request.config.stash[IN_SIMULATOR]
    code = process.wait()
    output.seek(0)
    return code, output.read()


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "last: looks back on what the whole session has done, or waits for it: it runs at the end"
    )
    # matplotlib 3.8 with a later pyparsing
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:matplotlib")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own tests ask for; they run with 42 unless told otherwise, and so they do here."""
    return 42
