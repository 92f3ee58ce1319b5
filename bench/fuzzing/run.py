"""Runs a case in this process, statement by statement, and asks the oracles about each."""

import contextlib
import copy
import io
import re
import shutil
import sys
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from . import oracles
from .case import IMPORTS, Call, Case
from .state import bits, differences

CHANGES = ("fit", "partial_fit", "set_params", "callbacks", "assign", "resume", "transform")  # the model


@dataclass(frozen=True)
class Finding:
    """What is wrong, in words that group findings of one kind, and the call that it is about."""

    what: str
    call: int  # its place; -1 for the whole case


@dataclass
class Outcome:
    """What came of a case."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)  # of kinds of calls and how they ended
    refusals: Counter[str] = field(default_factory=Counter)  # of messages


def run(case: Case) -> Outcome:
    """Run all statements of a case."""
    return _Run(case).run()


class _Run:
    def __init__(self, case: Case) -> None:
        self.case, self.outcome = case, Outcome()
        self.names: dict[str, Any] = {"__name__": "case"}
        self.data: dict[str, Any] = {}
        self.given: dict[str, Any] = {}  # the bits of the data

    def run(self) -> Outcome:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            self._execute(IMPORTS)
            self.names["folder"] = folder = self.names["tempfile"].mkdtemp(prefix="fastbp-fuzz-")
            try:
                if not self._prepare():
                    return self.outcome
                for number, call in enumerate(self.case.calls):
                    faults = dict.fromkeys(self._call(call))
                    self.outcome.findings += [Finding(what, number) for what in faults]
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return self.outcome

    def _execute(self, code: str) -> None:
        exec(compile(code, oracles.CASE, "exec"), self.names)

    def _prepare(self) -> bool:
        """Make data and estimator; tell whether there are any: not all kinds of numbers go together."""
        try:
            self._execute("\n".join([*self.case.data, self.case.model]))
        except Exception as error:
            self.outcome.counts[f"not made: {type(error).__name__}"] += 1
            self.outcome.refusals[f"not made: {error}"[:100]] += 1
            return False
        self.data = {name: value for name, value in self.names.items() if re.fullmatch(r"[Xyw]\d?", name)}
        self.given = {name: bits(value) for name, value in self.data.items()}
        return True

    def _call(self, call: Call) -> list[str]:
        """Make a call; return its faults."""
        model = self.names["model"]
        before, answers = bits_of(model), self._answers(model)
        copied = self._copy(model) if call.kind in oracles.TRAINING else None
        error, caught = self._record(call.code)
        after = self.names["model"]
        ending = "good" if error is None else type(error).__name__
        self.outcome.counts[f"{call.kind}: {ending}"] += 1
        faults = list(oracles.of_warnings(caught, call, self._starts_afresh(call, after)))
        faults += [f"{call.kind} changes the user's {name[0]}" for name in self._changed_data()]
        if error is not None:
            self.outcome.refusals[f"{call.kind}: {type(error).__name__}: {error}"[:160]] += 1
            faults += oracles.of_error(error, call)
            if call.kind != "resume":
                changed = differences(before, bits_of(after))
                faults += [f"{name} changes in a {call.kind} that fails" for name in changed]
            if self._answers(after) != answers and call.kind != "resume":
                faults.append(f"predictions change in a {call.kind} that fails")
            return faults
        try:
            with warnings.catch_warnings():
                faults += self._faults(call, after, before, answers, copied)
        except Exception as error:
            where = oracles.of_error(error, Call("check", ""))
            faults.append(
                f"after {call.kind}, a question fails: {type(error).__name__}: {str(error)[:80]} {where}"
            )
        return faults

    def _faults(self, call: Call, model: Any, before: dict, answers: Any, copied: Any) -> list[str]:
        """Faults of a call that went well."""
        classifier = is_classifier(model)
        faults = list(oracles.of_acceptance(call, self.data, classifier))
        if call.kind in oracles.TRAINING:
            faults += oracles.of_model(model, self.data[call.X or ""], classifier)
            faults += oracles.of_single_rows(model, self.data[call.X or ""])
            faults += oracles.of_memory(model, self.data)
            if copied is not None:
                faults += self._replayed(call, model, copied)
        elif call.kind == "resume":
            changed = differences(bits_of(self.names["whole"]), bits_of(model))
            is_random = model.random_state is None
            changed = [name for name in changed if name != "_skl_callbacks" and not is_random]
            faults += [f"{name} differs between a resumed fit and a whole one" for name in changed]
        elif call.kind in ("pickle", "deepcopy"):
            if self._answers(model) != answers:
                faults.append(f"predictions change by {call.kind}")
        elif call.kind == "clone":
            parameters = {name: before.get(name) for name in model.get_params(deep=False)}
            changed = differences(parameters, bits_of(model))
            faults += [f"{name} changes by clone" for name in changed if name != "_skl_callbacks"]
        else:
            data = [self.data[name] for name in (call.X, call.y, call.sample_weight) if name is not None]
            # a score of one row is undefined, which scikit-learn says
            exact = oracles.are_moderate(*data) and not (call.kind == "score" and np.shape(data[0])[0] < 2)
            # what a loss with exponential outputs has learnt of some rows, it may overflow for others
            exact = exact and getattr(model, "out_activation_", None) != "exp"
            faults += oracles.of_answer(call.kind, self.names.get("answer"), model, exact=exact)
        if call.kind not in (*CHANGES, "pickle", "deepcopy", "clone"):
            faults += [f"{name} changes by {call.kind}" for name in differences(before, bits_of(model))]
        return faults

    def _replayed(self, call: Call, model: Any, copied: Any) -> list[str]:
        """Make the same call on a copy made before it, with another number of threads: the same bits."""
        jobs = copied.n_jobs
        copied.n_jobs = 2 if jobs == 1 else 1
        self.names["model"] = copied
        error, _ = self._record(call.code)
        self.names["model"] = model
        if error is not None:
            return [f"{call.kind} once more raises {type(error).__name__}: {str(error)[:80]}"]
        copied.n_jobs = jobs
        changed = differences(bits_of(model), bits_of(copied))
        return [f"{name} has other bits when {call.kind} is repeated with other threads" for name in changed]

    def _copy(self, model: Any) -> Any:
        """A copy to repeat a call with; None where its random numbers are not determined, or it has none."""
        if isinstance(model.random_state, int | np.integer | np.random.RandomState):
            with contextlib.suppress(Exception):
                copied = copy.deepcopy(model)
                if hasattr(model, "_memory"):  # what a copy leaves out: the solver's state after a whole fit
                    copied._memory = copy.deepcopy(model._memory)
                return copied
        return None

    def _answers(self, model: Any) -> Any:
        """The bits of what a fitted model says about the first rows, or the kind of error."""
        if "coefs_" not in vars(model):
            return None
        try:
            X = self.data["X"]
            return bits(model.predict(X)), bits(model.activations(X))
        except Exception as error:
            return type(error).__name__

    def _record(self, code: str) -> tuple[BaseException | None, list[oracles.Warned]]:
        """Execute code; return the exception and the warnings."""
        self.names.pop("answer", None)
        caught: list[oracles.Warned] = []

        def hear(message, category, filename, lineno, file=None, line=None) -> None:
            stack = traceback.extract_stack(sys._getframe(1))
            caught.append(oracles.Warned(str(message), category, filename, stack))

        with (
            warnings.catch_warnings(),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),  # NumPy's defaults
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("always")
            warnings.showwarning = hear
            try:
                self._execute(code)
            except Exception as error:
                return error, caught
        return None, caught

    def _changed_data(self) -> list[str]:
        return [name for name, value in self.data.items() if bits(value) != self.given[name]]

    def _starts_afresh(self, call: Call, model: Any) -> bool:
        """Whether all rows of the call are those that the names of the features are learnt of."""
        return call.kind == "fit" and "X_val" not in call.code and not model.warm_start


def bits_of(model: Any) -> dict[str, Any]:
    """The bits of all attributes."""
    return {name: bits(value) for name, value in vars(model).items() if name != "_sklearn_output_config"}
