"""The training doctor: what is wrong with data, settings or weights, and what to change."""

from fastbp.diagnosis.diagnose import diagnose
from fastbp.diagnosis.report import Finding, Report

__all__ = ["Finding", "Report", "diagnose"]
