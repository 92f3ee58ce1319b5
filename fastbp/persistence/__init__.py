"""Models in files without pickle: `save` of every estimator, `fastbp.load`, and the description of a file."""

from fastbp.persistence.class_table import SKOPS_TYPES
from fastbp.persistence.model_file import describe, load

__all__ = ["SKOPS_TYPES", "describe", "load"]
