"""scikit-learn's multi-layer perceptron, trained by compiled back-propagation.

``BPClassifier`` and ``BPRegressor`` replace ``sklearn.neural_network.MLPClassifier`` and ``MLPRegressor``;
``BPEnsembleClassifier`` and ``BPEnsembleRegressor`` average several of them.
Importing this package compiles nothing and imports neither Numba nor a plotting library: the kernels are
loaded by the first fit or prediction.
"""

from fastbp.ensembles import BPEnsembleClassifier, BPEnsembleRegressor
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.learning_rate_range import learning_rate_range
from fastbp.estimators.regressor import BPRegressor
from fastbp.persistence import load
from fastbp.tables import TabularClassifier, TabularRegressor

__version__ = "0.1.0"

__all__ = [
    "BPClassifier",
    "BPEnsembleClassifier",
    "BPEnsembleRegressor",
    "BPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "learning_rate_range",
    "load",
]
