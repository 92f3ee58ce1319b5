"""BPClassifier: scikit-learn's MLPClassifier, trained by compiled kernels."""

from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from fastbp.estimators.class_predictions import ClassPredictions
from fastbp.estimators.class_targets import ClassTargets, listed_labels
from fastbp.estimators.exact_labels import label_array
from fastbp.estimators.input_checks import one_column, validated
from fastbp.estimators.labels import Labels
from fastbp.estimators.mlp import BackPropagation, has_partial_fit
from fastbp.estimators.options import CLASSIFIER, constraints
from fastbp.estimators.parameter_checks import refuse_name_of_loss
from fastbp.estimators.prepare import FitArguments
from fastbp.estimators.type_hints import Count, Flag, PerLayer, RandomState, Real, Scoring
from fastbp.estimators.validation_rows import ValidationArguments


class BPClassifier(ClassPredictions, BackPropagation):
    """Multi-layer perceptron classifier, trained by error back-propagation in compiled kernels.

    Replaces ``sklearn.neural_network.MLPClassifier``: binary, multiclass and multilabel targets, dense and
    sparse inputs, sample weights.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Units of each hidden layer, all > 0. The one parameter that may be given by position. ``()`` makes a
        linear model with an output activation: logistic regression.
    activation : str, Activation or list of them, default='relu'
        Activation of all hidden layers, or one for each: 'identity', 'logistic', 'tanh', 'relu',
        'leaky_relu', 'elu', 'selu', 'gelu', 'gelu_tanh', 'silu', 'mish', 'softplus', 'softsign',
        'hard_sigmoid', 'hard_tanh', 'relu6' or 'maxout', or a `fastbp.Activation` of your own.
    maxout_pieces : int, default=2
        At least 2. Number of linear functions of the inputs whose maximum a unit of activation='maxout' takes
        (Goodfellow et al. 2013). The layer has this many times the weights; `max_norm` limits each function.
    out_activation : str or Activation, default='auto'
        Activation of the output layer: 'auto', 'softmax', 'exp' or one of the above except 'maxout', see the
        notes. 'auto' is 'softmax' for three or more classes, 'logistic' for two classes and for multilabel
        targets, 'identity' for hinge losses.
    loss : str or Loss, default='log_loss'
        Loss to minimise: 'log_loss', 'focal', 'hinge', 'squared_hinge', 'squared_error', 'mean_squared_error'
        or 'sum_squared_error'. See the notes for formulas and matching output activations.
    loss_params : dict, default=None
        Parameters of the loss: for 'log_loss' `label_smoothing` in [0, 1), default 0; for 'focal' `gamma` in
        [0, inf), default 2. For example ``{"label_smoothing": 0.1}``.
    class_weight : 'balanced', dict, list of dict or None, default=None
        Class weights, which multiply `sample_weight`: ``{class: weight}``, with 1 for classes not listed.
        'balanced' is ``n_samples / (n_classes * rows of the class)`` over the rows given to `fit`; not for
        `partial_fit`. For multilabel targets, a list with a dictionary ``{0: ..., 1: ...}`` for each label:
        the weight of a row is their product.
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
        rows, such that with ``out_init="zeros"`` the network initially predicts the class frequencies for
        every X: log-odds for 'logistic' outputs, logarithms for 'softmax'; a class without rows counts as
        half a row. Ignored if the fit resumes or `intercepts_init` is given.
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
        Whether the stopping rule uses the score (accuracy, or `scoring`) of validation rows instead of the
        loss, and the weights of the epoch with the best score are kept; among equal scores those of the last
        epoch, since accuracy on few rows soon reaches its maximum. Validation rows are `validation_fraction`
        of the rows, or `X_val` given to `fit`. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        In [0, 1). Share of the rows used as validation rows; at least two rows. With two classes, the split
        is stratified, as in scikit-learn.
    scoring : str, callable or None, default=None
        Score of the validation rows for early stopping. None: accuracy. 'loss': their weighted mean loss
        without penalties; lower is better. The name of a scikit-learn scorer, or ``scorer(estimator, X, y)``,
        higher is better: the estimator predicts with the weights of that epoch, X and y are rows as given to
        `fit`. Weights are passed to scorers that have `sample_weight`.
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
        scales, label smoothing, float32, Adam with a cyclic schedule of 64 epochs. All epochs run; the one
        kept has the best accuracy on a tenth of the rows, among equals the last. `fastbp.presets.parameters`
        returns them as a dictionary.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for multilabel targets the column indices.
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
    n_layers_ : int
        Number of layers, including input and output.
    n_outputs_ : int
        Number of outputs.
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
        Score of the validation rows after each epoch, accuracy unless `scoring` is set; the negative loss for
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
    BPRegressor : The regressor.
    fastbp.learning_rate_range : Find an initial learning rate.
    fastbp.callbacks : Callbacks for `set_callbacks`, in addition to scikit-learn's own.
    sklearn.neural_network.MLPClassifier : The estimator that this one replaces.

    Notes
    -----
    The formulas of all activations, losses, solvers, schedules and initialisers, and their parameters, are in
    ``fastbp/functions/README.md``.

    The objective is the mean of the losses, weighted by `sample_weight`, plus the penalties. The reported
    loss is the one whose gradient is followed.

    Squared errors compare the outputs with targets of zeros and ones, one column for two classes, else one
    for each class; hinge losses compare them with signs. Only 'softmax' and 'logistic' outputs are
    probabilities, with `predict_proba` and `predict_log_proba`; the others have `decision_function`.
    ``out_activation="softmax"`` with two classes makes two outputs.

    Differences from scikit-learn's MLPClassifier: every parameter except `hidden_layer_sizes` is given by
    keyword; training ends after `n_iter_no_change` stale epochs, not one later; the first non-finite value
    ends the fit; `predict_log_proba` is computed from the logits and finite where they are; pickles contain
    the solver state only after `partial_fit` or with `warm_start=True`; float32 and float64 inputs keep their
    dtype unless `dtype` is set.

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

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from fastbp import BPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = BPClassifier(64, max_iter=30, tol=0, random_state=0, learning_rate_init=0.01)
    >>> clf = clf.fit(X_train, y_train)
    >>> clf.score(X_test, y_test) > 0.95
    True
    >>> clf.predict_proba(X_test[:3]).shape
    (3, 10)
    >>> [coef.shape for coef in clf.coefs_]
    [(64, 64), (64, 10)]
    """

    _parameter_constraints: dict = constraints(CLASSIFIER)

    def __init__(
        self,
        hidden_layer_sizes: ArrayLike = (100,),
        *,
        activation: str | PerLayer = "relu",
        maxout_pieces: Count = 2,
        out_activation: str = "auto",
        loss: str = "log_loss",
        loss_params: dict[str, Any] | None = None,
        class_weight: str | dict | list | None = None,
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
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape (n_samples, n_labels)
            Class labels, numbers or strings; a matrix of zeros and ones for multilabel classification.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero; only their ratios matter, except for the penalty `alpha`. They
            are multiplied by `class_weight`.
        X_val, y_val : array-like, default=None
            Validation rows for early stopping, like X and y. Then no rows are split off, and
            `validation_fraction` is ignored. Refused without ``early_stopping=True``.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows in the score, not multiplied by `class_weight`.
        coefs_init, intercepts_init : list of array-like, default=None
            Initial weights, of the shapes of `coefs_` and `intercepts_`. None: drawn by `init` and `out_init`
            (with `warm_start=True`: taken from the previous fit).

        Returns
        -------
        self : BPClassifier
        """
        validation = ValidationArguments(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight, coefs_init, intercepts_init, validation))

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch over the given rows, from the current weights and solver state.

        Not available with solver='lbfgs'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data, converted to the dtype of the first call.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, all of them in `classes`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero.
        classes : array-like of shape (n_classes,), default=None
            All labels that may occur; required in the first call.

        Returns
        -------
        self : BPClassifier
        """
        return self._fit(FitArguments(X, y, sample_weight, incremental=True, classes=classes))

    # --- Hooks of the base class

    def _earlier_labels(self) -> Labels | None:
        return None if getattr(self, "classes_", None) is None else self._labels()

    def _known_targets(self, options, given):
        return listed_labels(options, given.classes, self._earlier_labels()) if given.incremental else None

    def _learn_targets(self, options, y, known=None, *, resumes, incremental):
        if known is None and resumes:
            known = self._earlier_labels()
        before = self._n_weight_outputs() if resumes else None
        return ClassTargets.learn(options, y, known, before, incremental=incremental)

    def _targets(self, y):
        return self._learn_targets(self._options(), y, resumes=True, incremental=True)

    def _check_Xy(self, X, y, *, reset, **check):
        X, y = validated(self, X, label_array(y), reset=reset, multi_output=True, **check)
        return X, one_column(y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
