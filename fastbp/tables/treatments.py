"""The numbers that each kind of column becomes.

A treatment is fitted to one column and fills its own columns of two arrays: `numeric`, centred and scaled,
and `binary`, zeros and ones.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from sklearn.utils import check_random_state

from fastbp.preprocessing.quantiles import weighted_quantiles
from fastbp.tables.columns import FEW_LEVELS, dates_of, has_missing, levels_of, missing_of, numbers_of
from fastbp.tables.frame import Column

FREQUENT = 10  # rows of a level that has a column of its own
MOST_OUTPUTS = 10  # classes or targets for which levels are encoded by the target
MOST_SCALED = 1e6  # larger values are cut off: their squares must not overflow float32
CYCLES = {"month": 12, "day of month": 31, "day of week": 7, "hour": 24}


class Scale(NamedTuple):
    """Centre and scale of a column, both robust."""

    center: float
    scale: float

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray | None = None) -> "Scale":
        """Return the median and the interquartile range of float64 values, NaN apart.

        Where the quartiles are equal, wider quantiles take their place, then the standard deviation. A row
        of weight 2 counts as two rows.
        """
        present = ~np.isnan(values)
        values = values[present]
        if not len(values):
            return cls(0.0, 1.0)
        weight = None if weight is None else weight[present]
        low = weighted_quantiles(values, weight, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99))
        with np.errstate(over="ignore"):
            for i in (2, 1, 0):
                if 0 < (width := low[-1 - i] - low[i]) < np.inf:
                    return cls(float(low[3]), float(width))
        largest = np.abs(values).max() or 1.0
        return cls(float(low[3]), float(np.std(values / largest) * largest) or 1.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the scaled values, the median for those that are missing."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = values - self.center
            scaled /= self.scale
        np.clip(scaled, -MOST_SCALED, MOST_SCALED, out=scaled)
        scaled[np.isnan(scaled)] = 0.0
        return scaled


class Targets(NamedTuple):
    """Columns of y, each with its type, and what makes the folds of out-of-fold encodings."""

    columns: tuple[np.ndarray, ...]
    kinds: tuple[str, ...]
    seed: int  # the same for each column of the table

    @classmethod
    def of(cls, y: np.ndarray, kind: str, random_state: Any) -> "Targets | None":
        """Return the columns of y by which levels can be encoded; None if one of them is constant."""
        columns = [np.asarray(y_) for y_ in np.atleast_2d(y.T)]
        if any(len(np.unique(y_)) < 2 for y_ in columns):
            return None
        kinds = [_target_type(y_) if kind == "auto" else kind for y_ in columns]
        for i in range(len(columns)):
            if kinds[i] == "continuous":
                values = columns[i].astype(np.float64)
                columns[i] = Scale.of(values)(values)  # squares of large values would overflow
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        return cls(tuple(columns), tuple(kinds), seed)

    @property
    def n_outputs(self) -> int:
        """The number of columns that a level becomes."""
        kinds = zip(self.columns, self.kinds, strict=True)
        return sum(len(np.unique(y)) if kind == "multiclass" else 1 for y, kind in kinds)


class Treatment:
    """The base of all treatments: a column without outputs."""

    description = "not used"
    numeric_names: tuple[str, ...] = ()  # what stands after the name of the column
    binary_names: tuple[str, ...] = ()

    def fit(self, column: Column, targets: Targets | None) -> "Treatment":
        """Learn from a column that `read_kind` has returned."""
        return self

    def fill(self, column: Column, numeric: np.ndarray, binary: np.ndarray) -> None:
        """Write the encoded column into arrays of shape (n_rows, outputs)."""

    def fill_training(self, column: Column, numeric: np.ndarray, binary: np.ndarray) -> None:
        """Write the training column once after `fit`; encodings by the target are out-of-fold."""
        self.fill(column, numeric, binary)


class Number(Treatment):
    """A number, scaled, with an indicator of what is missing."""

    def fit(self, column, targets):
        values = numbers_of(column)
        self.scale = Scale.of(values, column.weight)
        self.numeric_names = ("",)
        self.binary_names = ("_missing",) if has_missing(column._replace(values=values)) else ()
        self.description = "numeric" + (" with an indicator of missing values" if self.binary_names else "")
        return self

    def fill(self, column, numeric, binary):
        values = numbers_of(column)
        numeric[:, 0] = self.scale(values)
        if self.binary_names:
            binary[:, 0] = np.isnan(values)


class TwoNumbers(Treatment):
    """A number that has two values, or a boolean: whether it is nearer to the larger one."""

    def fit(self, column, targets):
        values = numbers_of(column)
        present = values[~np.isnan(values)]
        low, high = present.min(), present.max()
        self.middle = float(low / 2 + high / 2)
        self.fallback = float(np.mean(present > self.middle) > 0.5)
        self.binary_names = ("", "_missing") if len(present) < len(values) else ("",)
        self.description = "binary" + (
            " with an indicator of missing values" if len(self.binary_names) > 1 else ""
        )
        return self

    def fill(self, column, numeric, binary):
        values = numbers_of(column)
        absent = np.isnan(values)
        binary[:, 0] = np.where(absent, self.fallback, values > self.middle)
        if len(self.binary_names) > 1:
            binary[:, 1] = absent


class Missing(Treatment):
    """Whether a value is missing, of a column with one value otherwise."""

    description = "indicator of missing values"
    binary_names = ("_missing",)

    def fit(self, column, targets):
        self.storage = column.storage
        return self

    def fill(self, column, numeric, binary):
        binary[:, 0] = missing_of(column, self.storage)


class TwoLevels(Treatment):
    """Whether a category is the second of two; missing and unknown ones are the more frequent."""

    description = "binary"

    def fit(self, column, targets):
        self.levels = column.levels
        self.fallback = float(np.mean(column.values) > 0.5)
        self.binary_names = (f"_{column.levels[1]}",)
        return self

    def fill(self, column, numeric, binary):
        column = levels_of(column)
        codes = [*(float(v == self.levels[1]) if v in self.levels else self.fallback for v in column.levels)]
        binary[:, 0] = np.array([*codes, self.fallback], np.float32)[column.values]


class Integer(Number):
    """A number, scaled, and each of its few values one-hot."""

    def fit(self, column, targets):
        super().fit(column, targets)
        self.one_hot = OneHot().fit(levels_of(column._replace(storage="number")), None)
        self.binary_names = self.one_hot.binary_names  # a missing value is a level there
        self.description = "numeric and one-hot"
        return self

    def fill(self, column, numeric, binary):
        values = numbers_of(column)
        numeric[:, 0] = self.scale(values)
        self.one_hot.fill(levels_of(column._replace(storage="number", values=values)), numeric, binary)


class OneHot(Treatment):
    """The frequent levels one-hot, of ordered ones also the number, of many the mean of the target."""

    def fit(self, column, targets):
        texts = _texts(column)
        n_rows = len(texts)
        self.one_hot = OneHotEncoder(
            min_frequency=max(1, min(FREQUENT, n_rows // 20)),
            max_categories=FEW_LEVELS,
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
            dtype=np.float32,
        )
        self.one_hot.set_output(transform="default").fit(texts)
        names = self.one_hot.get_feature_names_out([""])
        rare = self.one_hot.infrequent_categories_[0]
        grouped = rare is not None and len(names) == 1  # no level is frequent: the one column is constant
        self.binary_names = () if grouped else tuple(map(str, names))
        self.order = {level: i for i, level in enumerate(column.levels)} if column.ordered else {}
        self.scales: list[Scale] = []
        if column.ordered:
            self.scales.append(Scale.of(self._ranks(column), column.weight))
            self.numeric_names = ("_rank",)
        self.encoders: list[TargetEncoder] = []
        if (len(column.levels) > FEW_LEVELS or grouped) and targets and targets.n_outputs <= MOST_OUTPUTS:
            self._fit_target(texts, targets)
        self._describe(rare)
        return self

    def _fit_target(self, texts, targets):
        out_of_fold = []
        for y, kind in zip(targets.columns, targets.kinds, strict=True):
            encoder = TargetEncoder(target_type=kind, cv=_folds(y, kind, targets.seed))
            self.encoders.append(encoder.set_output(transform="default"))
            out_of_fold.append(encoder.fit_transform(texts, y))
        encoded = np.hstack(out_of_fold)
        scales = [Scale.of(values) for values in encoded.T]
        scaled = [scale(values) for scale, values in zip(scales, encoded.T, strict=True)]
        self.out_of_fold = np.stack(scaled, axis=1)
        self.scales += scales
        single = len(scales) == 1
        self.numeric_names += tuple("_target" if single else f"_target{i}" for i in range(len(scales)))

    def _describe(self, rare):
        parts = []
        if self.binary_names:
            parts.append("one-hot" if rare is None else "one-hot, rare levels together")
        if self.order:
            parts.append("the number of the level")
        if self.encoders:
            parts.append("the mean of the target, out-of-fold in training")
        self.description = "; ".join(parts) or "not used: no level is frequent"

    def _ranks(self, column):
        known = [float(self.order.get(level, np.nan)) for level in column.levels]
        return np.array([*known, np.nan])[column.values]

    def fill(self, column, numeric, binary):
        column = levels_of(column)
        texts = np.array([*column.levels, None], dtype=object)[:, None]  # each level once, then missing
        if self.binary_names:
            binary[:] = self.one_hot.transform(texts)[column.values]
        if self.order:
            numeric[:, 0] = self.scales[0](self._ranks(column))
        start = len(self.scales) - sum(
            e.target_type_ != "multiclass" or len(e.classes_) for e in self.encoders
        )
        for encoder in self.encoders:
            for values in encoder.transform(texts).T:
                numeric[:, start] = self.scales[start](values)[column.values]
                start += 1

    def fill_training(self, column, numeric, binary):
        self.fill(column, numeric, binary)
        if self.encoders:
            numeric[:, numeric.shape[1] - self.out_of_fold.shape[1] :] = self.out_of_fold
            del self.out_of_fold


class Dates(Treatment):
    """Days since 1970, and the sine and cosine of each part of a date that varies."""

    def fit(self, column, targets):
        values = {"days": numbers_of(column), **_parts(column.values)}
        present = ~np.isnat(column.values)
        self.cycles = [part for part in CYCLES if np.ptp(values[part][present])]
        self.scale = Scale.of(values["days"], column.weight)
        pairs = [f"_{part.replace(' ', '_')}_{wave}" for part in self.cycles for wave in ("sin", "cos")]
        self.numeric_names = ("_days", *pairs)
        self.binary_names = () if present.all() else ("_missing",)
        self.description = "days" + "".join(f", {part}" for part in self.cycles)
        if self.binary_names:
            self.description += ", with an indicator of missing values"
        return self

    def fill(self, column, numeric, binary):
        dates = dates_of(column)
        absent = np.isnat(dates)
        numeric[:, 0] = self.scale(numbers_of(Column(column.name, "date", dates)))
        parts = _parts(dates)
        for i, part in enumerate(self.cycles):
            angles = parts[part] * (2 * np.pi / CYCLES[part])
            for j, wave in enumerate((np.sin, np.cos)):
                numeric[:, 1 + 2 * i + j] = np.where(absent, 0.0, wave(angles))
        if self.binary_names:
            binary[:, 0] = absent


def _parts(dates: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cyclic parts of dates as float64; of NaT, zero."""
    dates = np.where(np.isnat(dates), np.datetime64(0, "us"), dates)
    days, months = dates.astype("datetime64[D]"), dates.astype("datetime64[M]")
    return {
        "month": months.astype(np.int64) % 12 * 1.0,
        "day of month": (days - months).astype(np.float64),
        "day of week": (days.astype(np.int64) + 3) % 7 * 1.0,  # Monday is 0
        "hour": (dates - days) / np.timedelta64(1, "h"),
    }


