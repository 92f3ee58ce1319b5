"""The fit loop that all engines share.

An engine is asked for a chunk of steps, about 50 ms of work: a fraction of an epoch for a large network,
hundreds of epochs for a tiny one. Between chunks the loop looks around: has the user pressed Ctrl-C, what is
there to tell, what does the validation score say, what do callbacks want, is it time to stop. Nothing here
happens once a batch.
"""

import dataclasses
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from fastbp.call_stack import is_part_of_another_call, warn
from fastbp.functions.schedules import ADAPTIVE, judge_epoch
from fastbp.holdout import Rows
from fastbp.interrupt import Interruption
from fastbp.overflow import predicts
from fastbp.plan import NetworkPlan
from fastbp.progress import Progress
from fastbp.resume import EpochPosition, Evaluations, digest
from fastbp.tasks import FitTasks
from fastbp.training_plan import SolverState, TrainingPlan

SECONDS_PER_CHUNK = 0.05
ROUNDING = 1e-12  # relative: scores closer than this are equal, such as sums of weights in another order
LARGEST_GROWTH = 16  # of the chunk from one call to the next: the first may have been a lucky measurement

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
    " preprocessed."
)
TO_CONVERGE = (
    "Raise max_iter, or have it converge sooner: inputs scaled by StandardScaler, another learning_rate_init "
    "(fastbp.learning_rate_range finds one) or solver; early_stopping=True ends the fit where the score of "
    "validation rows no longer improves."
)
INTERRUPTED = "Training interrupted by user."
ADVICE = (
    "Try inputs (and, in regression, targets) scaled by StandardScaler, a smaller learning_rate_init, "
    "or another solver."
)
OVERFLOW = "The outputs for the training rows are not finite after"


@dataclasses.dataclass
class Result:
    """What a fit hands back.

    Attributes
    ----------
    parameters : ndarray
        Flat vector; the best one under early stopping.
    loss : float
        Of the last epoch or iteration; NaN where none was finished.
    n_epochs : int
        Epochs, or iterations of L-BFGS, of this call.
    loss_curve : list of float
        One value an epoch; empty for L-BFGS.
    n_samples : int
        Rows seen in the epochs of this call; 0 for L-BFGS.
    state : SolverState or None
        None for L-BFGS, which keeps nothing.
    scores : list of float or None
        Validation scores of the epochs under early stopping.
    best_score : float or None
    """

    parameters: np.ndarray
    loss: float
    n_epochs: int
    loss_curve: list[float] = dataclasses.field(default_factory=list)
    n_samples: int = 0
    state: SolverState | None = None
    scores: list[float] | None = None
    best_score: float | None = None


class Validation:
    """The validation score under early stopping, and the weights that had the best one.

    Of equal scores the last counts: the accuracy of few rows is the same for many epochs, and those that were
    trained longer are the better ones on other rows.

    Parameters
    ----------
    score : callable
        ``score(parameters) -> float``, higher is better; not finite where the predictions are not.
    start : ndarray or None
        Weights of an earlier fit that goes on: what comes after has to be as good.
    """

    def __init__(self, score: Callable[[np.ndarray], float], start: np.ndarray | None = None) -> None:
        self._score = score
        self.scores: list[float] = []
        self.best_score = float("-inf")
        self.best_parameters: np.ndarray | None = None
        if start is not None and np.isfinite(baseline := score(start)):
            self._keep(baseline, start)

    def look(self, parameters: np.ndarray) -> float:
        """Score the weights after an epoch; keep a copy of the last of the best."""
        score = self._score(parameters)
        if np.isfinite(score):
            self.scores.append(score)
            if score >= self.best_score - ROUNDING * abs(self.best_score):
                self._keep(max(score, self.best_score), parameters)
        return score

    def take_up(self, position: EpochPosition, best_parameters: np.ndarray | None) -> None:
        """Stand where a fit stood that is taken up."""
        assert position.scores is not None and position.best_score is not None
        self.scores, self.best_score = position.scores.tolist(), position.best_score
        self.best_parameters = best_parameters

    def _keep(self, score: float, parameters: np.ndarray) -> None:
        self.best_score = score
        if self.best_parameters is None:
            self.best_parameters = parameters.copy()
        else:
            np.copyto(self.best_parameters, parameters)


