"""Deep ensembles: several networks trained in one run, whose predictions are averaged."""

from fastbp.ensembles.classifier import BPEnsembleClassifier
from fastbp.ensembles.regressor import BPEnsembleRegressor

__all__ = ["BPEnsembleClassifier", "BPEnsembleRegressor"]
