"""Training on all rows at once: SciPy's L-BFGS-B asks an engine for losses and gradients."""

import dataclasses

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from fastbp.plan.training import LbfgsPlan
from fastbp.training.call_stack import warn
from fastbp.training.checkpoint_state import LbfgsHistory, TrainingState, digest
from fastbp.training.interrupt import Interruption
from fastbp.training.overflow import predicts
from fastbp.training.problem import Problem
from fastbp.training.result import ADVICE, INTERRUPTED, NON_FINITE, OVERFLOW, Result, let_interrupt_through


def fit_lbfgs(problem: Problem) -> Result:
    """Minimise the loss over all rows by SciPy's L-BFGS-B.

    The engine computes in the dtype of the network; SciPy's own vectors are float64, and hold the parameters
    without the padding. A fit from a checkpoint resumes by walking the same path again, past losses and
    gradients that are known.

    Raises
    ------
    KeyboardInterrupt, ValueError
        See ``fastbp.training.fit``.
    """
    engine, network, rows, plan = problem.engine, problem.network, problem.rows, problem.training
    parameters, n_jobs, resumed = problem.parameters, problem.n_jobs, problem.resumed
    progress, tasks = problem.progress, problem.tasks
    assert isinstance(plan, LbfgsPlan) and not isinstance(resumed, TrainingState)
    real = network.mask()
    flat = parameters.copy()
    latest = Result(parameters, float("nan"), 0)
    solution = None
    stopped = False
    n_known = 0 if resumed is None else resumed.n_epochs
    answers = _Answers(resumed) if tasks is not None and tasks.keeps else None
    with (
        Interruption() as interruption,
        engine.Objective(
            network, rows.X, rows.targets, rows.sample_weight, plan.alpha, plan.l2, n_jobs
        ) as objective,
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

        def position() -> LbfgsHistory:
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
                options={"maxfun": plan.max_fun, "maxiter": plan.max_iter, "gtol": plan.tol},
            )
        except KeyboardInterrupt:
            pass

    progress.close()
    if tasks is not None:
        if solution is not None:
            tasks.keep_last()
        tasks.close()
    if solution is None or interruption.pending:
        let_interrupt_through()
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
        result.n_epochs = _iterations(solution, plan.max_iter, plan.max_fun)
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

    def __init__(self, known: LbfgsHistory | None) -> None:
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

    def position(self, n_epochs: int, result: np.ndarray) -> LbfgsHistory:
        points = np.frombuffer(b"".join(self._known), np.uint8).reshape(len(self._known), -1)
        losses, gradients = zip(*self._known.values(), strict=True)
        return LbfgsHistory(points, np.array(losses), np.array(gradients), n_epochs, result)


def _with_real(flat: np.ndarray, real: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A copy of a flat vector with other values for its real parameters."""
    flat = flat.copy()
    flat[real] = x
    return flat
