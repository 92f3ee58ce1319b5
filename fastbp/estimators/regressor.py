"""BPRegressor: scikit-learn's MLPRegressor, trained by compiled kernels."""

from dataclasses import replace
from typing import Any, Self

import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from fastbp.estimators.input_checks import one_column, validated
from fastbp.estimators.mlp import BackPropagation, has_partial_fit
from fastbp.estimators.options import REGRESSOR, constraints
from fastbp.estimators.parameter_checks import refuse_name_of_loss
from fastbp.estimators.prepare import FitArguments
from fastbp.estimators.regression_predictions import RegressionPredictions
from fastbp.estimators.regression_targets import RegressionTargets, Scales
from fastbp.estimators.type_hints import Count, Flag, PerLayer, RandomState, Real, Scoring
from fastbp.estimators.validation_rows import ValidationArguments


class BPRegressor(RegressionPredictions, BackPropagation):
    """Multi-layer perceptron regressor, trained by error back-propagation in compiled kernels.

    Replaces ``sklearn.neural_network.MLPRegressor``: one or several targets, dense and sparse inputs, sample
    weights.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Units of each hidden layer, all > 0. The one parameter that may be given by position. ``()`` makes a
        linear model with an output activation: linear regression.
    activation : str, Activation or list of them, default='relu'
        Activation of all hidden layers, or one for each: 'identity', 'logistic', 'tanh', 'relu',
        'leaky_relu', 'elu', 'selu', 'gelu', 'gelu_tanh', 'silu', 'mish', 'softplus', 'softsign',
        'hard_sigmoid', 'hard_tanh', 'relu6' or 'maxout', or a `fastbp.Activation` of your own.
    maxout_pieces : int, default=2
        At least 2. Number of linear functions of the inputs whose maximum a unit of activation='maxout' takes
        (Goodfellow et al. 2013). The layer has this many times the weights; `max_norm` limits each function.
    out_activation : str or Activation, default='auto'
        Activation of the output layer: 'auto', 'softmax', 'exp', 'increasing' or one of the above except
        'maxout', see the notes. 'auto' is 'logistic' for log_loss, 'exp' for poisson, gamma and tweedie,
        'increasing' for several quantiles, else 'identity'; gaussian_nll takes no other.
    loss : str or Loss, default='squared_error'
        Loss to minimise: 'squared_error', 'mean_squared_error', 'sum_squared_error', 'absolute_error',
        'huber', 'log_cosh', 'pinball', 'poisson', 'gamma', 'tweedie', 'log_loss' or 'gaussian_nll'. See the
        notes for formulas and matching output activations. 'gaussian_nll' is the negative log-likelihood of
        normal distributions: the network predicts a mean and a variance for each target (Nix and Weigend
        1994), for `predict` with ``return_std=True`` and `predict_interval`.
    loss_params : dict, default=None
        Parameters of the loss: for 'huber' `delta` in (0, inf), default 1; for 'pinball' `quantile` in (0,
        1), default 1/2, or an increasing list for several quantiles of one target, which never cross; for
        'tweedie' `power` in (1, 2), default 1.5; for 'log_loss' `label_smoothing` in [0, 1), default 0; for
        'gaussian_nll' `floor` in (0, inf), default 1e-6, the smallest variance of the standardised target,
        and `beta` in [0, 1], default 1/2: the gradient of each target is multiplied by variance ** beta, so
        that rows which look noisy still teach the mean (Seitzer et al. 2022). 0 is the plain likelihood, and
        what 'lbfgs' needs; with 1 the means are trained as by squared errors.
    solver : str or Solver, default='adam'
        'sgd' (with momentum), 'adam' (Kingma and Ba 2014), 'adamw', 'amsgrad', 'rmsprop', 'adagrad',
        'adadelta', 'lion' and 'rprop' (which needs full batches) work on mini-batches. 'lbfgs' is SciPy's
        L-BFGS-B over all rows at once: good for small data.
    solver_params : dict, default=None
        Solver-specific parameters: for 'rmsprop' `rho` in [0, 1), default 0.99; for 'adadelta' `rho`, 0.9,
        and `damping` in (0, inf), 1e-6; for 'lion' `memory` in [0, 1), 0.99; for 'rprop' `shrink`, 0.5,
        `grow`, 1.2, `smallest`, 1e-6, and `largest`, 50.
    alpha : float, default=1e-4
        In [0, inf). Strength of scikit-learn's L2 penalty ``alpha ||W||^2 / (2 n w)``, with n rows in the
        *batch* and the mean sample weight w of the training set. Its strength changes with `batch_size`, so
        that values tuned in scikit-learn carry over. Intercepts are never penalised.
    l2 : float, default=0.0
        In [0, inf). Strength of a penalty ``l2 ||W||^2 / 2`` that does not depend on the batch size.
    l1 : float, default=0.0
        In [0, inf). Strength of a penalty ``l1 ||W||_1``, for stochastic solvers.
    weight_decay : float, default=None
        In [0, inf). Each step multiplies the weights by 1 - learning rate * `weight_decay`, decoupled from
        the gradient (Loshchilov and Hutter 2019). None is 0.01 for 'adamw' and 0 for all others.
    clip_value : float, default=None
        In (0, inf). Limit of each element of the gradient, penalties included.
    clip_norm : float, default=None
        In (0, inf). Limit of the norm of the whole gradient with its penalties: a longer one is scaled down.
    max_norm : float, default=None
        In (0, inf). Limit of the Euclidean norm of each unit's incoming weights, kept after every step.
    dropout : float or list of float, default=0.0
        In [0, 1). Share of units that a training step drops, for all hidden layers or for each, drawn
        independently for every row; the others are scaled up (Srivastava et al. 2014).
    input_dropout : float, default=0.0
        In [0, 1). The same for the inputs.
    input_noise : float, default=0.0
        In [0, inf). Standard deviation of Gaussian noise added to the inputs in training.
    residual : bool, default=False
        Whether each hidden layer except the first adds its inputs to its outputs if their numbers are equal
        (He et al. 2016): helps to train very deep networks.
    norm : {'batch', 'layer'}, default=None
        Normalisation of the inputs of each hidden layer's activation, followed by a learned scale and shift.
        'batch': by weighted mean and variance over the batch, (z - mean) / sqrt(variance + 1e-5), in
        prediction by running means of both, updated at rate 0.1 per step, or less for a batch with less
        weight than a full one (Ioffe and Szegedy 2015); the layers then have no intercepts. 'layer': over the
        units of the layer, row by row (Ba, Kiros, Hinton 2016).
    input_scaling : {'robust'}, default=None
        Scaling of the inputs inside the network. 'robust': t / sqrt(1 + (t / 3)^2) with t = (x - median) /
        interquartile range of each feature in the first training set (rows split off for validation
        included), so that no absolute value exceeds 3 (Holzmueller, Grinsztajn, Steinwart 2024). A constant
        feature becomes 0 until it varies in a later call of `partial_fit` or a warm start. Needs a dense X.
    learn_input_scales : bool, default=False
        Whether each input is multiplied by a learned factor.
    parametric_activation : bool, default=False
        Whether each hidden unit learns a factor p of its activation f: (1 - p) z + p f(z), initially p = 1.
    rate_factors : dict, default=None
        Factors of the learning rate, in [0, inf), default 1: for `weights`, `biases` and `features` (the
        parameters of `norm`, `learn_input_scales` and `parametric_activation`). The factor of the weights is
        divided by the layer's number of inputs to the power `fan_in_power`, default 0. With
        ``{"fan_in_power": 0.5}`` 'adam' trains as in the neural tangent parametrisation (Jacot, Gabriel,
        Hongler 2018).
    target_scaling : {'standard'}, default=None
        'standard': the network is trained on (y - mean) / standard deviation of the first training set, and
        predictions are scaled back and clipped to the range of targets seen. A target that has been constant
        so far gets its scale when it first varies. `loss_`, its curves and `loss_and_gradients` then refer to
        the standardised target. With loss='gaussian_nll' it is always so.
    average : {'ema', 'swa'}, default=None
        Averaging of the weights over the steps: 'ema' is the exponential moving average, 'swa' the plain mean
        over the last part of the fit. Resumed training starts from the average.
    average_params : dict, default=None
        For 'ema' `decay` in [0, 1), default 0.999; for 'swa' `start` in [0, 1), the share of the fit before
        averaging, default 0.75.
    batch_size : int or 'auto', default='auto'
        At least 1; the last batch of an epoch may be smaller. 'auto' is ``min(200, n_samples)``. A size above
        the number of rows is clipped, with a warning. With norm='batch' at least 2, and the nearest size is
        taken that leaves at least half a batch at the end of an epoch: statistics of fewer rows are noisy.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of solver='sgd'. 'invscaling': after each epoch
        ``learning_rate_init / (t_ + 1) ** power_t``. 'adaptive': divided by 5, as long as it is > 1e-6,
        whenever training would otherwise stop.
    learning_rate_init : float, default=0.001
        In (0, inf). Step size of the stochastic solvers; for 'rprop' the initial one.
    power_t : float, default=0.5
        In [0, inf). Exponent of 'invscaling'.
    schedule : str or Schedule, default=None
        Learning-rate schedule of any stochastic solver: 'constant', 'cosine', 'one_cycle', 'linear', 'step',
        'exponential', 'inverse', 'restarts', 'coslog' or 'plateau', which divides by 5 as 'adaptive' does.
        See the notes for formulas. All except 'plateau' depend on the epoch or run over `max_iter` epochs of
        a fit, or calls of `partial_fit`, and then start again. None is 'constant'.
    schedule_params : dict, default=None
        Parameters of the schedule, and `warmup_steps` in [0, inf), default 0: the rate rises linearly from 0
        over this number of steps.
    max_iter : int, default=200
        At least 1. Maximum number of epochs, or of iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether to shuffle the rows in each epoch.
    fit_intercept : bool, default=True
        Whether the layers have intercepts; if not, `intercepts_` holds zeros.
    init : {'glorot', 'he', 'lecun', 'orthogonal', 'uniform', 'normal', 'zeros'}, default='glorot'
        Distribution of the initial weights of a layer with m inputs and n units. 'glorot': uniform in (-b,
        b), intercepts too, b = sqrt(6 / (m + n)), with 2 in place of 6 for activation='logistic': for the
        same `random_state` the draws are scikit-learn's. 'he': normal with variance 2 / m, for leaky_relu
        2 / (1.0001 m). 'lecun': normal with variance 1 / m, as selu needs. 'orthogonal': a matrix with
        orthonormal rows or columns, uniform among all, times the activation's gain 1 / sqrt(E f(z)^2) for a
        standard normal z. 'uniform': uniform in (-b, b), b = 1 / sqrt(m). 'normal': standard normal,
        intercepts too. Intercepts are zero otherwise. Each of the `maxout_pieces` of a maxout layer is drawn
        as a layer of n units; 'he' then has the variance g^2 / m, and 'orthogonal' the gain g = 1 / sqrt(E
        f^2), f the maximum of `maxout_pieces` standard normal numbers: 1 for two, 0.885 for three.
    out_init : str, default='auto'
        The same for the output layer; 'auto' uses `init`.
    out_bias : 'data' or None, default=None
        Initial intercepts of the output layer. None: drawn by `out_init`. 'data': computed from the training
        rows, such that with ``out_init="zeros"`` the network initially predicts the best constant: the
        quantiles for 'pinball', the median for 'absolute_error', 'huber' and 'log_cosh', mean and variance
        for 'gaussian_nll', the mean for the others, through the inverse of the output activation. Ignored if
        the fit resumes or `intercepts_init` is given.
    random_state : int, RandomState instance or None, default=None
        Random state of the initial weights, the validation split, the shuffling and the noise. With an int,
        the same data gives bitwise identical results for any number of threads.
    tol : float, default=1e-4
        In [0, inf). An epoch is stale if its loss is above the best so far minus `tol` (under early stopping:
        if its score is below the best plus `tol`). For 'lbfgs', the largest entry of the projected gradient
        at which it stops.
    verbose : bool or int, default=False
        True or 1: a progress bar if standard output is a terminal or a notebook, scikit-learn's lines
        ("Iteration 1, loss = ...") elsewhere. Above 1: always lines.
    warm_start : bool, default=False
        Whether `fit` resumes from the weights and the solver state of the previous fit.
    momentum : float, default=0.9
        In [0, 1]. Momentum of solver='sgd': the velocity is v = momentum * v - rate * gradient.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' with momentum > 0 moves by momentum * v - rate * gradient instead of by v.
    early_stopping : bool, default=False
        Whether the stopping rule uses the score (R^2, or `scoring`) of validation rows instead of the loss,
        and the weights of the epoch with the best score are kept, among equal scores those of the last.
        Validation rows are `validation_fraction` of the rows, or `X_val` given to `fit`. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        In [0, 1). Share of the rows used as validation rows; at least two rows.
    scoring : str, callable or None, default=None
        Score of the validation rows for early stopping. None: R^2, or the mean D^2 of several quantiles (the
        loss if all targets of the training set are equal). 'loss': their weighted mean loss without
        penalties; lower is better. The name of a scikit-learn scorer, or ``scorer(estimator, X, y)``, higher
        is better: the estimator predicts with the weights of that epoch, X and y are rows as given to `fit`.
        Weights are passed to scorers that have `sample_weight`.
    beta_1 : float, default=0.9
        In [0, 1). Decay of the first moment of 'adam', the mean of the gradients.
    beta_2 : float, default=0.999
        In [0, 1). Decay of the second moment of 'adam', the mean of their squares.
    epsilon : float, default=1e-8
        In (0, inf). Keeps 'adam' from dividing by zero.
    n_iter_no_change : int or inf, default=10
        Number of consecutive stale epochs after which training ends; ``float("inf")`` for never.
    max_fun : int, default=15000
        At least 1. Maximum number of loss evaluations by 'lbfgs'.
    n_jobs : int or None, default=None
        Number of threads. None: as many as help, within the limits of the environment (CPU affinity,
        container quotas, OMP_NUM_THREADS, joblib). Results are bitwise identical for any number.
    device : {'cpu', 'cuda', 'auto'}, default='cpu'
        Where to train and predict. 'cuda': on an NVIDIA GPU, for dense X; needs
        ``pip install "fastbp[cuda]"``. 'auto': on the GPU where there is one and X is dense, else on the CPU.
        Both train on the same batches and give the same results up to rounding. With 'cuda', X, y and
        sample_weight may already be on the GPU, in any array with ``__cuda_array_interface__``.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Floating-point type of all computations. 'auto': float32 if X is float32, else float64. 'float32'
        takes half the memory, and vector registers hold twice as many numbers: X, y and weights are cast
        once, X without an intermediate copy. It has seven digits, too few for columns such as seconds since
        1970; numbers beyond 3.4e38 are refused. Resumed training (`partial_fit`, `warm_start`) and
        predictions use the dtype of the weights, whatever the dtype of X: another `dtype` is refused until a
        new fit.
    preset : {'tabular'}, default=None
        Other defaults, for dense X: a parameter at its own default, also in a search, takes the
        preset's value if that suits the loss. 'tabular': three hidden layers of 128, robust and learned input
        scales, a standardised target, float32, Adam with a cyclic schedule of 64 epochs. All epochs run; the
        one kept has the best R^2 on a tenth of the rows. `fastbp.presets.parameters` returns them as a
        dictionary.

    Attributes
    ----------
    coefs_ : list of n_layers_ - 1 ndarrays
        The l-th, of shape (units of layer l, units of layer l + 1), holds the weights between these layers.
        May be changed in place or replaced: later calls use the new values. For a maxout layer with k pieces,
        each unit has k adjacent columns: ``coefs_[l].reshape(-1, n_units, k)``.
    intercepts_ : list of n_layers_ - 1 ndarrays
        The l-th, of shape (units of layer l + 1,), is added to that layer; for maxout also k values per unit.
    feature_params_ : list of ndarrays
        Parameters per feature, each of shape (1 or 2, n_features), in the order of the network:
        `input_scaling` (median; factor), `learn_input_scales`; then for each hidden layer `norm` ('batch':
        running mean; variance), its scale and shift, `parametric_activation`. Empty without these. May be
        changed.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are all strings.
    target_mean_, target_scale_, target_range_ : ndarrays of shapes (n_targets,), (n_targets,), (2, n_targets)
        Mean, scale and range (lowest, highest) of the targets; only with ``target_scaling="standard"`` or
        ``loss="gaussian_nll"``. `coefs_` and `intercepts_`, assigned ones too, compute the standardised
        target: predictions are the network's outputs times the scale plus the mean, within the range.
    n_layers_ : int
        Number of layers, including input and output.
    n_outputs_ : int
        Number of outputs. For 'gaussian_nll' two a target: first all means, then as many raw numbers s, of
        variance log(1 + exp(s)) + floor, both of the standardised target.
    out_activation_ : str
        Activation of the output layer.
    n_iter_ : int
        Number of epochs, or iterations of 'lbfgs', in the last call.
    t_ : int
        Number of rows seen by the solver; 0 for 'lbfgs'.
    loss_ : float
        Mean loss of the last epoch, penalties included; for 'lbfgs' the final one.
    loss_curve_ : list of float
        `loss_` of each epoch. Not for 'lbfgs'. `partial_fit` and warm starts extend this list in place, so
        that the time of a call does not grow with earlier epochs: keep a copy, not the list. The same holds
        for the two lists below.
    best_loss_ : float or None
        Smallest loss of an epoch; None under early stopping. Not for 'lbfgs'.
    validation_scores_ : list of float or None
        Score of the validation rows after each epoch, R^2 unless `scoring` is set; the negative loss for
        ``scoring="loss"``; None without early stopping. Not for 'lbfgs'.
    best_validation_score_ : float or None
        Best value of `validation_scores_`. Not for 'lbfgs'.
    validation_loss_curve_ : list of float or None
        Mean loss of the validation rows after each epoch, for ``scoring="loss"``. Not for 'lbfgs'.

    Raises
    ------
    ValueError
        By `fit` and `partial_fit`, for parameters out of range or incompatible with each other, for invalid
        data, and if loss or weights become non-finite: the message then names epoch, step and learning rate.
        The estimator is left unchanged. (Under early stopping with finite best weights, those are restored
        instead, with a ConvergenceWarning.)
    MemoryError
        By `fit` and `partial_fit`, at once, for a network that does not fit in memory.

    See Also
    --------
    BPClassifier : The classifier.
    fastbp.learning_rate_range : Find an initial learning rate.
    fastbp.callbacks : Callbacks for `set_callbacks`, in addition to scikit-learn's own.
    sklearn.neural_network.MLPRegressor : The estimator that this one replaces.

    Notes
    -----
    The formulas of all activations, losses, solvers, schedules and initialisers, and their parameters, are in
    ``fastbp/functions/README.md``.

    The objective is the mean of the losses, weighted by `sample_weight`, plus the penalties. The reported
    loss is the one whose gradient is followed, except for 'gaussian_nll' with `beta` above 0: the loss is the
    negative log-likelihood whatever `beta`, the gradient, also of `loss_and_gradients`, the weighted one.
    Minus that loss, minus the sum of ``log(target_scale_)``, is the log-likelihood in units of y.

    Conformal intervals, which have their coverage whatever the network has learnt, are made by MAPIE for one
    target and any loss: ``SplitConformalRegressor(reg, confidence_level=0.9).conformalize(X_held, y_held)``
    and its `predict_interval`, with rows held out from the fit of `reg`.

    Differences from scikit-learn's MLPRegressor: every parameter except `hidden_layer_sizes` is given by
    keyword; training ends after `n_iter_no_change` stale epochs, not one later; the first non-finite value
    ends the fit; the loss of several targets is the sum over them, where scikit-learn reports the mean but
    follows the gradient of the sum; pickles contain the solver state only after `partial_fit` or with
    `warm_start=True`; float32 and float64 inputs keep their dtype unless `dtype` is set.

    Ctrl-C ends a fit within a fraction of a second, keeps the weights so far and warns. In `partial_fit`, and
    in a fit within a search, an ensemble or a cross-validation, it leaves the estimator unchanged and raises
    KeyboardInterrupt, so that one Ctrl-C ends everything.

    References
    ----------
    Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323, 1986.

    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Goodfellow, Warde-Farley, Mirza, Courville, Bengio, "Maxout networks", ICML 2013.

    He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.

    Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", arXiv:1312.6120, 2013.

    Kingma, Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980, 2014.

    Nix, Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.

    Seitzer, Tavakoli, Antic, Martius, "On the pitfalls of heteroscedastic uncertainty estimation with
    probabilistic neural networks", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import BPRegressor
    >>> X = np.linspace(-3, 3, 200).reshape(-1, 1)
    >>> y = np.sin(X[:, 0])
    >>> reg = BPRegressor(30, activation="tanh", solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> reg.score(X, y) > 0.99
    True
    >>> reg.transform(X).shape  # outputs of the hidden layer
    (200, 30)
    """

    _parameter_constraints: dict = constraints(REGRESSOR)

    def __init__(
        self,
        hidden_layer_sizes: ArrayLike = (100,),
        *,
        activation: str | PerLayer = "relu",
        maxout_pieces: Count = 2,
        out_activation: str = "auto",
        loss: str = "squared_error",
        loss_params: dict[str, Any] | None = None,
        solver: str = "adam",
        solver_params: dict[str, Any] | None = None,
        alpha: Real = 1e-4,
        l2: Real = 0.0,
        l1: Real = 0.0,
        weight_decay: Real | None = None,
        clip_value: Real | None = None,
        clip_norm: Real | None = None,
        max_norm: Real | None = None,
        dropout: Real | PerLayer = 0.0,
        input_dropout: Real = 0.0,
        input_noise: Real = 0.0,
        residual: Flag = False,
        norm: str | None = None,
        input_scaling: str | None = None,
        learn_input_scales: Flag = False,
        parametric_activation: Flag = False,
        rate_factors: dict[str, Any] | None = None,
        target_scaling: str | None = None,
        average: str | None = None,
        average_params: dict[str, Any] | None = None,
        batch_size: str | Count = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Real = 0.001,
        power_t: Real = 0.5,
        schedule: str | None = None,
        schedule_params: dict[str, Any] | None = None,
        max_iter: Count = 200,
        shuffle: Flag = True,
        fit_intercept: Flag = True,
        init: str = "glorot",
        out_init: str = "auto",
        out_bias: str | None = None,
        random_state: RandomState = None,
        tol: Real = 1e-4,
        verbose: Flag | Count = False,
        warm_start: Flag = False,
        momentum: Real = 0.9,
        nesterovs_momentum: Flag = True,
        early_stopping: Flag = False,
        validation_fraction: Real = 0.1,
        scoring: Scoring = None,
        beta_1: Real = 0.9,
        beta_2: Real = 0.999,
        epsilon: Real = 1e-8,
        n_iter_no_change: Real = 10,
        max_fun: Count = 15000,
        n_jobs: Count | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        preset: str | None = None,
    ) -> None:
        given = locals()
        refuse_name_of_loss(hidden_layer_sizes, type(self).__name__)
        self._set_parameters(given)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        coefs_init: Any = None,
        intercepts_init: Any = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data, cast as `dtype` says. Sparse matrices stay sparse.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values; converted to the dtype that the network computes in.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero; only their ratios matter, except for the penalty `alpha`.
        X_val, y_val : array-like, default=None
            Validation rows for early stopping, like X and y. Then no rows are split off, and
            `validation_fraction` is ignored. Refused without ``early_stopping=True``.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows in the score.
        coefs_init, intercepts_init : list of array-like, default=None
            Initial weights, of the shapes of `coefs_` and `intercepts_`. None: drawn by `init` and `out_init`
            (with `warm_start=True`: taken from the previous fit).

        Returns
        -------
        self : BPRegressor
        """
        validation = ValidationArguments(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight, coefs_init, intercepts_init, validation))

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch over the given rows, from the current weights and solver state.

        Not available with solver='lbfgs'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data, converted to the dtype of the first call.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero.

        Returns
        -------
        self : BPRegressor
        """
        return self._fit(FitArguments(X, y, sample_weight, incremental=True))

    # --- Hooks of the base class

    def _check_Xy(self, X, y, *, reset, **check):
        X, y = validated(self, X, y, reset=reset, multi_output=True, y_numeric=True, **check)
        if scipy.sparse.issparse(y):
            y = y.toarray()
        y = one_column(y)
        return X, y.reshape(len(y), -1)

    def _learn_targets(self, options, y, known=None, *, resumes, incremental):
        return RegressionTargets.learn(options, y, self._n_weight_outputs() if resumes else None)

    def _scales(self) -> Scales | None:
        """Scales of the targets in the previous fit; None if it did not scale them."""
        if not hasattr(self, "target_mean_"):
            return None
        return self.target_mean_, self.target_scale_, self.target_range_

    def _learn_scales(self, targets, y, sample_weight, *, resumes, incremental):
        known = self._scales() if resumes else None
        if resumes and targets.are_scaled != (known is not None):
            raise ValueError(
                f"{targets.scaled_by} is not that of the fit that training goes on from: "
                "fit a new estimator, or set it back."
            )
        if not targets.are_scaled:
            return targets
        targets.check_scaling()
        return replace(targets, scales=targets.new_scales(y, sample_weight, known, incremental))

    def _targets(self, y):
        targets = self._learn_targets(self._options(), y, resumes=True, incremental=True)
        return replace(targets, scales=self._scales())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
