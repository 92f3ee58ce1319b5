"""Writes fastbp/functions/README.md: every registered formula, with its parameters, out of the registries.

    python bench/formulas.py

Names, formulas and defaults come from the entries that kernels are compiled from; remarks stand here. A test
compares the file with the output.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the fastbp of this checkout

from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS  # noqa: E402
from fastbp.functions.initialisers import INITIALISERS  # noqa: E402
from fastbp.functions.loss_entry import Loss  # noqa: E402
from fastbp.functions.losses import LOSSES  # noqa: E402
from fastbp.functions.noise import NOISES  # noqa: E402
from fastbp.functions.parameters import Parameter  # noqa: E402
from fastbp.functions.parametric import PARAMETRICS  # noqa: E402
from fastbp.functions.schedules import RATE_SCHEDULES, WARM_UP  # noqa: E402
from fastbp.functions.solvers import SOLVERS  # noqa: E402
from fastbp.plan.training import AVERAGES  # noqa: E402

PATH = ROOT / "fastbp" / "functions" / "README.md"

INITIALISER_REMARKS = {
    "glorot": "scikit-learn's: biases too; 2 in place of 6 for `logistic`",
    "he": "for rectifiers; g as below",
    "lecun": "for `selu`",
    "orthogonal": "Q uniform among all; g the gain 1 / sqrt(E f(z)^2) of the activation f, z standard normal",
    "normal": "biases too",
}
# The three update rules of the solver "sgd".
SGD = {
    "sgd": "`sgd` with `momentum=0`",
    "momentum": "`sgd` with `nesterovs_momentum=False`",
    "nesterov": "`sgd`",
}
NOISE_PARAMETERS = {"dropout": "`dropout`, `input_dropout`", "gaussian": "`input_noise`"}
AVERAGE_FORMULAS = {
    "ema": "exponential: 1 - `decay` times the newest plus `decay` times the mean before",
    "swa": "the plain mean over all steps after the fraction `start` of the fit",
}
# Function: the meaning of p and q, and the estimators' parameter that calls for it.
PARAMETRIC_USES = {
    "scale": ("p a factor of the feature, learned", "`learn_input_scales`"),
    "affine": ("p a factor, q a shift, learned", '`norm`, after "standardise" or "layer_norm"'),
    "robust": ("p the median, q 1 over the distance of the quartiles", '`input_scaling="robust"`'),
    "standardise": (
        "p the mean, q the variance: of the batch; in prediction running ones",
        '`norm="batch"`',
    ),
    "blended": ("p a fraction, learned for each unit", "`parametric_activation`"),
}


def number(value: float) -> str:
    """1e-6, not 1e-06."""
    return f"{value:g}".replace("e-0", "e-")


def defaults(parameters: Iterable[Parameter]) -> str:
    """`rho` 0.9, `damping` 1e-6."""
    return ", ".join(f"`{parameter.name}` {number(parameter.default)}" for parameter in parameters)


def table(header: str, rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown; `header` has bars between its cells."""
    lines = [f"| {header} |", "|---" * (header.count("|") + 1) + "|"]
    for row in rows:
        cells = [cell.replace("|", r"\|") for cell in row]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines)


def code(name: str) -> str:
    return f"`{name}`"


def activations() -> str:
    chosen = [entry for entry in ROW_ACTIVATIONS if entry.output]
    rows = [(code(a.name), a.formula, "any" if a.hidden else "output") for a in ACTIVATIONS]
    rows += [(code(a.name), a.formula, "output") for a in chosen]
    rows += [(code(a.name), a.formula, "hidden") for a in GROUP_ACTIVATIONS]
    return table("activation | f(z) | layers", rows)


def initialisers() -> str:
    rows = [(code(i.name), i.formula, INITIALISER_REMARKS.get(i.name, "")) for i in INITIALISERS]
    return table("initialiser | weights of a layer with m inputs and n units | remarks", rows)


def loss(entry: Loss) -> tuple[str, ...]:
    output = entry.merged_with or ("identity" if entry.signed else "any")
    estimator = entry.tasks[0] if len(entry.tasks) == 1 else "both"
    return code(entry.name.partition("+")[0]), entry.formula, defaults(entry.parameters), output, estimator


