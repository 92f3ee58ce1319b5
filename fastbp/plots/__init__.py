"""Pictures of training and of networks, as scikit-learn's displays.

They need matplotlib, ``pip install "fastbp[plot]"``, which is imported when one is drawn.
"""

from fastbp.plots.layer_statistics import LayerStatistics
from fastbp.plots.layer_statistics_display import LayerStatisticsDisplay
from fastbp.plots.learning_rate_range import LearningRateRangeDisplay
from fastbp.plots.loss_curve import LossCurveDisplay
from fastbp.plots.network import NetworkDisplay
from fastbp.plots.search_results import SearchResultsDisplay
from fastbp.plots.weights import WeightsDisplay

__all__ = [
    "LayerStatistics",
    "LayerStatisticsDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
    "NetworkDisplay",
    "SearchResultsDisplay",
    "WeightsDisplay",
]
