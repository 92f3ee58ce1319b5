"""Chooses an engine and imports it at its first use: importing fastbp imports no compiler.

Every engine is a module with the same few names:

- ``Trainer(network, training, X, targets, sample_weight, parameters, state=None, n_jobs=None)``
- ``Objective(network, X, targets, sample_weight, alpha, l2, n_jobs=None)``
- ``forward(network, parameters, X, layer=None, n_jobs=None)``
- ``loss_and_gradient(network, parameters, X, targets, sample_weight, alpha, l2, n_jobs=None)``
"""

import importlib
from types import ModuleType

ENGINES = {"cpu": "fastbp.cpu.engine"}


def get(device: str = "cpu") -> ModuleType:
    """The engine module of a device."""
    return importlib.import_module(ENGINES[device])
