"""What a new process waits for: the import, and the first fit with kernels cached on disk or not."""

from tempfile import TemporaryDirectory

from peers import CHECKOUT
from worker import Worker, available_cpus


def timeraw_import():
    return f"import sys; sys.path.append({str(CHECKOUT)!r}); import fastbp"


def timeraw_import_scikit_learn():
    """The measure for it: the import of what fastbp stands in for."""
    return "import sklearn.neural_network"


class FirstFit:
    """Seconds from the end of the import to the end of the first fit, of `tiny`, each in a fresh process."""

    params = ("cold", "warm")
    param_names = ("cache",)
    timeout = 300
    unit = "s"

    def setup(self, cache):
        self.folder = TemporaryDirectory()
        if cache == "warm":
            self.track_first_fit(cache)

    def track_first_fit(self, cache):
        with Worker(available_cpus(), {"NUMBA_CACHE_DIR": self.folder.name}) as worker:
            return worker.call("start_up", "fastbp", "tiny", "float32", available_cpus())[1]

    def teardown(self, cache):
        self.folder.cleanup()
