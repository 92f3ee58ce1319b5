"""Encodings of numbers that make a network on tabular data better, as transformers for any pipeline."""

from fastbp.preprocessing.periodic import PeriodicEncoder
from fastbp.preprocessing.piecewise_linear import PiecewiseLinearEncoder

__all__ = ["PeriodicEncoder", "PiecewiseLinearEncoder"]
