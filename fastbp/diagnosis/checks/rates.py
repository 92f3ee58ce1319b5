"""Checks of the learning rate: a copy is trained at the rate that the range test suggests."""

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.probe import Run
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

# The suggestion is where the loss falls most steeply, not a bound (Smith 2017). Adam's default of 1e-3 is
# 0.06 to 0.8 of it in healthy fits on six sets of sklearn.datasets. Farther off than this, a copy is trained
# at the suggested rate, and only its loss decides.
TIMES = 5.0
MOSTLY = 2.0  # a fall this many times as large makes it serious


def _compared(case: Case) -> tuple[float, float]:
    """The user's rate and the suggested one."""
    suggestion = case.range_test.suggestion
    need(suggestion is not None, "at no rate does the loss fall in a hundred steps")
    assert suggestion is not None
    return float(case.options.learning_rate_init), float(f"{suggestion:.1g}")


def _finding(case: Case, rate: float, better: float, trial: Run, what: str, do: str) -> Finding:
    base, run = case.fall(case.run), case.fall(trial)
    told = f"{case.run.loss:.3g}" if case.run.model is not None else "no finite number"
    return Finding(
        "serious" if run > MOSTLY * base else "warning",
        f"learning_rate_init={rate:g} is {what}: after {case.run.n_epochs} epochs the loss is {told}; after "
        f"{trial.n_epochs} at {better:g} it is {trial.loss:.3g} (guessing: {case.guess:.3g}).",
        rate / better,
        f"{do} learning_rate_init, to about {better:g}.",
        {"learning_rate_init": better},
        {"suggestion": better, "loss": case.run.loss, "loss_at_suggestion": trial.loss},
    )


@check(
    meaning="the learning rate is too low",
    figure="`learning_rate_init` over the rate that the range test suggests",
    threshold=f"below 1/{TIMES:g}, if a copy trained at that rate learns clearly more",
    remedy="`learning_rate_init` near the suggestion",
)
def learning_rate_low(case: Case) -> Finding | None:
    rate, better = _compared(case)
    if rate * TIMES >= better:
        return None
    trial = case.trial(learning_rate_init=better)
    return _finding(case, rate, better, trial, "low", "Raise") if case.learns_more(trial) else None


@check(
    meaning="the learning rate is too high",
    figure="`learning_rate_init` over the rate that the range test suggests",
    threshold=f"above {TIMES:g}, if a copy trained at that rate learns clearly more",
    remedy="`learning_rate_init` near the suggestion; `clip_norm`",
)
def learning_rate_high(case: Case) -> Finding | None:
    rate, better = _compared(case)
    if rate <= TIMES * better:
        return None
    trial = case.trial(learning_rate_init=better)
    return _finding(case, rate, better, trial, "high", "Lower") if case.learns_more(trial) else None


@check(
    meaning="training ends in numbers that are not finite",
    figure="epochs until then",
    threshold="any",
    remedy="scaled inputs and targets, a smaller `learning_rate_init`, `clip_norm`",
)
def divergence(case: Case) -> Finding | None:
    run = case.run
    if not run.failure:
        return None
    return Finding(
        "serious",
        f"The training of a copy failed after {run.n_epochs} epochs: {run.failure}",
        float(run.n_epochs),
        "Scale inputs and targets, lower learning_rate_init, or set clip_norm=1.0.",
        {"learning_rate_init": case.options.learning_rate_init / 10, "clip_norm": 1.0},
    )
