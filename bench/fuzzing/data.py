"""Rows, targets and weights of every kind, as statements that make them.

Whether data must be refused is not known here: the oracles look at the arrays themselves.
"""

from typing import NamedTuple

from .draw import Draw

NUMBERS = {  # {g} is a seeded generator, {size} the shape
    "{g}.normal(size={size})": 40,
    "{g}.uniform(-1, 1, size={size})": 5,
    "{g}.randint(-3, 4, size={size})": 5,
    "{g}.randint(0, 2, size={size})": 4,
    "{g}.standard_t(1, size={size})": 4,  # heavy tails
    "{g}.normal(size={size}) + 1e6": 2,
    "{g}.normal(size={size}) * ({g}.uniform(size={size}) < 0.2)": 5,  # mostly zeros
    "{g}.normal(size={size}) * 10.0 ** np.arange({d})": 2,
}
WILD_NUMBERS = {
    "np.zeros({size})": 3,
    "np.full({size}, 7.0)": 2,
    "{g}.normal(size={size}) * 1e-30": 2,
    "{g}.normal(size={size}) * 1e-310": 3,  # denormal
    "{g}.normal(size={size}) * 1e30": 3,
    "{g}.normal(size={size}) * 1e150": 2,
    "{g}.normal(size={size}) * 1e300": 3,
    "{g}.choice([-1e308, 1e308], size={size})": 2,
    "{g}.choice([0.0, 1e30], size={size})": 2,
}
COLUMNS = ["{X}[:, 0] = 3", "{X}[:, -1] = {X}[:, 0]", "{X}[0] = 0", "{X}[:, ::2] = 0", "{X}[-1] *= 1000"]
DTYPES = {
    "np.float64": 50,
    "np.float32": 20,
    "np.float16": 5,
    "np.int64": 3,
    "np.int8": 2,
    "np.uint8": 2,
    "np.int32": 2,
    "bool": 2,
    "object": 2,
    "np.longdouble": 2,
    "'>f8'": 2,
    "'>f4'": 1,
}
DENSE = {
    "{X}": 40,
    "np.asfortranarray({X})": 6,
    "np.repeat({X}, 2, axis=0)[::2]": 4,
    "np.repeat({X}, 2, axis=1)[:, ::2]": 3,
    "{X}[::-1]": 3,
    "np.broadcast_to({X}[:1], {X}.shape)": 1,  # read-only, strides of zero
    "np.ma.masked_array({X})": 1,
    "{X}.tolist()": 3,
    "[tuple(row) for row in {X}]": 1,
    "pd.DataFrame({X})": 3,
    "pd.DataFrame({X}, columns=['x%d' % i for i in range({d})])": 4,
    "pl.DataFrame({X}, schema=['x%d' % i for i in range({d})])": 3,
}
SPARSE = {
    "sparse.csr_matrix({X})": 5,
    "sparse.csr_array({X})": 3,
    "sparse.csc_matrix({X})": 3,
    "sparse.coo_matrix({X})": 2,
    "sparse.lil_matrix({X})": 1,
    "sparse.dok_array({X})": 1,
    "sparse.bsr_matrix({X})": 1,
    "sparse.csr_matrix((np.ones({n}), (np.arange({n}), np.arange({n}) % {d})), shape=({n}, {d}))": 1,
    # the same element twice, in any order
    "sparse.csr_matrix((np.ones(2 * {n}), np.zeros(2 * {n}, int), 2 * np.arange({n} + 1)), ({n}, {d}))": 1,
    "sparse.csr_matrix(({n}, {d}))": 1,  # nothing stored
}
WIDE_INDICES = ["{X}.indices = {X}.indices.astype(np.int64)", "{X}.indptr = {X}.indptr.astype(np.int64)"]
READ_ONLY = "{X}.flags.writeable = False"
BAD_ROWS = [
    "{X}[-1, 0] = np.nan",
    "{X}[0, -1] = np.inf",
    "{X} = {X}[:, 0]",
    "{X} = {X}[None]",
    "{X} = {X}[:0]",
    "{X} = {X}[:, :0]",
    "{X} = {X} + 1j",
    "{X} = {X}.astype(str).astype(object); {X}[0, 0] = 'x'",
    "{X} = {X}.astype(object); {X}[0, 0] = None",
    "{X} = {X}.astype('datetime64[s]')",
    "{X} = {X}[:-1]",
    "{X} = np.vstack([{X}, {X}])",
    "{X} = None",
    "{X} = 'rows'",
    "{X} = 3.0",
    "{X} = [[1.0, 2.0], [3.0]]",
    "{X} = iter({X})",
    "{X} = {{'a': {X}[:, 0]}}",
]

