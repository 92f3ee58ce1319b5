"""Training by mini-batches: the loop shared by all engines.

An engine runs a chunk of steps, about 50 ms of work: a fraction of an epoch for a large network, hundreds of
epochs for a tiny one. Between chunks the loop checks for Ctrl-C, reports progress, computes the validation
score, runs callbacks and applies the stopping rule. Nothing here runs once per batch.
"""

import dataclasses
import time
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.functions.schedules import ADAPTIVE, check_convergence
from fastbp.plan.training import SolverState, TrainingPlan
from fastbp.training.call_stack import warn
from fastbp.training.checkpoint_state import LbfgsHistory, TrainingState
from fastbp.training.early_stopping import Validation
from fastbp.training.interrupt import Interruption
from fastbp.training.overflow import predicts
from fastbp.training.problem import Problem
from fastbp.training.result import ADVICE, INTERRUPTED, NON_FINITE, OVERFLOW, Result, let_interrupt_through

SECONDS_PER_CHUNK = 0.05
LARGEST_GROWTH = 16  # of the chunk from one call to the next: the first time may be measured too short

TO_CONVERGE = (
    "Raise max_iter, or have it converge sooner: inputs scaled by StandardScaler, another learning_rate_init "
    "(fastbp.learning_rate_range finds one) or solver; early_stopping=True ends the fit where the score of "
    "validation rows no longer improves."
)


def fit_minibatch(problem: Problem) -> Result:
    """Train by mini-batches until the stopping rule, the last epoch, a callback, Ctrl-C or a number that is
    not finite.

    Raises
    ------
    KeyboardInterrupt, ValueError
        See ``fastbp.training.fit``.
    """
    with Interruption() as interruption, MinibatchFit(problem) as running:
        try:
            while running.train_chunk():
                interruption.check()
        except KeyboardInterrupt:
            running.interrupted = True
        running.conclude()
        running.interrupted = running.interrupted or interruption.pending  # in the last epoch
    return running.result()


