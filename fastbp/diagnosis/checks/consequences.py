"""Illnesses that have others as their consequence, which are then not looked for: one cause, one finding."""

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.checks.fit_length import early_stop, max_iter_reached
from fastbp.diagnosis.checks.rates import learning_rate_low
from fastbp.diagnosis.registry import found, need


def need_whole_fit(case: Case) -> None:
    """Refuse to judge a network that was trained too little."""
    too_short = found(max_iter_reached, case) or found(early_stop, case) or found(learning_rate_low, case)
    need(not too_short, "the fit ends too early, or in too small steps, to tell")
