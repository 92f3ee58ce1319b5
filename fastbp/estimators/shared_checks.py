"""Checks of X and y, made once for all fits of a fleet on the same rows."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from fastbp.engines.dataset import Dataset
from fastbp.estimators.input_checks import canonical
from fastbp.estimators.targets import Targets
from fastbp.plan.network import NetworkPlan

MOST_REMEMBERED = 16  # data sets, such as folds


@dataclass
class CheckedRows:
    """Checked X and y, and the estimator that was used for the check.

    Attributes
    ----------
    checker : estimator
        A copy that has the attributes of the features, such as `n_features_in_`.
    X : C-contiguous array or CSR matrix
    y : array
    of_y : object
        What the fits on `y` need to find only once; see ``Targets.of_y``.
    """

    checker: Any
    X: Any
    y: Any
    of_y: Any = None
    _encoded: tuple[Hashable, Targets, Dataset] | None = None

    def encode(self, targets: Targets, network: NetworkPlan, sample_weight: Any) -> Dataset:
        """Return the rows for the engine: the same object for fits whose targets have the same encoding."""
        key = targets.encoding(network)
        if self._encoded is not None and self._encoded[0] == key:
            rows = self._encoded[2]
        else:
            rows = Dataset(self.X, targets.encode(self.y, network))
            self._encoded = key, targets, rows  # the targets must live as long as an identity in the key
        return rows if sample_weight is None else Dataset(rows.X, rows.targets, sample_weight)


def check_rows(estimator: Any, X: Any, y: Any, reset: bool, dtype: Any) -> CheckedRows:
    """Check X and y as scikit-learn does; convert X for the engine.

    Raises
    ------
    ValueError, TypeError
        For input that cannot be trained on.
    """
    checker = estimator._copy()  # scikit-learn's validation sets attributes
    X, y = checker._check_Xy(X, y, reset=reset, accept_sparse="csr", dtype=dtype, order="C")
    return CheckedRows(checker, canonical(X), y)


class SharedChecks:
    """Remembers the checks of data sets by the identity of X and y."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple, tuple[Any, Any, CheckedRows]] = OrderedDict()

    def rows(self, estimator: Any, X: Any, y: Any, reset: bool, dtype: Any) -> CheckedRows:
        """As `check_rows`, which is called once for the same objects."""
        # Hooks of a subclass may depend on anything; those of a class on the device at most.
        key = type(estimator), estimator.device, id(X), id(y), reset, str(dtype)
        if key in self._known:
            self._known.move_to_end(key)
        else:
            checked = check_rows(estimator, X, y, reset, dtype)
            self._known[key] = X, y, checked  # the objects must live as long as their identities count
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key][-1]
