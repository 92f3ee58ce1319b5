"""The libraries that are compared, each in a small file of its own, imported only in its worker process.

A peer's module has one class, `Fit`, made from a workload, a dtype and a number of threads; see `base.Peer`.
"fastbp:2" is fastbp with n_jobs=2 whatever the number of threads of the run, "fastbp:None" with n_jobs=None.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

# without an installed fastbp, that of the checkout which this bench belongs to is measured
CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.append(str(CHECKOUT))

# peer: (its title in tables, the file here, what a user imports, the distribution's name)
PEERS = {
    "fastbp": ("fastbp", "fastbp", "fastbp", "fastbp"),
    "sklearn": ("scikit-learn", "scikit_learn", "sklearn.neural_network", "scikit-learn"),
    "torch": ("PyTorch eager", "pytorch", "torch", "torch"),
    "jax": ("JAX scan", "jax_scan", "jax", "jax"),
}


def title(peer: str) -> str:
    name, _, jobs = peer.partition(":")
    return f"{PEERS[name][0]} n_jobs={jobs}" if jobs else PEERS[name][0]


def library(peer: str) -> str:
    """Return the key in PEERS of a peer that may be a variant."""
    return peer.partition(":")[0]


def import_name(peer: str) -> str:
    """Return the module whose import a user of `peer` waits for."""
    return PEERS[library(peer)][2]


def available(peer: str) -> bool:
    """Tell whether `peer` is installed, without importing it."""
    return importlib.util.find_spec(PEERS[peer][2].split(".")[0]) is not None


def version(peer: str) -> str:
    try:
        return importlib.metadata.version(PEERS[peer][3])
    except importlib.metadata.PackageNotFoundError:
        return "from this checkout" if available(peer) else "not installed"


def prepare(peer: str, workload, dtype: str, threads: int | None):
    """Import `peer` and return its `Fit` for a workload."""
    name, _, jobs = peer.partition(":")
    if jobs:
        threads = None if jobs == "None" else int(jobs)
    return importlib.import_module(f"peers.{PEERS[name][1]}").Fit(workload, dtype, threads)
