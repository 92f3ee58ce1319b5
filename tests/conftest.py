"""Settings of the whole suite."""

import os

import pytest

# Numba decides at its import whether GPU kernels run in its simulator, and a process has one Numba. So these
# files are run in a process of their own, by test_cuda.py; or by hand:
#   NUMBA_ENABLE_CUDASIM=1 pytest tests/test_cuda_kernels.py
# With FASTBP_TEST_GPU=1 instead they run on the GPU, as bench/gpu.py does before it measures.
SIMULATOR = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
ON_GPU = os.environ.get("FASTBP_TEST_GPU") == "1"
collect_ignore = [] if SIMULATOR or ON_GPU else ["test_cuda_kernels.py", "test_cuda_fits.py"]


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "last: looks back on what the whole session has done, so it runs at the end"
    )


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own tests ask for; they run with 42 unless told otherwise, and so they do here."""
    return 42