def fit_stochastic(
    engine: ModuleType,
    network: NetworkPlan,
    training: TrainingPlan,
    rows: Rows,
    parameters: np.ndarray,
    *,
    state: SolverState | None,
    validation: Validation | None,
    progress: Progress,
    n_jobs: int | None,
    warn_at_end: bool = True,
    tasks: FitTasks | None = None,
    resumed: EpochPosition | None = None,
    is_stream: bool = False,
) -> Result:
    """Train by mini-batches until the stopping rule, the last epoch, a callback, Ctrl-C or a number that is
    not finite.

    Parameters
    ----------
    engine : module
        See ``fastbp.engine``.
    training : TrainingPlan
        With the monitor "external" if and only if there is a `validation`.
    parameters : ndarray
        Flat vector to start from; not changed.
    state : SolverState or None
        To go on from; None starts afresh.
    warn_at_end : bool
        Whether reaching the last epoch is worth a ConvergenceWarning.
    tasks : FitTasks or None
        The callbacks' view of the fit, if there are any.
    resumed : EpochPosition or None
        Where the fit goes on; `parameters` and `state` then count for nothing.
    is_stream : bool
        Whether it is one call of many that the user makes, as of `partial_fit`.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C where the fit is a part of something larger, which is to end, too.
    ValueError
        When loss or weights stop being finite, or in the end the outputs for the training rows are not, and
        early stopping has no best weights with which they are.
    """
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

        def position() -> EpochPosition:
            return _position(network, trainer, validation)

        if resumed is not None:
            trainer.take_up(
                resumed.loss_curve.tolist(), resumed.best, resumed.n_stale, converged=resumed.converged
            )
            if validation is not None:
                best = resumed.best_parameters
                validation.take_up(resumed, None if best is None else network.from_row_major(best))
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
                    score = validation.look(trainer.result)
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
        _let_interrupt_through(is_stream)
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
    elif reached_last_epoch and warn_at_end and not stopped:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({training.max_epochs}) "
            f"reached and the optimization hasn't converged yet. {TO_CONVERGE}",
            ConvergenceWarning,
        )
    return result


def _let_interrupt_through(is_stream: bool = False) -> None:
    """Raise KeyboardInterrupt where the fit is a part of something larger, not a call of the user's own.

    Otherwise one Ctrl-C would end one fit of a search, which would score the truncated network as if it were
    whole and go on with the next; or one call of `partial_fit` in a stream of them.
    """
    if is_stream or is_part_of_another_call():
        raise KeyboardInterrupt


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


