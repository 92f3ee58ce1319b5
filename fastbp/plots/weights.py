"""Picture of the weights of a layer: as images, or as a heat map."""

import re
from collections.abc import Sequence
from math import isqrt
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from fastbp.plots.drawing import DIVERGING, matplotlib_for, same_length, shortened, symmetric_limit
from fastbp.plots.models import feature_names_of, hidden_units, keeps_columns, network_of

MOST_IMAGES = 25
MOST_COLUMNS = 40
SMALLEST_SIDE = 5  # of inputs that are taken for pixels
IMAGE = 1.2  # side of a square image in inches
GAP = 0.12  # between images, as a share of their width and height
WIDER = 1.2  # width of the arrangement over its height
CAPTION = 0.2  # above images, in inches
MOST_TICKS = 45
WIDEST_FIGURE, TALLEST_FIGURE = 10.0, 9.0  # inches
CELL = 0.26  # inches of a row or a column of the heat map


class WeightsDisplay:
    """Weights that go into the units of a layer.

    The first layer's are drawn as images where the inputs are pixels; else, a heat map has a row for each
    input and a column for each unit. Units are sorted by the norm of their weights, the largest first. All
    have one colour scale: blue is negative, white is zero, red is positive. Make one with `from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
    unit_names : list of str, default=None
        None: by number, from 0.
    feature_names : list of str, default=None
        None: by number, from 0.
    image_shape : tuple of (height, width), default=None
        None: a heat map.
    unit_label : str, default="unit"
        What the columns are.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    units_ : ndarray of shape (n_shown,)
        Columns of `weights` that are shown, in this order.
    images_ : list of AxesImage
        One for each unit; of a heat map a single one.
    texts_ : list of Text
        Names above the images.
    colorbar_ : Colorbar

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> network = BPClassifier((10,), max_iter=3, tol=0, random_state=0).fit(X / 16, y)
    >>> display = WeightsDisplay.from_estimator(network)
    >>> len(display.images_), display.images_[0].get_array().shape
    (10, (8, 8))
    """

    # Of matplotlib, which may not be there.
    images_: list[Any]
    texts_: list[Any]

    def __init__(
        self,
        weights: Any,
        *,
        unit_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
        unit_label: str = "unit",
    ) -> None:
        self.weights = weights
        self.unit_names = unit_names
        self.feature_names = feature_names
        self.image_shape = image_shape
        self.unit_label = unit_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        image_shape: Any = "auto",
        feature_names: Sequence[str] | None = None,
        max_units: int | None = None,
        ax: Any = None,
        cmap: Any = None,
        limit: float | None = None,
    ) -> Self:
        """Draw the weights of a fitted network.

        Parameters
        ----------
        estimator : fitted estimator
            A network, or a pipeline or search with one; scikit-learn's MLPClassifier and MLPRegressor, too.
        layer : int, default=0
            Index in `coefs_`; -1 is the output.
        image_shape : "auto", tuple of (height, width) or None, default="auto"
            Of the inputs, for the first layer. "auto" takes inputs for pixels of a square image if they are
            25 or more, a square number, without names but "pixel…" with numbers, and if the steps before the
            network only scale them. None draws a heat map.
        feature_names : list of str, default=None
            Names of the inputs; None: those of the data frame, or of the units of the layer before.
        max_units, ax, cmap, limit
            See `plot`.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        NotFittedError, TypeError
            For an estimator that is not fitted, or not one network.
        ValueError
            For a layer that is not there, and for names or a shape that do not fit.
        """
        network = network_of(estimator, f"{cls.__name__}.from_estimator")
        n_layers = len(network.coefs_)
        if not -n_layers <= layer < n_layers:
            raise ValueError(f"layer={layer!r}: coefs_ has {n_layers} layers, from 0 to {n_layers - 1}.")
        layer %= n_layers
        weights = np.asarray(network.coefs_[layer])
        known = feature_names_of(estimator, len(weights)) if layer == 0 else None
        if isinstance(image_shape, str):
            if image_shape != "auto":
                raise ValueError(f'image_shape must be "auto", (height, width) or None, got {image_shape!r}.')
            image_shape = None
            if layer == 0 and keeps_columns(estimator) and feature_names is None:
                image_shape = guessed_shape(len(weights), known)
        if layer > 0 and feature_names is None:
            known = [f"unit {number}" for number in range(len(weights))]
        display = cls(
            weights,
            unit_names=_unit_names(network, layer, weights.shape[1]),
            feature_names=feature_names if feature_names is not None else known,
            image_shape=image_shape,
            unit_label="output" if layer == n_layers - 1 else f"unit of hidden layer {layer + 1}",
        )
        return display.plot(ax, max_units=max_units, cmap=cmap, limit=limit)

    def plot(
        self,
        ax: Any = None,
        *,
        max_units: int | None = None,
        cmap: Any = None,
        limit: float | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        max_units : int, default=None
            Number of units to show. None: 25 images, 40 columns of a heat map.
        cmap : str or Colormap, default=None
            None: red, white and blue.
        limit : float, default=None
            Largest absolute weight of the colour scale. None: that of the weights shown.

        Returns
        -------
        self : WeightsDisplay
        """
        weights = np.asarray(self.weights)
        if weights.ndim != 2 or not weights.size:
            raise ValueError(f"weights must have the shape (n_features, n_units), got {weights.shape}.")
        if max_units is not None and max_units < 1:
            raise ValueError(f"max_units must be at least 1, got {max_units!r}.")
        shape = None if self.image_shape is None else checked_shape(self.image_shape, len(weights))
        n_rows, n_units = weights.shape
        features = [str(number) for number in range(n_rows)]
        if self.feature_names is not None:
            features = same_length("feature_names", self.feature_names, n_rows, "inputs of the layer")
        units = [str(number) for number in range(n_units)]
        if self.unit_names is not None:
            units = same_length("unit_names", self.unit_names, n_units, "units")
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        most = max_units or (MOST_COLUMNS if shape is None else MOST_IMAGES)
        self.units_ = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:most]
        shown = weights[:, self.units_]
        limit = symmetric_limit(shown) if limit is None else float(limit)
        style = {"cmap": cmap or DIVERGING, "vmin": -limit, "vmax": limit}
        names = [units[unit] for unit in self.units_]
        if shape is None:
            self._draw_heat_map(mpl, ax, shown, features, names, style)
        else:
            self._draw_images(mpl, ax, shown, shape, names, style)
        self.colorbar_ = self.figure_.colorbar(self.images_[0], ax=self.ax_, label="weight", shrink=0.9)
        title = self._title(n_units)
        if title:
            self.ax_.set_title(title, fontsize="medium")
        return self

    def _title(self, n_units: int) -> str:
        n_shown = len(self.units_)
        return "" if n_shown == n_units else f"{n_shown} of {n_units} with the largest norm of their weights"

    def _draw_images(
        self,
        mpl: SimpleNamespace,
        ax: Any,
        weights: np.ndarray,
        shape: tuple[int, int],
        names: list[str],
        style: dict[str, Any],
    ) -> None:
        """Lay images out from the left to the right and down, in units of their own width and height."""
        n, (height, width) = weights.shape[1], shape
        n_columns = columns_of(n, height / width)
        n_rows = -(-n // n_columns)
        ratio, step_x = height / width, 1.0 + GAP
        if ax is None:
            size = IMAGE / np.sqrt(ratio)  # inches of an image's width
            size = min(size, WIDEST_FIGURE / (n_columns * step_x), TALLEST_FIGURE / (n_rows * ratio * 1.3))
            figsize = (
                max(n_columns * step_x * size + 1.2, 3.0),
                max(n_rows * ((ratio + GAP * ratio) * size + CAPTION) + 0.5, 2.2),
            )
            _, ax = mpl.pyplot.subplots(figsize=figsize, layout="constrained")
        else:
            size = ax.get_window_extent().width / ax.figure.dpi / (n_columns * step_x)
        caption = CAPTION / size
        step_y = ratio * (1.0 + GAP) + caption
        self.ax_, self.figure_ = ax, ax.figure
        self.images_, self.texts_ = [], []
        prefix = "unit " if self.unit_names is None or self.unit_label.startswith("unit") else ""
        for number in range(n):
            row, column = divmod(number, n_columns)
            left, top = column * step_x, row * step_y + caption
            extent = (left, left + 1.0, top + ratio, top)
            image = weights[:, number].reshape(shape)
            self.images_.append(ax.imshow(image, extent=extent, interpolation="nearest", **style))
            ax.add_patch(
                mpl.patches.Rectangle((left, top), 1.0, ratio, fill=False, edgecolor="0.6", linewidth=0.6)
            )
            place = {"ha": "center", "va": "bottom", "fontsize": "x-small"}
            text = shortened(prefix + names[number])
            self.texts_.append(ax.text(left + 0.5, top - 0.02, text, **place))
        ax.set_xlim(-0.05, n_columns * step_x - GAP + 0.05)
        ax.set_ylim(n_rows * step_y - GAP * ratio + 0.05, 0.0)
        ax.set_aspect("equal")
        ax.set_axis_off()

    def _draw_heat_map(
        self,
        mpl: SimpleNamespace,
        ax: Any,
        weights: np.ndarray,
        features: list[str],
        names: list[str],
        style: dict[str, Any],
    ) -> None:
        n_features, n_units = weights.shape
        names_width = 0.08 * max(len(shortened(name)) for name in features)
        if ax is None:
            figsize = (
                min(max(CELL * n_units + names_width + 1.8, 4.0), WIDEST_FIGURE),
                min(max(CELL * n_features + 1.2, 2.6), TALLEST_FIGURE),
            )
            _, ax = mpl.pyplot.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.texts_ = []
        self.images_ = [ax.imshow(weights, aspect="auto", interpolation="nearest", **style)]
        every = -(-n_features // MOST_TICKS)
        rows = range(0, n_features, every)
        ax.set_yticks(rows, [shortened(features[row]) for row in rows], fontsize="small")
        columns = range(n_units)
        is_long = max(map(len, names)) > 3
        turned = {"rotation": 90} if is_long and n_units > 6 else {}
        ax.set_xticks(columns, [shortened(name) for name in names], fontsize="small", **turned)
        ax.set_xlabel(f"{self.unit_label}, by norm")


def columns_of(n: int, ratio: float) -> int:
    """Return the columns of a nearly square arrangement of `n` images with the fewest empty places."""
    ideal = np.sqrt(WIDER * n * ratio)
    fewest = min(max(int(ideal), 1), n)
    return min(
        range(fewest, min(fewest + 3, n + 1)), key=lambda columns: (-n % columns, abs(columns - ideal))
    )


def guessed_shape(n_features: int, names: Sequence[str] | None) -> tuple[int, int] | None:
    """Return the shape of a square image that inputs may be; None if they are none."""
    side = isqrt(n_features)
    if side * side != n_features or side < SMALLEST_SIDE:
        return None
    if names is not None and len({re.sub(r"[\d_\W]+", "", name) for name in names}) > 1:
        return None  # columns with names of their own
    return side, side


def checked_shape(image_shape: Any, n_features: int) -> tuple[int, int]:
    """Return (height, width), or raise ValueError."""
    try:
        height, width = (int(side) for side in image_shape)
    except (TypeError, ValueError):
        raise ValueError(f"image_shape must be (height, width), got {image_shape!r}.") from None
    if height < 1 or width < 1 or height * width != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {height * width} pixels, but the layer has {n_features} inputs."
        )
    return height, width


def _unit_names(network: Any, layer: int, n_columns: int) -> list[str]:
    """Return the names of a layer's linear outputs: units, pieces of maxout units, classes."""
    if layer == len(network.coefs_) - 1:
        classes = getattr(network, "classes_", None)
        if classes is not None and len(classes) == n_columns:
            return [str(label) for label in classes]
    pieces, _ = hidden_units(network, layer)
    if pieces == 1:
        return [str(number) for number in range(n_columns)]
    return [f"{number // pieces}/{number % pieces}" for number in range(n_columns)]
