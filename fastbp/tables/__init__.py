"""Tables as they are: estimators for data frames with columns of any kind."""

from fastbp.tables.classifier import TabularClassifier
from fastbp.tables.encoder import Encoded, TableEncoder
from fastbp.tables.regressor import TabularRegressor

__all__ = ["Encoded", "TableEncoder", "TabularClassifier", "TabularRegressor"]