class MinibatchFit:
    """A running fit: a context manager that holds the trainer and the validation rows.

    `train_chunk` until it returns False, then `conclude`, then, outside the context, `result`.

    Attributes
    ----------
    chunk : int
        Steps of the next chunk.
    interrupted : bool
        Whether training was ended by Ctrl-C.
    """

    def __init__(self, problem: Problem, chunk: int = 1) -> None:
        assert isinstance(problem.training, TrainingPlan) and not isinstance(problem.resumed, LbfgsHistory)
        self.problem = problem
        self.training: TrainingPlan = problem.training
        self.resumed: TrainingState | None = problem.resumed
        self.progress, self.tasks = problem.progress, problem.tasks
        self.chunk = chunk
        self.stopped = self.interrupted = False  # by a callback, by Ctrl-C
        self.failure: str | None = None
        self.validation: Validation | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        problem = self.problem
        with ExitStack() as held:
            if problem.score is not None:
                if self.training.monitor_loss:
                    raise AssertionError(
                        "a validation score needs a training plan with the monitor 'external'"
                    )
                score = held.enter_context(problem.score())
                self.validation = Validation(score, problem.parameters if problem.start_counts else None)
            self.begin(held.enter_context(self._trainer()))
            self._held = held.pop_all()
        return self

    def begin(self, trainer: Any) -> None:
        """Train by `trainer`, which has the parameters and the solver's state of `start`."""
        self.trainer = trainer
        if self.resumed is not None:
            self._resume(self.resumed)
        self._every_epoch = self.progress.every_epoch or self.validation is not None or self.tasks is not None
        self._reported, self.rate = trainer.n_epochs, trainer.learning_rate

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)

    @property
    def runs(self) -> bool:
        """Whether training has not come to an end."""
        return self.trainer.status == "running" and self.failure is None and not self.stopped

    def train_chunk(self) -> bool:
        """Train for about `SECONDS_PER_CHUNK`; return whether training has not come to an end."""
        if not self.runs:
            return False
        trainer = self.trainer
        if self.tasks is not None:
            self.tasks.begin_epoch(self._so_far)
        started = time.perf_counter()
        done = trainer.train(self.chunk, self._every_epoch)
        self.chunk = next_chunk(self.chunk, done, time.perf_counter() - started)
        return self.end_chunk()

    def end_chunk(self) -> bool:
        """Score and report after a chunk; return whether training has not come to an end."""
        trainer = self.trainer
        if trainer.n_epochs != self._reported:
            self._reported = trainer.n_epochs
            self._end_epoch(self._reported)
        return self.runs

    def conclude(self) -> None:
        """Check and keep the result of the training, before the trainer's memory is given back."""
        self._result, self._usable = self._check_result()
        self._reached_last_epoch = self.trainer.status == "max_epochs"
        if self.problem.keeps_position and self.failure is None and not self.interrupted:
            self._result.position = self._position()
        if self.tasks is not None and self.failure is None and not self.interrupted:
            self.tasks.keep_last()

    def result(self) -> Result:
        """Return the result; warn or raise ValueError or KeyboardInterrupt where training went wrong."""
        problem = self.problem
        self.progress.close()
        if self.tasks is not None:
            self.tasks.close()
        if self.interrupted:
            let_interrupt_through(problem.is_stream)
        if self.failure is not None:
            self._restore_or_raise(self._result, self._usable)
        elif self.interrupted:
            warn(INTERRUPTED)
        elif self._reached_last_epoch and problem.warn_at_end and not self.stopped:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.training.max_epochs}) "
                f"reached and the optimization hasn't converged yet. {TO_CONVERGE}",
                ConvergenceWarning,
            )
        return self._result

    def _trainer(self) -> Any:
        problem, start = self.problem, self.start
        return problem.engine.Trainer(
            problem.network, self.training, problem.rows, start.parameters, start.state, problem.n_jobs
        )

    @property
    def start(self) -> Problem | TrainingState:
        """What the training begins with: parameters and the solver's state."""
        return self.problem if self.resumed is None else self.resumed

    def _resume(self, resumed: TrainingState) -> None:
        self.trainer.resume(
            resumed.loss_curve.tolist(), resumed.best, resumed.n_stale, converged=resumed.converged
        )
        if self.validation is not None:
            self.validation.resume(resumed)

    def _end_epoch(self, number: int) -> None:
        """Score and report the epochs that have ended, and run callbacks."""
        trainer, loss = self.trainer, self.trainer.loss_curve[-1]
        score: float | None = None
        if self.validation is None or trainer.status == "non_finite":
            self.progress.epoch(number, loss)
        else:
            score = self.validation.score_epoch(trainer.result)
            if not np.isfinite(score):
                self.failure = (
                    "The predictions for the validation rows, or their score, stopped being finite "
                    f"in epoch {number}"
                )
                return
            trainer.report(-score)
            self.progress.epoch(number, loss, score)
        self._note_end_of_patience()
        self.rate = trainer.learning_rate
        if self.tasks is not None and trainer.status != "non_finite":
            self.stopped = self.tasks.end_epoch(
                number, loss, score, self._so_far, lambda: trainer.parameters, self._position
            )

    def _note_end_of_patience(self) -> None:
        """Report why the fit stops or the learning rate falls, in scikit-learn's words."""
        training, trainer = self.training, self.trainer
        what = "Training loss" if self.validation is None else "Validation score"
        reason = (
            f"{what} did not improve more than tol={training.tol:f} for {training.patience:.0f} "
            "consecutive epochs."
        )
        adaptive = training.schedule == ADAPTIVE
        if trainer.status == "converged":
            self.progress.note(f"{reason} {'Learning rate too small. ' if adaptive else ''}Stopping.")
        elif adaptive and trainer.learning_rate < self.rate:
            self.progress.note(f"{reason} Setting learning rate to {trainer.learning_rate:f}")

    def _check_result(self) -> tuple[Result, bool]:
        """Return the result, and whether its outputs for the training rows are finite; set `failure`."""
        trainer, validation, problem = self.trainer, self.validation, self.problem
        if self.failure is None and trainer.status == "non_finite":
            epoch, step = trainer.failure
            self.failure = f"The first value that is not finite appeared in epoch {epoch}, step {step}"
        result = self._so_far()
        restorable = validation is not None and validation.best_parameters is not None
        usable = (self.failure is None or restorable) and predicts(
            problem.engine, problem.network, result.parameters, problem.rows, problem.n_jobs
        )
        if self.failure is None and not usable:
            self.failure = f"{OVERFLOW} epoch {trainer.n_epochs}"
        if self.failure is not None:
            self.failure = f"{self.failure}, at learning rate {trainer.learning_rate:g}."
        return result, usable

    def _restore_or_raise(self, result: Result, usable: bool) -> None:
        """Raise ValueError unless early stopping has finite best weights, which `result` then has."""
        if self.validation is None or not usable:
            raise ValueError(f"{NON_FINITE} {self.failure} {ADVICE}")
        # The moments belong to the discarded weights.
        result.state = None
        warn(
            f"Training diverged. {self.failure} The weights with the best validation score "
            f"({self.validation.best_score:f}) are restored. {ADVICE}",
            ConvergenceWarning,
        )

    def _so_far(self) -> Result:
        """Result so far; its arrays are its own."""
        curve, validation = list(self.trainer.loss_curve), self.validation
        best = None if validation is None else validation.best_parameters
        result = Result(
            parameters=self.trainer.result if best is None else best.copy(),
            loss=curve[-1] if curve else float("nan"),
            n_epochs=len(curve),
            loss_curve=curve,
            n_samples=len(curve) * len(self.problem.rows),
            state=self.trainer.state(),
        )
        if validation is not None:
            result.scores, result.best_score = list(validation.scores), validation.best_score
        return result

    def _position(self) -> TrainingState:
        """State needed to resume after the epoch that has just ended; copies."""
        trainer, validation = self.trainer, self.validation
        best = None if validation is None else validation.best_parameters
        return TrainingState(
            parameters=trainer.parameters,
            state=trainer.state(),
            loss_curve=np.array(trainer.loss_curve),
            best=trainer.best_monitored,
            n_stale=trainer.n_stale,
            converged=trainer.status == "converged",
            scores=None if validation is None else np.array(validation.scores),
            best_score=None if validation is None else validation.best_score,
            best_parameters=None if best is None else best.copy(),
            result=trainer.result if best is None else best.copy(),
        )


def next_chunk(chunk: int, done: int, seconds: float, wanted: float | None = None) -> int:
    """Return the steps of the next chunk, after one in which `done` steps took some seconds.

    It is to take `wanted` seconds; None: `SECONDS_PER_CHUNK`.
    """
    wanted = SECONDS_PER_CHUNK if wanted is None else wanted
    return int(min(max(done * wanted / max(seconds, 1e-9), 1), LARGEST_GROWTH * chunk))


def adapt_rate(
    training: TrainingPlan, state: SolverState, loss: float, best: float, n_stale: int
) -> tuple[SolverState, float, int]:
    """Apply the adaptive schedule across calls of `partial_fit`, each of which is one epoch.

    Returns
    -------
    state, best, n_stale
        The state with the learning rate of the next call.
    """
    rate, best, n_stale, _ = check_convergence(
        training.schedule, state.learning_rate, loss, best, n_stale, training.tol, training.patience
    )
    return dataclasses.replace(state, learning_rate=rate), best, n_stale