def _texts(column: Column) -> np.ndarray:
    """Return the levels of a column as an array of strings, None for missing, of shape (n_rows, 1)."""
    return np.array([*column.levels, None], dtype=object)[column.values][:, None]


def _target_type(y: np.ndarray) -> str:
    """Return the type of a target as ``type_of_target``, which warns of many classes."""
    if y.dtype.kind == "f" and np.any(y != np.floor(y)):
        return "continuous"
    return "binary" if len(np.unique(y)) == 2 else "multiclass"


def _folds(y: np.ndarray, kind: str, seed: int) -> KFold | StratifiedKFold:
    """Return five folds, fewer for few rows; not stratified where a class has fewer members."""
    n_folds = min(5, len(y))
    if kind != "continuous" and np.unique(y, return_counts=True)[1].min() >= n_folds:
        return StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return KFold(n_folds, shuffle=True, random_state=seed)


def treatment_of(kind: str, column: Column) -> Treatment:
    """Return the treatment, not fitted, of a column that `read_kind` has returned."""
    if kind == "constant" and has_missing(column):
        return Missing()
    if kind in ("constant", "missing", "identifier"):
        return Treatment()
    if kind == "date":
        return Dates()
    if column.storage in ("text", "category"):
        return TwoLevels() if len(column.levels) == 2 and not has_missing(column) else OneHot()
    values = column.values[~np.isnan(column.values)]
    if np.all((values == values.min()) | (values == values.max())):
        return TwoNumbers()
    return Integer() if kind == "integer" else Number()