LABELS = {  # {g}: a seeded generator; {i}: integers from 0 to k - 1, one for each row
    "{i}": 30,
    "{i} - 2": 4,
    "({i} * 2 - 1).astype(np.int8)": 3,
    "{i}.astype(np.uint8)": 2,
    "np.uint64(2**64 - 1) - {i}.astype(np.uint64)": 3,
    "{i} + 2**60": 2,
    "np.array(['a', 'bb', 'ccc', 'd', 'é'] * 60)[{i}]": 5,
    "np.array(['a', 'bb', 'ccc', 'd', 'é'] * 60, dtype=object)[{i}]": 3,
    "{i} > 0": 4,
    "{i}.astype(float)": 4,
    "{i}.astype(np.float32) - 1": 2,
    "{i}.astype(object)": 2,
    "{i}.tolist()": 3,
    "[str(label) for label in {i}]": 2,
    "{i}[:, None]": 2,
    "pd.Series({i}, dtype='Int64')": 1,
    "pd.Series({i}.astype(str), dtype='category')": 2,
    "pd.Series({i}, index=np.arange({n})[::-1])": 2,
    "pl.Series({i})": 2,
    "pd.DataFrame({{'y': {i}}})": 1,
    "np.full({n}, 5)": 2,
    "np.arange({n})": 2,
    "np.array(['2020-01-01', '2021-01-01', '2022-01-01', '2023-01-01'] * 75, 'datetime64[D]')[{i}]": 1,
}
MULTILABEL = {
    "{g}.randint(0, 2, size=({n}, {k}))": 6,
    "{g}.randint(0, 2, size=({n}, {k})).astype(bool)": 1,
    "{g}.randint(0, 2, size=({n}, {k})).astype(float)": 1,
    "sparse.csr_matrix({g}.randint(0, 2, size=({n}, {k})))": 2,
    "sparse.csc_array({g}.randint(0, 2, size=({n}, {k})))": 1,
    "np.zeros(({n}, {k}), int)": 1,
    "{g}.randint(0, 2, size=({n}, {k})).tolist()": 1,
    "pd.DataFrame({g}.randint(0, 2, size=({n}, {k})))": 1,
}
BAD_LABELS = [
    "np.array([b'a', b'bb', b'c', b'd', b'e'] * 60)[{i}]",
    "{g}.normal(size={n})",
    "np.append({i}[1:].astype(float), np.nan)",
    "np.array([None] * {n})",
    "{g}.randint(0, 5, size=({n}, 2))",
    "{g}.normal(size=({n}, 2))",
    "{i}[1:]",
    "np.append({i}, 0)",
    "{i}[:, None, None]",
    "{i} + 1j",
    "None",
    "3",
    "'labels'",
    "np.array([0, 'a'] * {n}, dtype=object)[:{n}]",
    "[[1], [1, 2]] * {n}",
    "[]",
    "sparse.csr_matrix({i}[:, None])",
    "pd.Series([pd.NA] * {n})",
]

