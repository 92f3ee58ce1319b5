"""Training by mini-batches: the loop that all engines share.

An engine is asked for a chunk of steps, about 50 ms of work: a fraction of an epoch for a large network,
hundreds of epochs for a tiny one. Between chunks the loop looks around: has the user pressed Ctrl-C, what is
there to tell, what does the validation score say, what do callbacks want, is it time to stop. Nothing here
happens once a batch.
"""

import dataclasses
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.functions.schedules import ADAPTIVE, check_convergence
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan
from fastbp.training.call_stack import warn
from fastbp.training.checkpoint_state import LbfgsHistory, TrainingState
from fastbp.training.early_stopping import Validation
from fastbp.training.interrupt import Interruption
from fastbp.training.overflow import predicts
from fastbp.training.problem import Problem
from fastbp.training.progress import Progress
from fastbp.training.result import ADVICE, INTERRUPTED, NON_FINITE, OVERFLOW, Result, let_interrupt_through

SECONDS_PER_CHUNK = 0.05
LARGEST_GROWTH = 16  # of the chunk from one call to the next: the first may have been a lucky measurement

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
    with ExitStack() as scoring:
        validation = None
        if problem.score is not None:
            score = scoring.enter_context(problem.score())
            validation = Validation(score, problem.parameters if problem.start_counts else None)
        return _fit(problem, validation)


def _fit(problem: Problem, validation: Validation | None) -> Result:
    network, training, rows, n_jobs = problem.network, problem.training, problem.rows, problem.n_jobs
    parameters, state, resumed = problem.parameters, problem.state, problem.resumed
    engine, progress, tasks = problem.engine, problem.progress, problem.tasks
    assert isinstance(training, TrainingPlan) and not isinstance(resumed, LbfgsHistory)
    if validation is not None and training.monitor_loss:
        raise AssertionError("a validation score needs a training plan with the monitor 'external'")
    interrupted = stopped = False
    failure: str | None = None
    chunk = 1
    every_epoch = progress.every_epoch or validation is not None or tasks is not None
    if resumed is not None:
        parameters, state = network.from_row_major(resumed.parameters), _with_layout(network, resumed.state)
    with (
        Interruption() as interruption,
        engine.Trainer(
            network,
            training,
            rows.X,
            rows.targets,
            rows.sample_weight,
            parameters,
            state,
            n_jobs,
            rows.index,
        ) as trainer,
    ):

        def so_far() -> Result:
            return _result(trainer, validation, len(rows))

        def position() -> TrainingState:
            return _position(network, trainer, validation)

        if resumed is not None:
            trainer.resume(
                resumed.loss_curve.tolist(), resumed.best, resumed.n_stale, converged=resumed.converged
            )
            if validation is not None:
                best = resumed.best_parameters
                validation.resume(resumed, None if best is None else network.from_row_major(best))
        told = trainer.n_epochs
        try:
            rate = trainer.learning_rate
            while trainer.status == "running" and failure is None and not stopped:
                interruption.check()
                if tasks is not None:
                    tasks.begin_epoch(so_far)
                started = time.perf_counter()
                done = trainer.train(chunk, every_epoch)
                elapsed = max(time.perf_counter() - started, 1e-9)
                chunk = int(min(max(done * SECONDS_PER_CHUNK / elapsed, 1), LARGEST_GROWTH * chunk))

                if trainer.n_epochs == told:
                    continue
                told = trainer.n_epochs
                loss = trainer.loss_curve[-1]
                score: float | None = None
                if validation is None or trainer.status == "non_finite":
                    progress.epoch(told, loss)
                else:
                    score = validation.score_epoch(trainer.result)
                    if not np.isfinite(score):
                        failure = (
                            "The predictions for the validation rows, or their score, stopped being finite "
                            f"in epoch {told}"
                        )
                        continue
                    trainer.report(-score)
                    progress.epoch(told, loss, score)
                _tell_end_of_patience(trainer, training, rate, validation is not None, progress)
                rate = trainer.learning_rate
                if tasks is not None and trainer.status != "non_finite":
                    stopped = tasks.end_epoch(told, loss, score, so_far, position)
        except KeyboardInterrupt:
            interrupted = True
        if failure is None and trainer.status == "non_finite":
            epoch, step = trainer.failure
            failure = f"The first value that is not finite appeared in epoch {epoch}, step {step}"
        result = so_far()
        restorable = validation is not None and validation.best_parameters is not None
        usable = (failure is None or restorable) and predicts(
            engine, network, result.parameters, rows.X, n_jobs
        )
        if failure is None and not usable:
            failure = f"{OVERFLOW} epoch {trainer.n_epochs}"
        if failure is not None:
            failure = f"{failure}, at learning rate {trainer.learning_rate:g}."
        reached_last_epoch = trainer.status == "max_epochs"
        if tasks is not None and failure is None and not interrupted:
            tasks.keep_last()

    interrupted = interrupted or interruption.pending  # in the last epoch
    progress.close()
    if tasks is not None:
        tasks.close()
    if interrupted:
        let_interrupt_through(problem.is_stream)
    if failure is not None:
        if validation is None or not usable:
            raise ValueError(f"{NON_FINITE} {failure} {ADVICE}")
        # The moments belong to the weights that were lost.
        result.state = None
        warn(
            f"Training diverged. {failure} The weights with the best validation score "
            f"({validation.best_score:f}) are restored. {ADVICE}",
            ConvergenceWarning,
        )
    elif interrupted:
        warn(INTERRUPTED)
    elif reached_last_epoch and problem.warn_at_end and not stopped:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({training.max_epochs}) "
            f"reached and the optimization hasn't converged yet. {TO_CONVERGE}",
            ConvergenceWarning,
        )
    return result


