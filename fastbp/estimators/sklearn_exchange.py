"""Exchange with scikit-learn's multi-layer perceptrons: the same network in the other package's class."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from fastbp.estimators import seeds
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.fitted_weights import StoredWeights
from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.options import CLASSIFIER, Options, defaults, task_of, with_role
from fastbp.estimators.regressor import BPRegressor
from fastbp.estimators.warm_start import WarmStartState
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.values import shown
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, rule_of
from fastbp.training.call_stack import warn

# Fitted attributes that both have, under the same names.
SHARED = (
    "n_features_in_",
    "feature_names_in_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)
# Parameters that scikit-learn lacks, and that change neither predictions nor the course of a fit.
FREE = ("n_jobs", "device", "dtype", "preset", "maxout_pieces", "out_activation", "activation")
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
# Losses with the predictions of scikit-learn's own, and the activations of its outputs.
OUTPUTS = {"classifier": ("softmax", "logistic"), "regressor": ("identity", "exp")}


def from_sklearn(estimator: Any) -> Any:
    """Return a scikit-learn network as one of fastbp's: same parameters, weights, labels and predictions.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted or not; it is not changed. Parameters keep their names and values.

    Returns
    -------
    BPClassifier or BPRegressor
        After `partial_fit` of the original, `partial_fit` continues with the moments and the learning rate of
        its solver; the order of the rows is drawn anew.

    Raises
    ------
    TypeError
        For any other object.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from fastbp import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = MLPClassifier((16,), solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(abs(from_sklearn(theirs).predict_proba(X) - theirs.predict_proba(X)).max() < 1e-9)
    True
    """
    kinds = {MLPClassifier: BPClassifier, MLPRegressor: BPRegressor}
    kind = next((ours for theirs, ours in kinds.items() if isinstance(estimator, theirs)), None)
    if kind is None:
        raise TypeError(
            "from_sklearn takes an MLPClassifier or MLPRegressor of scikit-learn's, got "
            f"{shown(estimator)}; of a pipeline or a search, pass the network itself."
        )
    model = kind(**copy.deepcopy(estimator.get_params(deep=False)))
    if hasattr(estimator, "coefs_"):
        _take_fit(model, estimator)
    return model


def _take_fit(model: Any, estimator: Any) -> None:
    """Give a model the weights, labels and solver state of a fitted estimator."""
    for name in SHARED:
        if hasattr(estimator, name):
            setattr(model, name, copy.deepcopy(getattr(estimator, name)))
    if isinstance(model, BPClassifier):
        labels = estimator._label_binarizer
        model.classes_ = estimator.classes_.copy()
        if labels.y_type_.startswith("multilabel"):
            model._indicator = "sparse" if labels.sparse_input_ else "dense"
    model.coefs_, model.intercepts_ = estimator.coefs_, estimator.intercepts_
    network, arrays = model._plan()
    model._store(StoredWeights(network, network.pack(*arrays), arrays[1]))
    model._memory = _solver_state(model, estimator, network)


def _solver_state(model: Any, estimator: Any, network: NetworkPlan) -> WarmStartState | None:
    """The state of scikit-learn's optimizer; None where there is none."""
    optimizer = getattr(estimator, "_optimizer", None)
    if optimizer is None or estimator.solver == "lbfgs":
        return None
    rule = rule_of(estimator.solver, estimator.momentum, estimator.nesterovs_momentum)
    n_layers = len(estimator.coefs_)
    lists = [optimizer.ms, optimizer.vs] if estimator.solver == "adam" else [optimizer.velocities]
    vectors = [network.pack(arrays[:n_layers], arrays[n_layers:]) for arrays in lists]
    moments = np.zeros((SOLVERS[rule].n_states, network.n_parameters), network.dtype)
    for row, vector in zip(moments, vectors, strict=False):  # without momentum none is kept
        row[:] = vector
    rate = estimator.learning_rate_init if estimator.solver == "adam" else optimizer.learning_rate
    state = SolverState(
        solver=rule,
        moments=moments,
        n_steps=int(getattr(optimizer, "t", 0)),
        n_samples_seen=int(estimator.t_),
        learning_rate=float(rate),
        n_epochs=len(estimator.loss_curve_),
    )
    best = estimator.best_loss_ if estimator.best_loss_ is not None else np.inf
    seed = seeds.draw_seed(check_random_state(copy.deepcopy(estimator.random_state)))
    return WarmStartState(state, seed, True, float(best), int(estimator._no_improvement_count))


def to_sklearn(model: BackPropagation) -> MLPClassifier | MLPRegressor:
    """Return scikit-learn's network; see the method of the estimators."""
    options, task = model._options(), task_of(model)
    is_fitted = getattr(model, "coefs_", None) is not None
    kind = MLPClassifier if task == CLASSIFIER else MLPRegressor
    known = list(kind().get_params())
    _refuse_predictions(model, options, is_fitted)
    lost = _lost(options, known)
    if lost and not is_fitted:
        raise ValueError(
            f"{lost[0]}{options.set_by(lost[0].partition('=')[0])} has no counterpart in scikit-learn's "
            f"{kind.__name__}: set it to its default."
        )
    names = [name.partition("=")[0] for name in lost]
    values = {name: getattr(options, name) for name in known if name not in names}
    values["activation"] = _activation(options)
    network = kind(**copy.deepcopy(values))
    if is_fitted:
        if lost:
            warn(
                f"scikit-learn's {kind.__name__} predicts the same, but would not train with "
                f"{', '.join(lost)}, which it does not have."
            )
        _give_fit(model, network)
    return network


def _activation(options: Options) -> str:
    names = {options.activations} if isinstance(options.activations, str) else set(options.activations)
    return str(names.pop()) if names else "relu"


def _refuse_predictions(model: Any, options: Options, is_fitted: bool) -> None:
    """Raise ValueError for a parameter with which predictions would be others."""
    task = task_of(model)
    at_default = defaults(task)
    names = [options.activations] if isinstance(options.activations, str) else list(options.activations)
    out = model._out_activation() if is_fitted else options.out_activation
    wrong = None
    if set(names) - set(ACTIVATIONS) or len(set(names)) > 1:
        wrong = "activation", f"one of {list(ACTIVATIONS)} for all hidden layers"
    elif out != "auto" and out not in OUTPUTS[task]:
        wrong = "out_activation", f"an output with one of {list(OUTPUTS[task])}"
    elif options.loss == "gaussian_nll" or (task == CLASSIFIER and options.loss.endswith("hinge")):
        wrong = "loss", "a network whose outputs are the predictions"
    elif is_fitted and task == CLASSIFIER and out != _sklearns_output(model):
        wrong = "out_activation", f"{_sklearns_output(model)!r} for these classes"
    else:
        training_only = ("fit_intercept", "loss", "loss_params", "dropout", "input_dropout", "input_noise")
        others = [
            name
            for name in (*with_role("predicts"), "target_scaling")
            if name in at_default and name not in (*FREE, *training_only, "rate_factors")
        ]
        changed = [name for name in others if getattr(options, name) != at_default[name]]
        if changed:
            wrong = changed[0], f"its default, {at_default[changed[0]]!r}"
    if wrong is not None:
        name, wanted = wrong
        raise ValueError(
            f"{name}={getattr(options, name)!r}{options.set_by(name)} has no counterpart in scikit-learn, "
            f"which knows {wanted} only."
        )


def _sklearns_output(model: Any) -> str:
    return "softmax" if model._known_labels().kind == "multiclass" else "logistic"


def _lost(options: Options, known: Sequence[str]) -> list[str]:
    """Parameters that change training and that scikit-learn lacks, as name=value."""
    at_default = defaults(options.task)
    own = {"solver": ("adam", "sgd", "lbfgs"), "loss": ("squared_error", "poisson", "log_loss")}
    lost = []
    for name, default in at_default.items():
        value = getattr(options, name)
        if name in own:
            is_lost = value not in own[name]
        else:
            is_lost = name not in known and name not in FREE and not _is(value, default)
        if is_lost:
            lost.append(f"{name}={shown(value)}")
    return lost


def _is(value: Any, default: Any) -> bool:
    """Return whether a value is the default, or without effect as it is."""
    if isinstance(value, list | tuple):
        return all(one == default for one in value)
    return bool(type(value) in (bool, int, float, str, type(None)) and value == default)


def _give_fit(model: Any, network: Any) -> None:
    """Give scikit-learn's network the fitted attributes of a model."""
    for name in SHARED:
        if hasattr(model, name):
            setattr(network, name, copy.deepcopy(getattr(model, name)))
    coefs, intercepts = model._checked_weights()
    network.coefs_, network.intercepts_ = [a.copy() for a in coefs], [a.copy() for a in intercepts]
    network.n_layers_, network.n_outputs_ = len(coefs) + 1, coefs[-1].shape[1]
    network.out_activation_ = model._out_activation()
    network.n_features_in_ = coefs[0].shape[0]
    network._random_state = check_random_state(copy.deepcopy(model.random_state))
    network._no_improvement_count = 0
    network._best_coefs = [a.copy() for a in coefs]
    network._best_intercepts = [a.copy() for a in intercepts]
    if isinstance(network, MLPClassifier):
        labels = model._known_labels()
        network._label_binarizer = LabelBinarizer()
        if labels.kind == "multilabel":
            network._label_binarizer.fit(np.eye(len(labels.classes), dtype=int))
            network._label_binarizer.sparse_input_ = labels.indicator == "sparse"
        else:
            network._label_binarizer.fit(labels.classes)
        network.classes_ = network._label_binarizer.classes_
    _give_solver_state(model, network)


def _give_solver_state(model: Any, network: Any) -> None:
    """Give scikit-learn's network an optimizer that `partial_fit` continues with."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    memory: WarmStartState | None = getattr(model, "_memory", None)
    state = None if memory is None else memory.state
    rule = rule_of(network.solver, network.momentum, network.nesterovs_momentum)
    plan, _ = model._network()
    is_ours = state is not None and state.solver == rule and state.moments.shape[1:] == (plan.n_parameters,)
    if state is None or memory is None or not is_ours or not all(op.bias for op in plan.dense):
        return
    unpacked = [plan.unpack(row) for row in state.moments[: SOLVERS[rule].n_states]]
    lists = [[*coefs, *intercepts] for coefs, intercepts in unpacked]
    parameters = network.coefs_ + network.intercepts_
    if network.solver == "adam":
        rates = (network.learning_rate_init, network.beta_1, network.beta_2, network.epsilon)
        network._optimizer = AdamOptimizer(parameters, *rates)
        network._optimizer.ms, network._optimizer.vs = lists
        network._optimizer.t = state.n_steps
    else:
        network._optimizer = SGDOptimizer(
            parameters,
            network.learning_rate_init,
            network.learning_rate,
            network.momentum,
            network.nesterovs_momentum,
            network.power_t,
        )
        network._optimizer.learning_rate = state.learning_rate
        if lists:
            network._optimizer.velocities = lists[0]
    network._no_improvement_count = memory.n_stale