TARGETS = {
    "{g}.normal(size={n})": 20,
    "{g}.normal(size={n}).astype(np.float32)": 4,
    "{g}.normal(size={n}).astype(np.float16)": 1,
    "{g}.randint(0, 9, size={n})": 4,
    "{g}.randint(0, 200, size={n}).astype(np.uint8)": 2,
    "{g}.randint(0, 2, size={n}).astype(bool)": 1,
    "{g}.normal(size=({n}, 2))": 5,
    "{g}.normal(size=({n}, 3)).astype(np.float32, order='F')": 2,
    "{g}.normal(size=({n}, 1))": 2,
    "{g}.normal(size={n}).tolist()": 2,
    "{g}.normal(size=({n}, 2)).tolist()": 1,
    "pd.Series({g}.normal(size={n}))": 2,
    "pl.Series({g}.normal(size={n}))": 1,
    "pd.DataFrame({g}.normal(size=({n}, 2)))": 1,
    "{g}.normal(size={n})[::-1]": 1,
    "{g}.normal(size={n}).astype(object)": 1,
    "{g}.normal(size={n}).astype(np.longdouble)": 1,
}
WILD_TARGETS = {
    "np.zeros({n})": 3,
    "np.full({n}, -4.5)": 2,
    "{g}.normal(size={n}) * 1e30": 2,
    "{g}.normal(size={n}) * 1e150": 2,
    "{g}.normal(size={n}) * 1e300": 2,
    "{g}.choice([-1e308, 1e308], size={n})": 1,
    "{g}.normal(size={n}) * 1e-310": 2,
    "{g}.normal(size={n}) + 1e9": 2,
    "np.full({n}, 1e308)": 1,
    "{g}.randint(-2**62, 2**62, size={n})": 1,
    "np.uint64(2**64 - 1) - np.arange({n}, dtype=np.uint64)": 1,
}
COUNTS = {"{g}.poisson(2, size={n})": 3, "{g}.poisson(2, size=({n}, 2)) * 1.0": 1, "np.zeros({n})": 0.3}
POSITIVE = {
    "{g}.exponential(size={n}) + 0.01": 3,
    "{g}.exponential(size=({n}, 2)) + 0.01": 1,
    "np.full({n}, 1e-300)": 0.3,
    "np.full({n}, 1e300)": 0.2,
}
FRACTIONS = {"{g}.uniform(size={n})": 3, "{g}.uniform(size=({n}, 2))": 1, "{g}.randint(0, 2, size={n})": 1}
OF_LOSS = {"poisson": COUNTS, "tweedie": COUNTS, "gamma": POSITIVE, "log_loss": FRACTIONS}
BAD_TARGETS = [
    "np.append({g}.normal(size={n} - 1), np.nan)",
    "np.append({g}.normal(size={n} - 1), np.inf)",
    "np.array(['a', 'b'] * {n})[:{n}]",
    "np.array([None] * {n})",
    "{g}.normal(size={n}) + 1j",
    "np.arange({n}).astype('datetime64[D]')",
    "np.arange({n}).astype('timedelta64[s]')",
    "np.array(['NaT'] * {n}, dtype='datetime64[D]')",
    "pd.Series(pd.date_range('2020-01-01', periods={n}))",
    "pd.Series([pd.NA] * {n}, dtype='Float64')",
    "{g}.normal(size={n} + 1)",
    "{g}.normal(size=({n}, 1, 1))",
    "None",
    "'targets'",
    "3.0",
    "[]",
    "[[1.0], [1.0, 2.0]] * {n}",
]

WEIGHTS = {
    "np.ones({n})": 3,
    "{g}.uniform(0.5, 2, size={n})": 8,
    "{g}.uniform(size={n}).astype(np.float32)": 2,
    "{g}.uniform(size={n}).astype(np.float16)": 1,
    "{g}.randint(0, 3, size={n})": 3,
    "(np.arange({n}) % 3 == 0) * 1.0": 2,
    "np.arange({n}) == 0": 1,
    "{g}.uniform(size={n}).tolist()": 1,
    "pd.Series({g}.uniform(size={n}))": 1,
    "{g}.uniform(size={n})[::-1]": 1,
    "2.0": 1,
    "3": 1,
}
WILD_WEIGHTS = {
    "{g}.uniform(size={n}) * 1e30": 1,
    "{g}.uniform(size={n}) * 1e300": 2,
    "np.full({n}, 1e308)": 1,
    "{g}.uniform(size={n}) * 1e-310": 1,
    "np.full({n}, 5e-324)": 1,
    "{g}.choice([1e-300, 1e300], size={n})": 1,
    "np.where(np.arange({n}) == 0, 1e12, 1)": 1,
}
BAD_WEIGHTS = [
    "np.zeros({n})",
    "-np.ones({n})",
    "np.append(np.ones({n} - 1), -1e-3)",
    "np.append(np.ones({n} - 1), np.nan)",
    "np.append(np.ones({n} - 1), np.inf)",
    "np.ones({n} + 1)",
    "np.ones(({n}, 1))",
    "'weights'",
    "np.array(['a'] * {n})",
    "np.ones({n}) + 1j",
    "-1.0",
    "0.0",
    "[]",
    "[None] * {n}",
]
BAD = 0.04  # share of data that is bad where anything is allowed
WILD = 0.12


