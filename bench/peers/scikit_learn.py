"""scikit-learn's MLP. With the same `random_state` it draws the initial weights that the others are given."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from peers.base import EstimatorPeer

# every workload runs all its epochs, so each fit ends with this warning
warnings.filterwarnings("ignore", category=ConvergenceWarning)


class Fit(EstimatorPeer):
    classes = (MLPClassifier, MLPRegressor)