def _result(trainer: Any, validation: Validation | None, n_rows: int) -> Result:
    """The fit as it is; its arrays are the trainer's own."""
    curve = list(trainer.loss_curve)
    result = Result(
        parameters=trainer.result,
        loss=curve[-1] if curve else float("nan"),
        n_epochs=len(curve),
        loss_curve=curve,
        n_samples=len(curve) * n_rows,
        state=trainer.state(),
    )
    if validation is not None:
        result.scores, result.best_score = list(validation.scores), validation.best_score
        if validation.best_parameters is not None:
            result.parameters = validation.best_parameters
    return result


def _position(network: NetworkPlan, trainer: Any, validation: Validation | None) -> TrainingState:
    """What it takes to go on behind the epoch that has just ended; copies."""
    state = trainer.state()
    plain = np.array([network.to_row_major(moment) for moment in state.moments], network.dtype)
    moments = plain.reshape(len(state.moments), network.row_major.n_parameters)
    best = None if validation is None else validation.best_parameters
    return TrainingState(
        parameters=network.to_row_major(trainer.parameters),
        state=dataclasses.replace(state, moments=moments),
        loss_curve=np.array(trainer.loss_curve),
        best=trainer.best_monitored,
        n_stale=trainer.n_stale,
        converged=trainer.status == "converged",
        scores=None if validation is None else np.array(validation.scores),
        best_score=None if validation is None else validation.best_score,
        best_parameters=None if best is None else network.to_row_major(best),
        result=network.to_row_major(trainer.result if best is None else best),
    )


def _with_layout(network: NetworkPlan, state: SolverState) -> SolverState:
    """A state of row-major moments in the layout of this network."""
    moments = np.zeros((len(state.moments), network.n_parameters), network.dtype)
    for own, moment in zip(moments, state.moments, strict=True):
        own[:] = network.from_row_major(moment)
    return dataclasses.replace(state, moments=moments)


def _tell_end_of_patience(
    trainer: Any, training: TrainingPlan, rate_before: float, by_score: bool, progress: Progress
) -> None:
    """Say why the fit stops or why the learning rate falls, in scikit-learn's words."""
    reason = "Validation score did not improve" if by_score else "Training loss did not improve"
    reason += f" more than tol={training.tol:f} for {training.patience:.0f} consecutive epochs."
    adaptive = training.schedule == ADAPTIVE
    if trainer.status == "converged":
        progress.note(f"{reason} {'Learning rate too small. ' if adaptive else ''}Stopping.")
    elif adaptive and trainer.learning_rate < rate_before:
        progress.note(f"{reason} Setting learning rate to {trainer.learning_rate:f}")


def adapt_rate(
    training: TrainingPlan, state: SolverState, loss: float, best: float, n_stale: int
) -> tuple[SolverState, float, int]:
    """The adaptive schedule across calls of `partial_fit`: each of them is one epoch.

    Returns
    -------
    state, best, n_stale
        The state with the learning rate of the next call.
    """
    rate, best, n_stale, _ = check_convergence(
        training.schedule, state.learning_rate, loss, best, n_stale, training.tol, training.patience
    )
    return dataclasses.replace(state, learning_rate=rate), best, n_stale
