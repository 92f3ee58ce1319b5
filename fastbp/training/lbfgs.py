"""Full-batch training: SciPy's L-BFGS-B with losses and gradients of an engine."""

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


def fit_lbfgs(problem: Problem, interruption: Interruption | None = None) -> Result:
    """Minimise the loss over all rows by SciPy's L-BFGS-B.

    The engine computes in the dtype of the network; SciPy's own vectors are float64 points of the engine's
    ``Objective``. A fit from a checkpoint resumes by replaying the same path with known losses and
    gradients.

    Parameters
    ----------
    problem : Problem
    interruption : Interruption or None
        Of a larger call, in another thread; None: a Ctrl-C is waited for here.

    Raises
    ------
    KeyboardInterrupt, ValueError
        See ``fastbp.training.fit``.
    """
    if interruption is not None:
        return _LbfgsFit(problem, interruption).run()
    with Interruption() as interruption:
        return _LbfgsFit(problem, interruption).run()


class _LbfgsFit:
    """A running fit."""

    def __init__(self, problem: Problem, interruption: Interruption) -> None:
        assert isinstance(problem.training, LbfgsPlan) and not isinstance(problem.resumed, TrainingState)
        self.problem, self.plan, self.tasks = problem, problem.training, problem.tasks
        self.interruption = interruption
        self.latest = Result(problem.parameters, float("nan"), 0)  # but for its parameters
        self.point: np.ndarray | None = None  # of the latest iteration
        self.stopped = False  # by a callback
        self.n_known = 0 if problem.resumed is None else problem.resumed.n_epochs
        keeps = problem.tasks is not None and problem.tasks.keeps
        self.evaluations = _Evaluations(problem.resumed) if keeps else None

    def run(self) -> Result:
        problem, plan = self.problem, self.plan
        solution = None
        objective = problem.engine.Objective(
            problem.network, problem.rows, plan.alpha, plan.l2, problem.n_jobs
        )
        with objective as self.objective:
            start = objective.begin_search(problem.parameters)
            try:
                solution = scipy.optimize.minimize(
                    self._loss_and_gradient,
                    start,
                    method="L-BFGS-B",
                    jac=True,
                    callback=self._end_iteration,
                    options={"maxfun": plan.max_fun, "maxiter": plan.max_iter, "gtol": plan.tol},
                )
            except KeyboardInterrupt:
                pass
        problem.progress.close()
        if self.tasks is not None:
            if solution is not None:
                self.tasks.keep_last()
            self.tasks.close()
        if solution is None or self.interruption.pending:
            let_interrupt_through()
            warn(INTERRUPTED)
        if solution is None:
            result = self._so_far()
            self._refuse_overflow(result)
            return result
        result = Result(objective.parameters_of(solution.x), float(solution.fun), int(solution.nit))
        if not (np.isfinite(result.loss) and np.isfinite(result.parameters).all()):
            raise ValueError(
                f"{NON_FINITE} The loss or the weights are not finite after iteration {result.n_epochs} of "
                f"lbfgs. {ADVICE}"
            )
        self._refuse_overflow(result)
        if not self.stopped:
            result.n_epochs = _iterations(solution, plan.max_iter, plan.max_fun)
        return result

    def _loss_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self.interruption.check()
        if self.tasks is not None and self.latest.n_epochs >= self.n_known:
            self.tasks.begin_epoch(self._so_far)
        known = None if self.evaluations is None else self.evaluations.find(x)
        if known is None:
            value, slope = self.objective.at_point(x)
            known = float(value), slope
            if self.evaluations is not None:
                self.evaluations.add(x, *known)
        loss, gradient = known
        return loss, gradient.astype(np.float64)

    # SciPy passes the result to an argument of this name, but only the point to one of another name.
    def _end_iteration(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        latest = self.latest
        self.point = intermediate_result.x.copy()  # which SciPy changes in place
        latest.loss = float(intermediate_result.fun)
        latest.n_epochs += 1
        if latest.n_epochs <= self.n_known:
            return
        self.problem.progress.epoch(latest.n_epochs, latest.loss)
        if self.tasks is not None:
            number, loss = latest.n_epochs, latest.loss
            self.stopped = self.tasks.end_epoch(
                number, loss, None, self._so_far, self._parameters, self._position
            )
            if self.stopped:
                raise StopIteration

    def _so_far(self) -> Result:
        return dataclasses.replace(self.latest, parameters=self._parameters())

    def _position(self) -> LbfgsHistory:
        assert self.evaluations is not None
        return self.evaluations.position(self.latest.n_epochs, self._parameters())

    def _parameters(self) -> np.ndarray:
        """Flat vector after the latest iteration."""
        if self.point is None:
            return self.problem.parameters.copy()
        parameters: np.ndarray = self.objective.parameters_of(self.point)
        return parameters

    def _refuse_overflow(self, result: Result) -> None:
        problem = self.problem
        if not predicts(problem.engine, problem.network, result.parameters, problem.rows, problem.n_jobs):
            raise ValueError(f"{NON_FINITE} {OVERFLOW} iteration {result.n_epochs} of lbfgs. {ADVICE}")


def _iterations(solution: scipy.optimize.OptimizeResult, max_iter: int, max_fun: int) -> int:
    """Return the iterations of L-BFGS; warn if it has not converged, in scikit-learn's words, then ours."""
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


class _Evaluations:
    """Losses and gradients evaluated by L-BFGS, by the digest of the point."""

    def __init__(self, known: LbfgsHistory | None) -> None:
        self._known: dict[bytes, tuple[float, np.ndarray]] = {}
        if known is not None:
            for point, loss, gradient in zip(known.points, known.losses, known.gradients, strict=True):
                self._known[point.tobytes()] = float(loss), gradient

    def find(self, x: np.ndarray) -> tuple[float, np.ndarray] | None:
        return self._known.get(digest(x))

    def add(self, x: np.ndarray, loss: float, gradient: np.ndarray) -> None:
        # Non-finite values are computed again: in a file they could not be told from damage.
        if np.isfinite(loss) and np.isfinite(gradient).all():
            self._known[digest(x)] = loss, gradient

    def position(self, n_epochs: int, result: np.ndarray) -> LbfgsHistory:
        points = np.frombuffer(b"".join(self._known), np.uint8).reshape(len(self._known), -1)
        losses, gradients = zip(*self._known.values(), strict=True)
        return LbfgsHistory(points, np.array(losses), np.array(gradients), n_epochs, result)
