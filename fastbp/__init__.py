"""scikit-learn's multi-layer perceptron, trained by compiled back-propagation.

Networks, in place of ``sklearn.neural_network.MLPClassifier`` and ``MLPRegressor``:

    BPClassifier            classes, or several labels of each row
    BPRegressor             numbers, counts, quantiles, means with standard deviations

Several networks, trained in one run and averaged:

    BPEnsembleClassifier    classes
    BPEnsembleRegressor     numbers, with the spread of the members

Tables as they are, with numbers, categories, text, dates and gaps, without tuning:

    TabularClassifier       classes, with calibrated probabilities
    TabularRegressor        numbers, with intervals

Formulas of your own, in place of a name, compiled as fastbp's are:

    Activation              of hidden layers and of the output
    Loss                    of the outputs and targets of a row
    Solver                  the step of a weight, by its gradient
    Schedule                of the learning rate
    register                have a formula known by its name

Functions:

    diagnose                what is wrong with data, settings or weights, and what to change
    from_sklearn            scikit-learn's network as one of fastbp's
    learning_rate_range     find an initial learning rate
    load                    read a model that its method `save` has written

Modules:

    fastbp.callbacks        checkpoints, a time limit, stops of your own
    fastbp.diagnosis        the report of `diagnose`
    fastbp.export           C files and functions for Numba of pipelines
    fastbp.model_selection  scikit-learn's searches, with all candidates trained as one job
    fastbp.onnx             export to ONNX
    fastbp.persistence      files of models
    fastbp.plots            pictures of training and of networks, by matplotlib
    fastbp.preprocessing    encodings of numbers, for any pipeline
    fastbp.tables           the encoder of the table models

``python -m fastbp --help`` has the command line: models of tables in files, lessons, a demonstration.

Importing this package compiles nothing and imports neither Numba nor a plotting library: the kernels are
loaded by the first fit or prediction.
"""

from fastbp.diagnosis import diagnose
from fastbp.ensembles import BPEnsembleClassifier, BPEnsembleRegressor
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.learning_rate_range import learning_rate_range
from fastbp.estimators.regressor import BPRegressor
from fastbp.estimators.sklearn_exchange import from_sklearn
from fastbp.functions.own.activation import Activation
from fastbp.functions.own.formula import register
from fastbp.functions.own.loss import Loss
from fastbp.functions.own.schedule import Schedule
from fastbp.functions.own.solver import Solver
from fastbp.persistence import load
from fastbp.tables import TabularClassifier, TabularRegressor

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "BPClassifier",
    "BPEnsembleClassifier",
    "BPEnsembleRegressor",
    "BPRegressor",
    "Loss",
    "Schedule",
    "Solver",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "diagnose",
    "from_sklearn",
    "learning_rate_range",
    "load",
    "register",
]
