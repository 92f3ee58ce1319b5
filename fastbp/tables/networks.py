"""The networks of a table model: the preset for tables, by the size of the table."""

from typing import Any

from fastbp.presets import parameters

EPOCHS = 32
# Fewer steps leave a small table half learnt; a large one has enough of them in fewer epochs.
MOST_EPOCHS, ROWS_OF_MORE = 128, 5_000
FEWEST_EPOCHS, ROWS_OF_FEWER = 8, 100_000
FEW_ROWS = 50  # fewer are trained on in float64: a row of weight 2 is then as two rows
LABEL_SMOOTHING = 0.05
ROWS_OF_LOSS = 1_000  # the accuracy of a tenth of fewer rows has few values: the loss chooses the epoch


def n_epochs(n_rows: int, factor: float) -> int:
    """Return the number of epochs for a table; `factor` is that of an effort."""
    n_epochs = EPOCHS
    if n_rows < ROWS_OF_MORE:
        n_epochs = min(EPOCHS * ROWS_OF_MORE // n_rows, MOST_EPOCHS)
    elif n_rows > ROWS_OF_FEWER:
        n_epochs = max(EPOCHS * ROWS_OF_FEWER // n_rows, FEWEST_EPOCHS)
    return round(factor * n_epochs)


def network_parameters(task: str, n_rows: int, epochs: int, is_sparse: bool) -> dict[str, Any]:
    """Return the parameters of a member's network.

    Parameters
    ----------
    task : {"classifier", "regressor"}
    is_sparse : bool
        Whether X is a sparse matrix, which has no quartiles worth scaling by.
    """
    changed: dict[str, Any] = {"max_iter": epochs, "dtype": "float64" if n_rows < FEW_ROWS else "float32"}
    if task == "classifier":
        changed["loss_params"] = {"label_smoothing": LABEL_SMOOTHING}
        if n_rows <= ROWS_OF_LOSS:
            changed["scoring"] = "loss"
    else:
        changed["loss"] = "gaussian_nll"
    if is_sparse:
        changed["input_scaling"] = None
    return parameters("tabular", task) | changed


def linear_parameters(n_rows: int) -> dict[str, Any]:
    """Return the parameters of a linear model, penalised as scikit-learn's with ``C=1`` or ``alpha=1``."""
    return {
        "hidden_layer_sizes": (),
        "solver": "lbfgs",
        "alpha": 0.0,
        "l2": 1 / n_rows,
        "input_scaling": "robust",
        "max_iter": 500,
        "random_state": 0,
        "dtype": "float64",
    }
