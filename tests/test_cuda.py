"""The CUDA engine: its kernels in Numba's simulator, as PTX, and what users without a GPU see."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastbp import BPClassifier, BPRegressor
from fastbp.engines import select

TESTS = Path(__file__).parent
X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2

needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)


def run(*arguments, **environment):
    """Output of Python in a process of its own, which must succeed."""
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_numba_cuda
@pytest.mark.last
def test_kernels_and_fits_in_the_simulator(in_simulator):
    """In a process of their own: Numba decides at its import where kernels run."""
    code, output = in_simulator
    assert code == 0, output
    assert " passed" in output


NO_GPU = """
import numpy as np
from fastbp import BPClassifier, BPRegressor
X, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
for Estimator in (BPClassifier, BPRegressor):
    try:
        Estimator((2,), device="cuda").fit(X, y)
    except RuntimeError as error:
        print(error)
model = BPClassifier((2,), max_iter=1).fit(X, y)
model.device = "cuda"
try:
    model.predict(X)
except RuntimeError as error:
    print(error)
"""


def test_without_a_gpu_one_error_says_what_is_missing():
    found = run("-W", "ignore", "-c", NO_GPU, CUDA_VISIBLE_DEVICES="").splitlines()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert found[0].startswith("device='cuda' cannot be used: ")
    assert found[0].endswith("Or choose device='cpu'.")


def test_without_numba_cuda_the_error_says_what_to_install():
    hide = """
import sys
import numba
import numba.cuda
sys.modules["numba_cuda"] = None  # an import of it now fails
"""
    found = run("-W", "ignore", "-c", f"{hide}\n{NO_GPU}")
    assert 'pip install "fastbp[cuda]"' in found


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_auto_without_a_gpu_is_the_cpu(Estimator, monkeypatch):
    monkeypatch.setattr(select, "_what_cuda_lacks", lambda: "everything")
    auto = Estimator((2,), device="auto", max_iter=2, random_state=0).fit(X, Y)
    cpu = Estimator((2,), max_iter=2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(auto.coefs_[0], cpu.coefs_[0])
    np.testing.assert_array_equal(auto.predict(X), cpu.predict(X))


def test_a_fit_on_the_cpu_imports_nothing_of_cuda():
    program = """
import sys
import numpy as np
from fastbp import BPClassifier, BPRegressor
X, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
for Estimator in (BPClassifier, BPRegressor):
    Estimator((2,), max_iter=1).fit(X, y).predict(X)
    Estimator((2,), max_iter=1, solver="lbfgs").fit(X, y).predict(X)
print([name for name in sys.modules if name.startswith("fastbp.engines.cuda") or name == "numba.cuda.target"])
"""
    assert run("-W", "ignore", "-c", program) == "[]\n"


def test_one_file_imports_cuda():
    folder = TESTS.parent / "fastbp"
    importing = [
        path.name
        for path in folder.rglob("*.py")
        if "import cuda\n" in path.read_text().replace("fastbp.engines.cuda.target import cuda\n", "")
    ]
    assert importing == ["target.py"]


@needs_numba_cuda
def test_kernels_compile_within_their_budget():
    """To PTX and machine code, without a GPU: registers, spills, float64 in float32 kernels."""
    pytest.importorskip("nvidia.cu13", reason="the extra fastbp[cuda] is not installed")
    program = TESTS.parent / "bench" / "ptx.py"
    if "ptxas" not in run(
        "-c",
        f"import sys; sys.path.insert(0, {str(program.parent)!r}); import ptx; print(ptx.find_assembler())",
    ):
        pytest.skip("ptxas is not installed")
    assert "all within budget" in run(
        program,
        "--capability",
        "9.0",
        "--dtype",
        "float32",
        "--plans",
        "focal",
        "tweedie",
        NUMBA_ENABLE_CUDASIM="0",
    )
