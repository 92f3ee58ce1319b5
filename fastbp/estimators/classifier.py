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

    Takes the place of ``sklearn.neural_network.MLPClassifier``: binary, multiclass and multilabel targets,
    dense and sparse inputs, sample weights.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Units of each hidden layer, all > 0. The one parameter that may be given by position. ``()`` makes a
        linear model with an output activation: logistic regression.
    activation : str or list of str, default='relu'
        Of all hidden layers, or of each: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu',
        'gelu', 'gelu_tanh', 'silu', 'mish', 'softplus', 'softsign', 'hard_sigmoid', 'hard_tanh', 'relu6' or
        'maxout'.
    maxout_pieces : int, default=2
        At least 2. Of activation='maxout' (Goodfellow et al. 2013): how many linear functions of the inputs
        a unit takes the largest of. Such a layer has so many times the weights; `max_norm` limits each of
        the functions.
    out_activation : str, default='auto'
        Of the output layer: 'auto', 'softmax', 'exp' or one of the above but 'maxout', see the tables in the
        notes. 'auto' is 'softmax' for three and more classes, 'logistic' for two classes and for multilabel
        targets; of the hinge losses it is 'identity'.
    loss : str, default='log_loss'
        What is minimised: 'log_loss', 'focal', 'hinge', 'squared_hinge', 'squared_error',
        'mean_squared_error' or 'sum_squared_error'. The formulas and the output activations that go with them
        are in the notes.
    loss_params : dict, default=None
        Parameters of the loss that are not to have their default: of 'log_loss' `label_smoothing` in [0, 1),
        0; of 'focal' `gamma` in [0, inf), 2. For instance ``{"label_smoothing": 0.1}``.
    class_weight : 'balanced', dict, list of dict or None, default=None
        Weights of the classes, by which `sample_weight` is multiplied: ``{class: weight}``, 1 for a class
        that is not named. 'balanced' is ``n_samples / (n_classes * rows of the class)`` of the rows given to
        `fit`; not for `partial_fit`. For multilabel targets a list with a dictionary ``{0: ..., 1: ...}`` for
        each label: the weight of a row is their product.
    solver : str, default='adam'
        'sgd' (with momentum), 'adam' (Kingma and Ba 2014), 'adamw', 'amsgrad', 'rmsprop', 'adagrad',
        'adadelta', 'lion' and 'rprop' (which needs whole batches) work on batches of rows. 'lbfgs' is SciPy's
        L-BFGS-B over all rows at once: good for small data.
    solver_params : dict, default=None
        Parameters of the solver's own that are not to have their default: of 'rmsprop' `rho` in [0, 1), 0.99;
        of 'adadelta' `rho`, 0.9, and `damping` in (0, inf), 1e-6; of 'lion' `memory` in [0, 1), 0.99; of
        'rprop' `shrink`, 0.5, `grow`, 1.2, `smallest`, 1e-6, and `largest`, 50.
    alpha : float, default=1e-4
        In [0, inf). Strength of scikit-learn's L2 penalty ``alpha ||W||^2 / (2 n w)``, n the rows of the
        *batch* and w the mean sample weight of the training set. So its strength changes with `batch_size`:
        values tuned in scikit-learn carry over. Intercepts are never penalised.
    l2 : float, default=0.0
        In [0, inf). Strength of a penalty ``l2 ||W||^2 / 2`` that does not depend on the batch size.
    l1 : float, default=0.0
        In [0, inf). Strength of a penalty ``l1 ||W||_1``, of the stochastic solvers.
    weight_decay : float, default=None
        In [0, inf). Each step multiplies the weights by 1 - learning rate * `weight_decay`, apart from the
        gradient (Loshchilov and Hutter 2019). None is 0.01 for 'adamw' and 0 for all others.
    clip_value : float, default=None
        In (0, inf). Limit of each element of the gradient, penalties included.
    clip_norm : float, default=None
        In (0, inf). Limit of the norm of the whole gradient with its penalties: a longer one is scaled down.
    max_norm : float, default=None
        In (0, inf). Limit of the Euclidean norm of each unit's incoming weights, kept after every step.
    dropout : float or list of float, default=0.0
        In [0, 1). Share of the units of all hidden layers, or of each, that a step of training leaves out,
        drawn anew for every row; the others are scaled up (Srivastava et al. 2014).
    input_dropout : float, default=0.0
        In [0, 1). The same for the inputs.
    input_noise : float, default=0.0
        In [0, inf). Standard deviation of normal numbers that a step of training adds to the inputs.
    residual : bool, default=False
        Whether each hidden layer but the first adds its inputs to its outputs, where they are as many (He et
        al. 2016): very deep networks train so.
    norm : {'batch', 'layer'}, default=None
        Normalisation of the inputs of each hidden layer's activation, followed by a scale and a shift that
        are learned. 'batch': by weighted mean and variance over the batch, (z - mean) / sqrt(variance +
        1e-5), in prediction by running means of both, which move by 0.1 a step, less where a batch has less
        weight than a full one (Ioffe and Szegedy 2015); the layers then have no intercepts. 'layer': over
        the units of the layer, row by row (Ba, Kiros, Hinton 2016).
    input_scaling : {'robust'}, default=None
        What is done to the inputs first, inside the network. 'robust': t / sqrt(1 + (t / 3)^2) with t = (x -
        median) / interquartile range of the first training set's features (rows set aside included), so that
        no value is beyond 3 (Holzmueller, Grinsztajn, Steinwart 2024). A constant feature is 0 until it
        varies, in a later call of `partial_fit` or a warm start. Needs a dense X.
    learn_input_scales : bool, default=False
        Whether each input is multiplied by a factor that is learned.
    parametric_activation : bool, default=False
        Whether each hidden unit learns a factor p of its activation f: (1 - p) z + p f(z), p = 1 at first.
    rate_factors : dict, default=None
        Factors of the learning rate, in [0, inf): of `weights`, `biases` and `features` (the parameters of
        `norm`, `learn_input_scales` and `parametric_activation`), 1; that of the weights is divided by the
        layer's number of inputs to the power of `fan_in_power`, 0. With ``{"fan_in_power": 0.5}`` 'adam'
        trains as in the neural tangent parametrisation (Jacot, Gabriel, Hongler 2018).
    average : {'ema', 'swa'}, default=None
        The weights of the model are a mean of those after each step: 'ema' forgets exponentially, 'swa' is
        the plain mean of the last part of the fit. Training that goes on does so from the mean.
    average_params : dict, default=None
        Of 'ema' `decay` in [0, 1), 0.999; of 'swa' `start` in [0, 1), the share of the fit before, 0.75.
    batch_size : int or 'auto', default='auto'
        At least 1; the last batch of an epoch may be smaller. 'auto' is ``min(200, n_samples)``. A size
        beyond the number of rows is clipped, with a warning. With norm='batch' at least 2, and the nearest
        size is taken of which the last batch has half the rows or more: fewer would spoil its statistics.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of solver='sgd'. 'invscaling': after each epoch
        ``learning_rate_init / (t_ + 1) ** power_t``. 'adaptive': divided by 5, as long as it is > 1e-6, where
        training would stop otherwise.
    learning_rate_init : float, default=0.001
        In (0, inf). Step size of the stochastic solvers; 'rprop' begins with it.
    power_t : float, default=0.5
        In [0, inf). Exponent of 'invscaling'.
    schedule : str, default=None
        Of the learning rate of every stochastic solver: 'constant', 'cosine', 'one_cycle', 'linear', 'step',
        'exponential', 'inverse', 'restarts', 'coslog' or 'plateau', which divides by 5 as 'adaptive' does.
        The formulas are in the notes; all but 'plateau' depend on `max_iter`, or on the epoch: over the
        epochs of a fit, or so many calls of `partial_fit`, and then anew. None is 'constant'.
    schedule_params : dict, default=None
        Parameters of the schedule that are not to have their default, and `warmup_steps` in [0, inf), 0: the
        rate rises from 0 over so many steps.
    max_iter : int, default=200
        At least 1. Epochs of 'sgd' and 'adam', iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch takes the rows in an order of its own.
    fit_intercept : bool, default=True
        Whether the layers have intercepts; without, `intercepts_` holds zeros.
    init : {'glorot', 'he', 'lecun', 'orthogonal', 'uniform', 'normal', 'zeros'}, default='glorot'
        Distribution of the initial weights of a layer with m inputs and n units. 'glorot': uniform in (-b,
        b), intercepts too, b = sqrt(6 / (m + n)), with 2 in place of 6 for activation='logistic': for the
        same `random_state` the draws are scikit-learn's. 'he': normal with variance 2 / m, for leaky_relu
        2 / (1.0001 m). 'lecun': normal with variance 1 / m, what selu needs. 'orthogonal': a matrix with
        orthonormal rows or columns, uniform among all, times the activation's gain 1 / sqrt(E f(z)^2) for a
        standard normal z. 'uniform': uniform in (-b, b), b = 1 / sqrt(m). 'normal': standard normal,
        intercepts too. Intercepts are zero otherwise. Of a maxout layer each of the `maxout_pieces` is drawn
        as a layer of n units; 'he' then has the variance g^2 / m, and 'orthogonal' the gain g, which is
        1 / sqrt(E f^2) of the largest f of so many standard normal numbers: 1 for two, 0.885 for three.
    out_init : str, default='auto'
        The same of the output layer; 'auto' is the same as `init`.
    out_bias : 'data' or None, default=None
        Intercepts of the output layer before training. None: as `out_init` says. 'data': from the rows that
        are trained on, such that with ``out_init="zeros"`` the network begins by predicting the shares of the
        classes, whatever X is: log-odds for 'logistic' outputs, logarithms for 'softmax'; a class without
        rows counts as half a row. Not where a fit goes on, nor where `intercepts_init` is given.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, of the split of early stopping, and of the shuffling. With an int, the same
        data gives the same bits again, whatever the number of threads.
    tol : float, default=1e-4
        In [0, inf). An epoch is stale if its loss is above the best so far minus `tol` (under early stopping:
        if its score is below the best plus `tol`). For 'lbfgs', the largest entry of the projected gradient
        at which it stops.
    verbose : bool or int, default=False
        True or 1: a progress bar where standard output is a terminal or a notebook's, and scikit-learn's
        lines ("Iteration 1, loss = ...") elsewhere. Above 1: always lines.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, and from the solver's state, of the fit before.
    momentum : float, default=0.9
        In [0, 1]. Of solver='sgd': the velocity is v = momentum * v - rate * gradient.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' with momentum > 0 moves by momentum * v - rate * gradient instead of by v.
    early_stopping : bool, default=False
        Whether `validation_fraction` of the rows is set aside, or `X_val` given to `fit`, its score
        (accuracy, or `scoring`) takes the place of the loss in the stopping rule, and the weights of the
        epoch with the best score are kept: of several with the same score those of the last, since the
        accuracy of few rows is soon the best it can be. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        In [0, 1), of the rows, for early stopping; at least two rows. With two classes, the split keeps their
        shares, as scikit-learn's does.
    scoring : str, callable or None, default=None
        What early stopping watches on the validation rows. None: accuracy. 'loss': the
        mean of their losses, weighted and without penalties; lower is better. The name of a scorer of
        scikit-learn's, or ``scorer(estimator, X, y)``, higher is better: the estimator predicts with the
        weights of that epoch, X and y are rows as they were given to `fit`. Weights are passed on to scorers
        that have `sample_weight`.
    beta_1, beta_2 : float, default=0.9, 0.999
        In [0, 1). Decay of the moments of 'adam'.
    epsilon : float, default=1e-8
        In (0, inf). Keeps 'adam' from dividing by zero.
    n_iter_no_change : int or inf, default=10
        Stale epochs in a row after which training ends; ``float("inf")`` for never.
    max_fun : int, default=15000
        At least 1. Most evaluations of the loss by 'lbfgs'.
    n_jobs : int or None, default=None
        Threads. None: as many as help, within the limits that the environment sets (CPU affinity, container
        quotas, OMP_NUM_THREADS, joblib). The result has the same bits for every number.
    device : {'cpu', 'cuda', 'auto'}, default='cpu'
        Where to train and predict. 'cuda': on an NVIDIA GPU, for dense X; needs
        ``pip install "fastbp[cuda]"``. 'auto': on the GPU where there is one and X is dense, else on the CPU.
        Both train on the same batches and give the same results up to rounding. With 'cuda', X, y and
        sample_weight may lie on the GPU already, in any array with ``__cuda_array_interface__``.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        What to compute in. 'auto': float32 where X is float32, else float64. 'float32' takes half the memory,
        and vector registers hold twice as many numbers: X, y and weights are cast once, and X without
        another copy on the way. It has seven digits, which is too few for columns such as seconds since 1970;
        numbers beyond 3.4e38 are refused. Training that goes on (`partial_fit`, `warm_start`) does so in the
        dtype of the weights, and so do predictions, whatever the dtype of X: another `dtype` is refused until
        a new fit begins.
    preset : {'tabular'}, default=None
        Other defaults, for dense X on the CPU: a parameter that is at its own default, in a search too, is
        the preset's where it goes with the loss. 'tabular': three hidden layers of 128, robust and learned
        scales of the inputs, smoothed labels, float32, Adam with a cyclic schedule of 64 epochs. All of them
        are made; kept is the one with the best accuracy on a tenth of the rows, the last of several.
        `fastbp.presets.parameters` gives them as a dictionary.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted; for multilabel targets the numbers of the columns.
    coefs_ : list of n_layers_ - 1 ndarrays
        The l-th, of shape (units of layer l, units of layer l + 1), holds the weights between them. May be
        changed in place or replaced: whatever comes after follows. Of a maxout layer with k pieces it has k
        columns for each unit, side by side: ``coefs_[l].reshape(-1, n_units, k)``.
    intercepts_ : list of n_layers_ - 1 ndarrays
        The l-th, of shape (units of layer l + 1,), is added to that layer: for maxout k for each unit, too.
    feature_params_ : list of ndarrays
        Parameters of single features, each of shape (1 or 2, n_features), in the order of the network:
        `input_scaling` (median; factor), `learn_input_scales`; then for each hidden layer `norm` ('batch':
        running mean; variance), its scale and shift, `parametric_activation`. Empty without these. May be
        changed.
    n_features_in_ : int
        Columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had names that are all strings.
    n_layers_ : int
        Layers, those of input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : str
        Activation of the output layer.
    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last call.
    t_ : int
        Rows seen by the solver; 0 for 'lbfgs'.
    loss_ : float
        Mean loss of the last epoch, penalties included; for 'lbfgs' the final one.
    loss_curve_ : list of float
        `loss_` of each epoch. Not for 'lbfgs'. `partial_fit` and warm starts extend this list in place, so
        that a call takes no longer for the epochs before it: keep a copy, not the list. So with the two
        lists below.
    best_loss_ : float or None
        Least loss of an epoch; None under early stopping. Not for 'lbfgs'.
    validation_scores_ : list of float or None
        Score of the validation rows after each epoch, accuracy unless `scoring` says otherwise; minus their
        loss for ``scoring="loss"``; None without early stopping. Not for 'lbfgs'.
    best_validation_score_ : float or None
        The best of them. Not for 'lbfgs'.
    validation_loss_curve_ : list of float or None
        Mean loss of the validation rows after each epoch, for ``scoring="loss"``. Not for 'lbfgs'.

    Raises
    ------
    ValueError
        By `fit` and `partial_fit`, for a parameter out of range, for parameters that do not go together, for
        bad data, and when loss or weights stop being finite: the message then names epoch, step and learning
        rate. The estimator is what it was before the call. (Under early stopping with finite best weights,
        those are restored instead, with a ConvergenceWarning.)
    MemoryError
        By `fit` and `partial_fit`, at once, for a network that the machine's memory does not hold.

    See Also
    --------
    BPRegressor : The regressor.
    fastbp.learning_rate_range : Finds a learning rate to begin with.
    fastbp.callbacks : Callbacks for `set_callbacks`, beside scikit-learn's own.
    sklearn.neural_network.MLPClassifier : What it takes the place of.

    Notes
    -----
    The formulas of all activations, losses, solvers, schedules and initialisers, and their parameters, are in
    ``fastbp/functions/README.md``.

    The objective is the mean of the losses, weighted by `sample_weight`, plus the penalties. The loss that is
    reported is the loss whose gradient is followed.

    The squared errors compare the outputs with targets of zeros and ones, one column for two classes, else
    one for each class; the hinge losses compare them with signs. Only 'softmax' and 'logistic' outputs are
    probabilities; there are `predict_proba` and `predict_log_proba` for them, and `decision_function` for the
    others. ``out_activation="softmax"`` with two classes makes two outputs.

    Differences from scikit-learn's MLPClassifier: every parameter but `hidden_layer_sizes` is given by
    keyword; training ends after `n_iter_no_change` stale epochs, not one later; the first value that is not
    finite ends the fit; `predict_log_proba` is computed from the logits and finite where they are; pickles
    hold the solver's state only after `partial_fit` or with `warm_start=True`; float32 or float64 inputs are
    computed with as they are, unless `dtype` says otherwise.

    Ctrl-C ends a fit within a fraction of a second, keeps the weights so far and warns. In a call of
    `partial_fit`, and in a fit that is a part of a search, an ensemble or a cross-validation, it leaves the
    estimator as it was and goes on as KeyboardInterrupt: one Ctrl-C ends the whole.

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
            Cast as `dtype` says. Sparse matrices are not made dense.
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape (n_samples, n_labels)
            Class labels, numbers or strings; a matrix of zeros and ones for multilabel classification.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero; only their ratios count, but for the penalty `alpha`. They are
            multiplied by `class_weight`.
        X_val, y_val : array-like, default=None
            Rows for early stopping to watch, like X and y. Then no rows are set aside, and
            `validation_fraction` counts for nothing. Without ``early_stopping=True`` they are refused.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights in the score. `class_weight` does not multiply them.
        coefs_init, intercepts_init : list of array-like, default=None
            Weights to start from, of the shapes of `coefs_` and `intercepts_`. Where one is None, it is drawn
            by `init` and `out_init` (with `warm_start=True`: taken from the fit before).

        Returns
        -------
        self : BPClassifier
        """
        validation = ValidationArguments(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight, coefs_init, intercepts_init, validation))

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch over the given rows, going on from the present weights and solver state.

        There is no `partial_fit` with solver='lbfgs'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to the dtype that the first call determined.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, all of them in `classes`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self : BPClassifier
        """
        return self._fit(FitArguments(X, y, sample_weight, incremental=True, classes=classes))

    # --- The adapter's hooks

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