def losses() -> str:
    of_a_row = "of a row with outputs f and targets y, K of them"
    return table(f"loss | {of_a_row} | parameters | output activation | estimator", map(loss, LOSSES))


def solvers() -> str:
    rows = [(SGD.get(s.name, code(s.name)), s.formula, defaults(s.own)) for s in SOLVERS]
    rows.append(("`lbfgs`", "SciPy's L-BFGS-B over all rows", ""))
    return table("solver | a step, with the gradient g | parameters", rows)


def schedules() -> str:
    rows = [(code(s.name), s.formula, defaults(s.parameters)) for s in RATE_SCHEDULES]
    plateau = '1/5 each time that training would stop, as `learning_rate="adaptive"` does for `sgd`'
    rows.append(("`plateau`", plateau, ""))
    return table("schedule | the learning rate is multiplied by | parameters", rows)


def noises() -> str:
    rows = [(code(n.name), n.formula, NOISE_PARAMETERS[n.name]) for n in NOISES]
    return table("noise | a value z becomes, in a training step | parameter p", rows)


def averages() -> str:
    rows = [(code(name), AVERAGE_FORMULAS[name], defaults([p])) for name, p in AVERAGES.items()]
    return table("average | of the weights after each step | parameters", rows)


def parametrics() -> str:
    """The blends of all activations are one row."""
    found = {p.name.partition(" ")[0]: p.formula.partition(", f the")[0] for p in PARAMETRICS}
    rows = [(code(name), formula, *PARAMETRIC_USES[name]) for name, formula in found.items()]
    return table("function | of a value z | p and q | parameter", rows)


def row_functions() -> str:
    """Functions of rows that users do not name themselves."""
    rows = [(code(a.name), a.formula, '`norm="layer"`') for a in ROW_ACTIVATIONS if not a.output]
    return table("function of a row | of its values z | parameter", rows)


def document() -> str:
    """The text of fastbp/functions/README.md."""
    return f"""\
# Formulas

Made by `python bench/formulas.py` from the registries of this folder, out of which the kernels are compiled:
change those, not this file. The names are values of the estimators' parameters, of which
[fastbp/estimators](../estimators/README.md) has the list.

## Activations

`activation` is of the hidden layers, `out_activation` of the output.

{activations()}

Phi is the distribution function of the standard normal distribution. `activation=["relu", "tanh"]` gives each
hidden layer its own. A maxout layer of n units has k n columns in `coefs_`, k = `maxout_pieces`, the columns
of a unit side by side, and each of the k pieces is initialised as a layer of n units.

## Initialisers

`init` is of the hidden layers, `out_init` of the output.

{initialisers()}

U(a, b) is uniform between a and b, N(m, v) normal with mean m and variance v. Biases begin at 0 but where it
says so.

## Losses

{losses()}

f_y is the output of the row's class. With `increasing` outputs `quantile` is a list, and the quantiles of the
one target never cross. `gaussian_nll` has 2 K outputs: f_k are means, v_k variances; `beta` is the power of
v_k that the gradient of target k, but not the value, is multiplied by. Parameters with another value than
their default stand in `loss_params`.

The objective is the weighted mean of the rows' losses plus the penalties, and `loss_curve_` reports it.

## Solvers

{solvers()}

rate is the learning rate; mu, b1, b2 and eps are `momentum`, `beta_1`, `beta_2` and `epsilon`, but eps is
`damping` in `adadelta` and b2 is `memory` in `lion`. A solver's own parameters stand in `solver_params`.
`rprop` is for whole batches.

## Schedules

{schedules()}

x runs from 0 to 1 over the steps of the fit (of `max_iter` calls of `partial_fit`), e counts epochs.
Parameters stand in `schedule_params`, and with them `{WARM_UP}` 0: the rate rises from 0 over as many steps.

## Noise

{noises()}

## Averages of the weights

{averages()}

Parameters stand in `average_params`.

## Functions with parameters of their own for each feature

{parametrics()}

There is a blend for each activation f of hidden layers. Learned parameters go by the same solver and limits
as weights.

{row_functions()}
"""


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8", newline="\n")
    print(PATH.relative_to(ROOT))