def rows(draw: Draw, name: str, n: int, d: int, tame: bool) -> list[str]:
    """Statements that make the array, frame or sparse matrix `name`, of n rows and d columns mostly."""
    numbers = WILD_NUMBERS if not tame and draw.chance(WILD) else NUMBERS
    lines = [f"{{X}} = np.array({draw.weighted(numbers)}, dtype=float)"]
    if draw.chance(0.2):
        lines.append(draw.pick(COLUMNS))
    if not tame and draw.chance(BAD):
        lines.append(draw.pick(BAD_ROWS))
    else:
        dtype = draw.weighted(DTYPES)
        if dtype != "np.float64":
            lines.append(f"{{X}} = {{X}}.astype({dtype})")
        if draw.chance(0.2) and dtype not in ("object", "np.float16", "np.longdouble"):
            lines.append(f"{{X}} = {draw.weighted(SPARSE)}")
            if "csr" in lines[-1] and draw.chance(0.3):
                lines += WIDE_INDICES
        elif draw.chance(0.1):
            lines.append(READ_ONLY)
        elif (container := draw.weighted(DENSE)) != "{X}" and (dtype != "'>f8'" or "pl." not in container):
            lines.append(f"{{X}} = {container}")
    return [line.format(X=name, n=n, d=d, size=(n, d), g=draw.state()) for line in lines]


class TargetStyle(NamedTuple):
    """The kind of targets, for several blocks of rows: a text, and the number of classes or labels."""

    text: str
    k: int = 2


def targets(draw: Draw, name: str, n: int, style: TargetStyle) -> list[str]:
    """A statement that makes n targets."""
    index = f"{draw.state()}.permutation(np.arange({n}) % {style.k})"
    return [f"{name} = {style.text.format(g=draw.state(), n=n, k=style.k, i=index)}"]


def target_style(draw: Draw, estimator: str, loss: str, tame: bool) -> TargetStyle:
    """For a classifier labels, for a regressor numbers that mostly go with the loss."""
    if estimator == "BPClassifier":
        k = draw.weighted({2: 6, 3: 4, 1: 0.5, 5: 1, 12: 0.5})
        if not tame and draw.chance(BAD):
            return TargetStyle(draw.pick(BAD_LABELS), k)
        return TargetStyle(draw.weighted(MULTILABEL if draw.chance(0.15) else LABELS), k)
    if not tame and draw.chance(BAD):
        return TargetStyle(draw.pick(BAD_TARGETS))
    if loss in OF_LOSS and draw.chance(0.9):
        return TargetStyle(draw.weighted(OF_LOSS[loss]))
    return TargetStyle(draw.weighted(WILD_TARGETS if not tame and draw.chance(WILD) else TARGETS))


def weights(draw: Draw, name: str, n: int, tame: bool) -> list[str]:
    """A statement that makes weights of n rows."""
    if not tame and draw.chance(2 * BAD):
        text = draw.pick(BAD_WEIGHTS)
    else:
        text = draw.weighted(WILD_WEIGHTS if not tame and draw.chance(WILD) else WEIGHTS)
    return [f"{name} = {text.format(g=draw.state(), n=n)}"]
