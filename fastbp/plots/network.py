"""Picture of a network as a graph."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from fastbp.plots.drawing import DIVERGING, GREY, matplotlib_for, shortened, symmetric_limit
from fastbp.plots.network_graph import NetworkGraph, graph_of

FEWEST_SHOWN = 3  # a unit, an ellipsis, a unit
COLUMN = 2.2  # between layers, in distances of two units
WIDEST_GAP = 1.6  # between the units of a small layer, in distances of two units
NODE = 0.6  # its diameter, in distances of two units
LARGEST_NODE = 40.0  # points
THINNEST, THICKEST = 0.2, 3.0  # edges, in points
CHARACTER = 4.6  # points of a letter of a name
NARROW = 60.0  # points between layers
SMALLEST_SHARE = 0.5  # of the axes' width, for the layers
LEFT_BY_COLORBAR = 0.82  # share of the axes' width
VALUES = "PuOr_r"  # of activations: purple is negative, orange positive, the scale is the layer's
DARK = 0.55  # luminance below which text is white


class NetworkDisplay:
    """Graph of a small network: units as nodes, weights as edges.

    Edges have the colour and the width of their weights: blue is negative, red is positive. The bias of a
    unit is the colour of its ring and the number below. With a row of inputs, the activations are in the
    nodes. Of large layers the first and the last units are drawn, with an ellipsis between them. Make one
    with `from_estimator`.

    Parameters
    ----------
    graph : NetworkGraph
        Of `fastbp.plots.network_graph`: weights, biases, titles, input_names, output_names, activations.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    units_ : list of ndarray
        Units of each layer that are drawn, the inputs first.
    nodes_ : list of PathCollection
        One for each layer, the inputs first.
    edges_ : list of LineCollection
        One for each pair of neighbouring layers, the weakest edges first.
    edge_weights_ : list of ndarray
        Weights of these edges, in this order.
    value_texts_, bias_texts_ : list of list of Text
        Of the units drawn, for each layer; empty without a row, without biases and for the inputs' biases.
    name_texts_ : list of Text
        Names of the inputs drawn, then those of the outputs.
    title_texts_, ellipses_ : list of Text
    colorbar_ : Colorbar

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import NetworkDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((5,), max_iter=20, tol=0, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(network, X[:1])
    >>> [len(layer.get_offsets()) for layer in display.nodes_]
    [4, 5, 3]
    """

    # Of matplotlib, which may not be there.
    nodes_: list[Any]
    edges_: list[Any]
    value_texts_: list[list[Any]]
    bias_texts_: list[list[Any]]
    name_texts_: list[Any]
    title_texts_: list[Any]
    ellipses_: list[Any]

    def __init__(self, graph: NetworkGraph) -> None:
        self.graph = graph

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        ax: Any = None,
        max_units: int = 10,
        cmap: Any = None,
        limit: float | None = None,
        node_kw: Mapping[str, Any] | None = None,
        edge_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a fitted network.

        Parameters
        ----------
        estimator : fitted BPClassifier or BPRegressor
            Or a pipeline or search with one. The inputs drawn are the network's: of a pipeline those that
            its other steps make of X.
        X : array-like or data frame of one row, default=None
            Draw its activations.
        feature_names, output_names : list of str, default=None
            None: those of the data frame, and the classes.
        ax, max_units, cmap, limit, node_kw, edge_kw, text_kw
            See `plot`.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        NotFittedError, TypeError
            For an estimator that is not fitted, or not one network.
        ValueError
            For several rows, and for names that do not fit.

        Notes
        -----
        Of a maxout unit, the strongest weight of its pieces is drawn for each input. The values of outputs
        are the network's, before `target_scaling` is undone.
        """
        graph = graph_of(estimator, X, feature_names, output_names, f"{cls.__name__}.from_estimator")
        return cls(graph).plot(
            ax,
            max_units=max_units,
            cmap=cmap,
            limit=limit,
            node_kw=node_kw,
            edge_kw=edge_kw,
            text_kw=text_kw,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        max_units: int = 10,
        cmap: Any = None,
        limit: float | None = None,
        node_kw: Mapping[str, Any] | None = None,
        edge_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        max_units : int, default=10
            Places in a layer, at least 3; larger layers are abbreviated.
        cmap : str or Colormap, default=None
            Of weights and biases. None: blue, white, red.
        limit : float, default=None
            Largest absolute value of the colour scale. None: that of the weights drawn.
        node_kw, edge_kw, text_kw : dict, default=None
            Keyword arguments of the nodes (`scatter`), the edges (`LineCollection`) and all texts.

        Returns
        -------
        self : NetworkDisplay
        """
        if max_units < FEWEST_SHOWN:
            raise ValueError(f"max_units must be at least {FEWEST_SHOWN}, got {max_units!r}.")
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        graph = self.graph
        self.units_ = [shown_units(n, max_units) for n in graph.sizes]
        places = [
            np.arange(len(units) + (len(units) < n))
            for units, n in zip(self.units_, graph.sizes, strict=True)
        ]
        tallest = max(map(len, places))
        heights = [self._heights(len(place), tallest) for place in places]
        self._make_axes(mpl, ax, tallest)
        weights = [
            one[np.ix_(before, after)]
            for one, before, after in zip(graph.weights, self.units_[:-1], self.units_[1:], strict=True)
        ]
        limit = symmetric_limit(*weights) if limit is None else float(limit)
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(-limit, limit), cmap or DIVERGING)
        at = [
            np.array(
                [height for height, unit in zip(hs, self._slots(units, n), strict=True) if unit is not None]
            )
            for hs, units, n in zip(heights, self.units_, graph.sizes, strict=True)
        ]
        self._draw_edges(mpl, weights, at, scale, edge_kw or {})
        self._draw_nodes(mpl, at, scale, node_kw or {}, text_kw or {})
        self._draw_texts(heights, at, text_kw or {})
        self.colorbar_ = self.figure_.colorbar(
            scale, ax=self.ax_, label="weight; of rings, bias", shrink=0.7, pad=0.02
        )
        return self

    # --- Places

    @staticmethod
    def _heights(n: int, tallest: int) -> np.ndarray:
        """Return the heights of the places of a layer, from the top down, around zero."""
        gap = 1.0 if n < 2 else min(WIDEST_GAP, (tallest - 1) / (n - 1))
        return gap * ((n - 1) / 2 - np.arange(n))

    @staticmethod
    def _slots(units: np.ndarray, n: int) -> list[int | None]:
        """Return the unit in each place of a layer; None is the ellipsis."""
        slots: list[int | None] = [int(unit) for unit in units]
        if len(units) < n:
            slots.insert((len(units) + 1) // 2, None)
        return slots

    def _make_axes(self, mpl: SimpleNamespace, ax: Any, tallest: int) -> None:
        n_layers = len(self.graph.sizes)
        if ax is None:
            figsize = (2.0 * n_layers + 2.0, min(max(0.65 * (tallest + 1.5), 3.0), 8.0))
            _, ax = mpl.pyplot.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_xlim(-0.5, COLUMN * (n_layers - 1) + 0.5)
        ax.set_ylim(-(tallest / 2 + 0.2), tallest / 2 + 0.85)
        ax.set_axis_off()
        points = ax.get_window_extent().height / self.figure_.dpi * 72 / (tallest + 1.05)
        self._diameter = min(NODE * points, LARGEST_NODE)
        self._title_size = "small"
        if self.figure_.get_layout_engine() is None:
            self._make_room_for_names()

    def _make_room_for_names(self) -> None:
        """Widen the axes' limits, in a figure whose layout does not heed texts beside the nodes."""
        ax, last = self.ax_, COLUMN * (len(self.graph.sizes) - 1)
        width = LEFT_BY_COLORBAR * ax.get_window_extent().width / self.figure_.dpi * 72
        names = (self.graph.input_names, self.graph.output_names)
        lengths = [
            max(len(shortened(names[unit])) for unit in units)
            for names, units in zip(names, (self.units_[0], self.units_[-1]), strict=True)
        ]
        left, right = (0.5 * self._diameter + 6.0 + CHARACTER * length for length in lengths)
        scale = last / max(width - left - right, SMALLEST_SHARE * width)  # distances a point
        ax.set_xlim(-left * scale, last + right * scale)
        if COLUMN / scale < NARROW:
            self._title_size = "x-small"
        self._diameter = min(self._diameter, 0.5 * COLUMN / scale)

    # --- Artists

    def _draw_edges(
        self,
        mpl: SimpleNamespace,
        weights: list[np.ndarray],
        at: list[np.ndarray],
        scale: Any,
        given: Mapping[str, Any],
    ) -> None:
        self.edges_, self.edge_weights_ = [], []
        for layer, matrix in enumerate(weights):
            n_in, n_out = matrix.shape
            starts = np.repeat(np.column_stack([np.full(n_in, COLUMN * layer), at[layer]]), n_out, axis=0)
            ends = np.tile(np.column_stack([np.full(n_out, COLUMN * (layer + 1)), at[layer + 1]]), (n_in, 1))
            order = np.argsort(np.abs(matrix.ravel()), kind="stable")  # strong ones on top
            sizes = matrix.ravel()[order]
            share = np.minimum(np.abs(sizes) / scale.norm.vmax, 1.0)
            style = {"linewidths": THINNEST + (THICKEST - THINNEST) * share, "zorder": 1, **given}
            edges = mpl.collections.LineCollection(
                np.stack([starts, ends], axis=1)[order], colors=scale.to_rgba(sizes), **style
            )
            self.ax_.add_collection(edges, autolim=False)
            self.edges_.append(edges)
            self.edge_weights_.append(sizes)

    def _draw_nodes(
        self,
        mpl: SimpleNamespace,
        at: list[np.ndarray],
        scale: Any,
        given: Mapping[str, Any],
        text: Mapping[str, Any],
    ) -> None:
        graph = self.graph
        self.nodes_, self.value_texts_, self.bias_texts_ = [], [], []
        for layer, (heights, units) in enumerate(zip(at, self.units_, strict=True)):
            x = np.full(len(heights), COLUMN * layer)
            rings: Any = GREY
            biases = None if graph.biases is None or layer == 0 else graph.biases[layer - 1][units]
            if biases is not None:
                rings = scale.to_rgba(biases)
            fills: Any = "white"
            values = None if graph.activations is None else graph.activations[layer]
            if values is not None:
                end = symmetric_limit(values)
                shades = mpl.cm.ScalarMappable(mpl.colors.Normalize(-end, end), VALUES)
                fills = shades.to_rgba(values[units])
            style = {"s": (self._diameter + 1.5) ** 2, "linewidths": 3.0, "zorder": 3}
            style["path_effects"] = [mpl.patheffects.withStroke(linewidth=4.6, foreground=GREY)]
            self.nodes_.append(
                self.ax_.scatter(x, heights, **{**style, "facecolors": fills, "edgecolors": rings, **given})
            )
            self.value_texts_.append(
                [] if values is None else self._values(x, heights, values[units], fills, text)
            )
            self.bias_texts_.append([] if biases is None else self._biases(x, heights, biases, text))

    def _values(self, x: Any, heights: Any, values: Any, fills: Any, given: Mapping[str, Any]) -> list[Any]:
        texts = []
        for place, height, value, fill in zip(x, heights, values, fills, strict=True):
            luminance = float(np.dot(fill[:3], (0.299, 0.587, 0.114)))
            style = {"color": "white" if luminance < DARK else "black", "fontsize": self._font_size(0.31)}
            style |= {"ha": "center", "va": "center", "zorder": 5, **given}
            texts.append(self.ax_.text(place, height, short_number(value), **style))
        return texts

    def _biases(self, x: Any, heights: Any, biases: Any, given: Mapping[str, Any]) -> list[Any]:
        texts = []
        below = {"xytext": (0.0, -0.5 * self._diameter - 3.5), "textcoords": "offset points"}
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
        for place, height, bias in zip(x, heights, biases, strict=True):
            style = {"color": GREY, "fontsize": self._font_size(0.27), "ha": "center", "va": "top"}
            style |= {"zorder": 4, "bbox": box, **given}
            texts.append(self.ax_.annotate(f"{bias:+.2f}", (place, height), **below, **style))
        return texts

    def _draw_texts(self, heights: list[np.ndarray], at: list[np.ndarray], given: Mapping[str, Any]) -> None:
        graph, ax = self.graph, self.ax_
        last = len(graph.sizes) - 1
        self.name_texts_, self.title_texts_, self.ellipses_ = [], [], []
        away = 0.5 * self._diameter + 6.0
        sides = ((0, graph.input_names, -away, "right"), (last, graph.output_names, away, "left"))
        for layer, names, offset, ha in sides:
            for unit, height in zip(self.units_[layer], at[layer], strict=True):
                style = {"fontsize": "small", "ha": ha, "va": "center", "zorder": 5, **given}
                self.name_texts_.append(
                    ax.annotate(
                        shortened(names[unit]),
                        (COLUMN * layer, height),
                        xytext=(offset, 0.0),
                        textcoords="offset points",
                        annotation_clip=False,
                        **style,
                    )
                )
        top = max(len(one) for one in heights) / 2 + 0.1
        for layer, title in enumerate(graph.titles):
            style = {"fontsize": self._title_size, "ha": "center", "va": "bottom", **given}
            self.title_texts_.append(ax.text(COLUMN * layer, top, title, **style))
            slots = self._slots(self.units_[layer], graph.sizes[layer])
            if None in slots:
                style = {"fontsize": "x-large", "ha": "center", "va": "center", "zorder": 5, **given}
                self.ellipses_.append(
                    ax.text(COLUMN * layer, heights[layer][slots.index(None)], "⋮", **style)
                )

    def _font_size(self, share: float) -> float:
        return float(np.clip(share * self._diameter, 5.5, 10.0))


def shown_units(n: int, most: int) -> np.ndarray:
    """Return the units of a layer to draw: all, or the first and the last with a place for an ellipsis."""
    if n <= most:
        return np.arange(n)
    n_first = most // 2
    n_last = most - 1 - n_first
    return np.concatenate([np.arange(n_first), np.arange(n - n_last, n)])


def short_number(value: float) -> str:
    """Return a number in at most five characters or so, to fit into a node."""
    size = abs(float(value))
    return f"{value:.2f}" if size < 9.995 else f"{value:.0f}" if size < 9999.5 else f"{value:.0e}"
