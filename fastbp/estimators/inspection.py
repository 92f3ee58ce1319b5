"""Inspection of a trained network: activations, loss and gradients, weights.

The weights are read from `coefs_` and `intercepts_` at each call, since they may have been changed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch

from fastbp.engines.dataset import Dataset
from fastbp.engines.select import get_engine, on_gpu
from fastbp.estimators import initial_weights, precision
from fastbp.estimators.fitted_weights import StoredWeights
from fastbp.estimators.input_checks import blocks_of, canonical, validated
from fastbp.estimators.options import Options, parameter_names, task_of, with_role
from fastbp.estimators.parameter_checks import CheckedParameters
from fastbp.estimators.shared_rows import SharedRows
from fastbp.estimators.targets import Targets
from fastbp.persistence.mixin import SaveMixin
from fastbp.plan.network import NetworkPlan
from fastbp.training.float_errors import silent

PLAIN = frozenset((type(None), str, float, bool, int))
OF_ENGINES = ("device", "n_jobs")  # the parameters that say where predictions are computed


class FittedNetwork(SaveMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, CheckedParameters, ABC):
    """Methods of the estimators that read a trained network."""

    # Set by the constructors of the two classes; others are read through `_options`.
    fit_intercept: Any
    preset: Any
    solver: Any
    warm_start: Any
    n_jobs: Any
    device: Any
    random_state: Any

    # Set by a fit.
    n_features_in_: int
    feature_names_in_: np.ndarray
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    feature_params_: list[np.ndarray]
    _stored: StoredWeights
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None

    # --- Differences between the classifier and the regressor

    @abstractmethod
    def _check_Xy(self, X, y, *, reset: bool, **check) -> tuple:
        """Validate X and y; set n_features_in_ and feature_names_in_ if `reset`."""

    @abstractmethod
    def _default_output(self) -> str:
        """Activation that ``out_activation="auto"`` stands for, given the current weights."""

    @abstractmethod
    def _targets(self, y: Any) -> Targets:
        """Targets of the estimator as it is now; ValueError if `y` does not fit them."""

    # --- The network as it is now

    def _set_parameters(self, given: dict[str, Any]) -> None:
        """Store the arguments of the constructor unchanged."""
        for name in parameter_names(task_of(self)):
            setattr(self, name, given[name])

    def _options(self) -> Options:
        """Parameters as a fit uses them."""
        return Options.from_estimator(self)

    def _copy(self) -> Self:
        """Shallow copy: its attributes may be set without changing this object."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def _fitted_dtype(self) -> np.dtype:
        return initial_weights.common_dtype([np.asarray(coef) for coef in self.coefs_])

    def _feature_params(self) -> Sequence[np.ndarray]:
        # coefs_ and intercepts_ may have been assigned to an estimator that was never fitted
        return getattr(self, "feature_params_", ())

    def _checked_weights(self) -> initial_weights.Layers:
        """Current coefs_ and intercepts_, or ValueError if they do not fit together."""
        self._require("coefs_", "intercepts_")
        options = self._options()
        pieces = int(options.maxout_pieces)
        return initial_weights.check_fitted(self.coefs_, self.intercepts_, options.activations, pieces)

    def _require(self, *names: str) -> None:
        """Raise NotFittedError if one of these fitted attributes is missing."""
        lacking = [name for name in names if getattr(self, name, None) is None]
        if lacking:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: it has no "
                f"{' and no '.join(lacking)}. Call 'fit' with appropriate arguments before using this "
                "estimator, or assign what is missing."
            )

    def _n_weight_outputs(self) -> int:
        """Number of outputs of the current weights."""
        stored: StoredWeights | None = getattr(self, "_stored", None)
        if stored is not None and self._are(stored):
            return stored.network.n_outputs
        return self._checked_weights()[0][-1].shape[1]

    def _out_activation(self) -> str:
        """`out_activation_`, derived if weights were assigned to an estimator that was never fitted."""
        known: str | None = getattr(self, "out_activation_", None)
        if known is not None:
            return known
        wanted = self._options().out_activation
        return self._default_output() if wanted == "auto" else wanted

    def _plan(self) -> tuple[NetworkPlan, initial_weights.Weights]:
        """Plan and current coefs_, intercepts_ and feature_params_, checked to fit together."""
        self._require("coefs_", "intercepts_")
        self._check_parameters(with_role("predicts"))
        coefs, intercepts = self._checked_weights()
        network = initial_weights.cached_plan(
            n_inputs=coefs[0].shape[0],
            hidden_layer_sizes=tuple(coef.shape[0] for coef in coefs[1:]),
            n_outputs=coefs[-1].shape[1],
            **self._options().of_network(self._out_activation()),
            # intercepts assigned to a model without any count, too
            fit_intercept=self.fit_intercept or any(intercept.any() for intercept in intercepts),
            dtype=initial_weights.common_dtype(coefs),
        )
        return network, (coefs, intercepts, initial_weights.check_features(network, self._feature_params()))

    def _network(self) -> tuple[NetworkPlan, np.ndarray]:
        """Plan and flat vector of the current weights: the stored one if its views are still theirs."""
        stored: StoredWeights | None = getattr(self, "_stored", None)
        if stored is None or not self._are(stored):
            network, arrays = self._plan()
            return network, network.pack(*arrays)
        if stored.parameters is None or stored.parameters != self._plain_parameters():
            network, arrays = self._plan()
            if stored.network is not network:  # parameters were set since the fit
                return network, network.pack(*arrays)
        return stored.network, stored.vector

    def _are(self, stored: StoredWeights) -> bool:
        """Return whether the arrays of the estimator are still the stored ones."""
        self._require("coefs_", "intercepts_")
        return stored.are(self.coefs_, self.intercepts_, self._feature_params())

    def _plain_parameters(self) -> tuple | None:
        """Types and values besides the weights that a plan depends on, to find changes in a microsecond.

        None if equality is not enough: for values that are not plain, or without intercepts, which may have
        been edited.
        """
        given = self.__dict__
        values = (given.get("out_activation_"), *[given.get(name) for name in with_role("predicts")])
        types = tuple(map(type, values))  # 0 equals False, but is refused in its place
        is_plain = PLAIN.issuperset(types) or all(kind in PLAIN or issubclass(kind, str) for kind in types)
        return (types, values) if is_plain and self.fit_intercept is True else None

    def _check_X(self, X, network: NetworkPlan):
        X = validated(self, X, reset=False, accept_sparse="csr", dtype=network.dtype, order="C")
        _check_width(X, network)
        return canonical(X)

    def _engine(self, X) -> ModuleType:
        """The engine for X."""
        self._check_parameters(OF_ENGINES)
        return get_engine(self.device, X)

    def _forward(self, X, layer: int | str | None = None, **options) -> np.ndarray:
        network, parameters = self._network()

        def outputs(rows: Any) -> np.ndarray:
            return self._engine(rows).forward(network, parameters, rows, layer, n_jobs=self.n_jobs, **options)

        if isinstance(X, SharedRows):
            return outputs(X.checked(network, self._check_X))
        n_rows = precision.rows_of_block(X, network.dtype)
        if n_rows is None:
            return outputs(self._check_X(X, network))
        whole: np.ndarray | None = None
        for start, rows in blocks_of(self, X, n_rows, network.dtype):
            _check_width(rows, network)
            block = outputs(rows)
            if whole is None:
                whole = np.empty((len(X), *block.shape[1:]), block.dtype)
            whole[start : start + n_rows] = block
            del rows  # free them before the next ones are cast
        assert whole is not None, "an array of several blocks has rows"
        return whole

    def _store(self, stored: StoredWeights) -> None:
        """Set coefs_, intercepts_ and feature_params_."""
        stored.parameters = self._plain_parameters()
        self._stored = stored
        self.coefs_, self.intercepts_ = list(stored.coefs), list(stored.intercepts)
        self.feature_params_ = list(stored.features)

    def _saved_state(self) -> dict:
        # coefs_, intercepts_ and feature_params_ hold the same numbers
        return {name: value for name, value in super()._saved_state().items() if name != "_stored"}

    @silent
    def _set_saved_state(self, state: dict) -> None:
        super()._set_saved_state(state)
        # Memory-mapped weights stay mapped: they may be shared by many processes.
        if hasattr(self, "coefs_") and not any(isinstance(coef, np.memmap) for coef in self.coefs_):
            try:
                network, arrays = self._plan()
            except ValueError:
                return  # assigned by the user; they do not fit together yet
            self._store(StoredWeights(network, network.pack(*arrays), arrays[1]))

    # --- Public methods

    @silent
    def transform(self, X: Any) -> Any:
        """Activations of the last hidden layer: the features that the network has learnt.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, hidden_layer_sizes[-1])
            In the dtype of the network. Without hidden layers, X itself. A container chosen by `set_output`
            has the column names of `get_feature_names_out`.
        """
        network, _ = self._network()
        last_hidden = len(network.layer_shapes) - 1
        if last_hidden > 0:
            return self._forward(X, last_hidden)
        rows = self._check_X(X, network)
        return X if on_gpu(X) else rows

    @silent
    def activations(self, X: Any) -> list[np.ndarray]:
        """Activations of every layer, from the first hidden layer to the output.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        list of n_layers_ - 1 ndarrays
            The l-th has the shape (n_samples, n_units of layer l); the last holds the network's outputs.
        """
        network, parameters = self._network()
        X = self._check_X(X, network)
        forward = self._engine(X).forward
        n_dense = len(network.layer_shapes)
        return [forward(network, parameters, X, layer, n_jobs=self.n_jobs) for layer in range(1, n_dense + 1)]

    @silent
    def loss_and_gradients(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Value and gradient of the objective at the current weights, over all given rows.

        The objective is sum_i w_i loss_i / sum_i w_i + alpha ||W||^2 / (2 sum_i w_i) + l2 ||W||^2 / 2
        + l1 ||W||_1, with w_i = 1 without weights. `solver="lbfgs"` minimises it with l1 = 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets; for a classifier, known labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero. `class_weight` multiplies them.

        Returns
        -------
        sklearn.utils.Bunch
            ``loss``, a float; ``coefs``, ``intercepts`` and ``feature_params``, the derivatives of the loss
            as lists of arrays of the shapes of `coefs_`, `intercepts_` and `feature_params_`. They are zero
            for intercepts with `fit_intercept=False`, and for values that training does not change: those of
            `input_scaling` and the running means of `norm`, which the loss is computed with.
        """
        self._validate_params()
        network, parameters = self._network()
        X, y = self._check_Xy(X, y, reset=False, accept_sparse="csr", dtype=network.dtype, order="C")
        _check_width(X, network)
        X = canonical(X)
        options, targets = self._options(), self._targets(y)
        if targets.n_outputs != network.n_outputs:
            raise ValueError(
                f"coefs_[-1] makes {network.n_outputs} outputs, but y and loss ask for {targets.n_outputs}."
            )
        rows = Dataset(X, targets.encode(y, network), targets.weights(sample_weight, X, y))
        loss, gradient = self._engine(X).loss_and_gradient(
            network, parameters, rows, options.alpha, options.l2, n_jobs=self.n_jobs
        )
        coefs, intercepts = network.unpack(gradient)
        if options.l1 > 0:
            for own, slope in zip(self.coefs_, coefs, strict=True):
                loss += options.l1 * float(np.abs(own).sum())
                slope += options.l1 * np.sign(own)
        feature_params = [row.copy() for row in network.rows(gradient)]
        return Bunch(loss=float(loss), coefs=coefs, intercepts=intercepts, feature_params=feature_params)

    @property
    def _n_features_out(self) -> int:
        return self._checked_weights()[0][-1].shape[0]


def _check_width(X, network: NetworkPlan) -> None:
    if X.shape[1] != network.n_inputs:
        raise ValueError(f"X has {X.shape[1]} features, but coefs_[0] has {network.n_inputs} rows.")