def _position(network: NetworkPlan, trainer: Any, validation: Validation | None) -> EpochPosition:
    """What it takes to go on behind the epoch that has just ended; copies."""
    state = trainer.state()
    plain = np.array([network.to_row_major(moment) for moment in state.moments], network.dtype)
    moments = plain.reshape(len(state.moments), network.row_major.n_parameters)
    best = None if validation is None else validation.best_parameters
    return EpochPosition(
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
    rate, best, n_stale, _ = judge_epoch(
        training.schedule, state.learning_rate, loss, best, n_stale, training.tol, training.patience
    )
    return dataclasses.replace(state, learning_rate=rate), best, n_stale


def fit_lbfgs(
    engine: ModuleType,
    network: NetworkPlan,
    rows: Rows,
    parameters: np.ndarray,
    *,
    alpha: float,
    l2: float,
    max_iter: int,
    max_fun: int,
    tol: float,
    progress: Progress,
    n_jobs: int | None,
    tasks: FitTasks | None = None,
    resumed: Evaluations | None = None,
) -> Result:
    """Minimise the loss over all rows by SciPy's L-BFGS-B.

    The engine computes in the dtype of the network; SciPy's own vectors are float64, and hold the parameters
    without the padding. `tasks` and `resumed` as in `fit_stochastic`: a fit is taken up by walking the same
    path again, past losses and gradients that are known.

    Raises
    ------
    ValueError
        When the loss, the weights or the outputs for the training rows at the end are not finite.
    """
    real = network.mask()
    flat = parameters.copy()
    latest = Result(parameters, float("nan"), 0)
    solution = None
    stopped = False
    n_known = 0 if resumed is None else resumed.n_epochs
    answers = _Answers(resumed) if tasks is not None and tasks.keeps else None
    with (
        Interruption() as interruption,
        engine.Objective(network, rows.X, rows.targets, rows.sample_weight, alpha, l2, n_jobs) as objective,
    ):

        def loss_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
            interruption.check()
            if tasks is not None and latest.n_epochs >= n_known:
                tasks.begin_epoch(so_far)
            known = None if answers is None else answers.find(x)
            if known is None:
                flat[real] = x
                value, slope = objective(flat)
                known = float(value), slope[real]
                if answers is not None:
                    answers.add(x, *known)
            loss, gradient = known
            return loss, gradient.astype(np.float64)

        def so_far() -> Result:
            return dataclasses.replace(latest)

        def position() -> Evaluations:
            assert answers is not None
            return answers.position(latest.n_epochs, network.to_row_major(latest.parameters))

        def after_iteration(intermediate_result: scipy.optimize.OptimizeResult) -> None:
            nonlocal stopped
            latest.parameters = _with_real(parameters, real, intermediate_result.x)
            latest.loss = float(intermediate_result.fun)
            latest.n_epochs += 1
            if latest.n_epochs <= n_known:
                return
            progress.epoch(latest.n_epochs, latest.loss)
            if tasks is not None:
                stopped = tasks.end_epoch(latest.n_epochs, latest.loss, None, so_far, position)
                if stopped:
                    raise StopIteration

        try:
            solution = scipy.optimize.minimize(
                loss_and_gradient,
                parameters[real].astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
            )
        except KeyboardInterrupt:
            pass

    progress.close()
    if tasks is not None:
        if solution is not None:
            tasks.keep_last()
        tasks.close()
    if solution is None or interruption.pending:
        _let_interrupt_through()
        warn(INTERRUPTED)
    if solution is None:
        if not predicts(engine, network, latest.parameters, rows.X, n_jobs):
            raise ValueError(f"{NON_FINITE} {OVERFLOW} iteration {latest.n_epochs} of lbfgs. {ADVICE}")
        return latest
    result = Result(_with_real(parameters, real, solution.x), float(solution.fun), int(solution.nit))
    if not (np.isfinite(result.loss) and np.isfinite(result.parameters).all()):
        raise ValueError(
            f"{NON_FINITE} The loss or the weights are not finite after iteration {result.n_epochs} of "
            f"lbfgs. {ADVICE}"
        )
    if not predicts(engine, network, result.parameters, rows.X, n_jobs):
        raise ValueError(f"{NON_FINITE} {OVERFLOW} iteration {result.n_epochs} of lbfgs. {ADVICE}")
    if not stopped:
        result.n_epochs = _iterations(solution, max_iter, max_fun)
    return result


def _iterations(solution: scipy.optimize.OptimizeResult, max_iter: int, max_fun: int) -> int:
    """The iterations of L-BFGS; where it has not converged, a warning in scikit-learn's words, then ours."""
    n_iter = min(int(solution.nit), max_iter)
    if solution.status == 0:
        return n_iter
    message = f"lbfgs failed to converge after {n_iter} iteration(s) (status={solution.status}):\n"
    message += f"{solution.message}\n"
    if n_iter == max_iter:
        message += f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
    elif solution.nfev >= max_fun:
        message += f"\nIncrease the number of evaluations of the loss (max_fun={max_fun})."
    message += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warn(message, ConvergenceWarning)
    return n_iter


class _Answers:
    """Losses and gradients that L-BFGS has asked for, by the digest of the point."""

    def __init__(self, known: Evaluations | None) -> None:
        self._known: dict[bytes, tuple[float, np.ndarray]] = {}
        if known is not None:
            for point, loss, gradient in zip(known.points, known.losses, known.gradients, strict=True):
                self._known[point.tobytes()] = float(loss), gradient

    def find(self, x: np.ndarray) -> tuple[float, np.ndarray] | None:
        return self._known.get(digest(x))

    def add(self, x: np.ndarray, loss: float, gradient: np.ndarray) -> None:
        # What is not finite is computed again: in a file it would not differ from damage.
        if np.isfinite(loss) and np.isfinite(gradient).all():
            self._known[digest(x)] = loss, gradient

    def position(self, n_epochs: int, result: np.ndarray) -> Evaluations:
        points = np.frombuffer(b"".join(self._known), np.uint8).reshape(len(self._known), -1)
        losses, gradients = zip(*self._known.values(), strict=True)
        return Evaluations(points, np.array(losses), np.array(gradients), n_epochs, result)


def _with_real(flat: np.ndarray, real: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A copy of a flat vector with other values for its real parameters."""
    flat = flat.copy()
    flat[real] = x
    return flat
