"""Calls by address: how kernels reach the registered functions.

Each function is compiled on its own when a network first uses it, so kernels do not grow with the registries,
and nobody waits for functions that he does not use. Functions passed as arguments, or closures over
dispatchers, would miss Numba's cache in every process. A call stands outside the loops: what is called is a
whole loop over rows and registers.

The signature of each kind of function is stated here, once: functions are compiled for it, and calls that do
not agree with it are refused when a kernel is compiled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from fastbp.engines.cpu.arguments import (
    INT,
    REAL,
    moments_type,
    network_type,
    real_type,
    table_type,
    team_type,
    tile_type,
)

Kind = Callable[[types.Float], types.Type]  # the type of an argument, from the type of a network's numbers


def values(real: types.Float) -> types.Type:
    """A pointer to numbers of the network's dtype."""
    return types.CPointer(real)


def doubles(real: types.Float) -> types.Type:
    """A pointer to float64, whatever the network's dtype."""
    return types.CPointer(REAL)


def vector(real: types.Float) -> types.Type:
    """An array of numbers of the network's dtype."""
    return real[::1]


def integer(real: types.Float) -> types.Type:
    return INT


def double(real: types.Float) -> types.Type:
    return REAL


@dataclass(frozen=True)
class Prototype:
    """The signature of a kind of function, which returns nothing.

    Attributes
    ----------
    arguments : dict of str to Kind
    """

    arguments: dict[str, Kind]

    def types_for(self, dtype: np.dtype) -> tuple[types.Type, ...]:
        """The argument types of a function for networks of a dtype."""
        return self._types(real_type(dtype))

    def _types(self, real: types.Float) -> tuple[types.Type, ...]:
        return tuple(kind(real) for kind in self.arguments.values())

    def match(self, given: tuple[types.Type, ...]) -> tuple[types.Type, ...]:
        """The types of this signature that a call with arguments `given` agrees with."""
        for real in (types.float32, types.float64):
            wanted = self._types(real)
            if len(wanted) == len(given) and all(map(_fits, given, wanted)):
                return wanted
        raise TypingError(f"a call with ({', '.join(map(str, given))}) of a function ({self})")

    def __str__(self) -> str:
        return ", ".join(f"{name}: {kind.__name__}" for name, kind in self.arguments.items())


def _fits(given: types.Type, wanted: types.Type) -> bool:
    given = types.unliteral(given)
    return given == wanted or (isinstance(given, types.Integer | types.Boolean) and wanted == INT)


def caller(prototype: Prototype) -> Any:
    """The function ``call(address, arguments)`` of kernels for a kind of function."""

    @intrinsic
    def call(typingctx, address, args):
        wanted = prototype.match(tuple(args))

        def codegen(context, builder, sig, packed):
            address, arguments = packed
            parts = [
                context.cast(builder, builder.extract_value(arguments, i), args[i], wanted[i])
                for i in range(len(wanted))
            ]
            # Numba's convention: where to leave a result and an error, which there are not, then arguments.
            kind = context.call_conv.get_function_type(types.void, wanted)
            returned, error = (cgutils.alloca_once(builder, p.pointee) for p in kind.args[:2])
            flat = context.get_arg_packer(wanted).as_arguments(builder, parts)
            builder.call(builder.inttoptr(address, kind.as_pointer()), [returned, error, *flat])
            return context.get_dummy_value()

        return types.void(types.int64, args), codegen

    return call


# v is what a derivative is a function of: the activation's output, or its input.
ACTIVATION = Prototype({"z": values, "a": values, "n": integer, "n_registers": integer})
ACTIVATION_BACKWARD = Prototype({"delta": values, "v": values, "n": integer, "n_registers": integer})
# From k features of z for each of the n of a; the way back writes the derivatives by z.
GROUP = Prototype({"z": values, "a": values, "n": integer, "k": integer, "n_registers": integer})
GROUP_BACKWARD = Prototype(
    {"delta": values, "z": values, "into": values, "n": integer, "k": integer, "n_registers": integer}
)
# `row` is the first row's number in the batch; with the key 0 nothing happens but a copy.
NOISE = Prototype(
    {
        "z": values,
        "a": values,
        "n": integer,
        "n_registers": integer,
        "row": integer,
        "key": integer,
        "constants": values,
    }
)
# `own` are the op's parameters; `of_own` get their derivatives, a panel for each.
PARAMETRIC = Prototype({"z": values, "a": values, "n": integer, "n_registers": integer, "own": values})
PARAMETRIC_BACKWARD = Prototype(
    {
        "delta": values,
        "z": values,
        "n": integer,
        "n_registers": integer,
        "own": values,
        "of_own": values,
    }
)
LOSS = Prototype(
    {
        "z": values,
        "y": values,
        "delta": values,
        "weight": values,
        "n": integer,
        "n_registers": integer,
        "constants": values,
        "sums": doubles,
    }
)
# A solver's step on a tile (``lowering._update_loop``).
TILE = Prototype(
    {
        "tile": tile_type,
        "moments": moments_type,
        "coefficients": values,
        "regular": values,
        "rates": values,
        "sums": doubles,
    }
)
# A solver's coefficients, computed in float64, kept in the network's dtype.
COEFFICIENTS = Prototype({"rate": double, "h": doubles, "step": double, "out": values})
SCHEDULE = Prototype({"step": double, "epoch_steps": double, "total": double, "p": doubles, "out": doubles})
# ``post_step.limit_norms``
LIMIT_NORMS = Prototype({"team": team_type, "table": table_type, "params": vector, "limit": double})
# ``synced.synced_forward_and_backward``
SYNCED = Prototype(
    {
        "team": team_type,
        "network": network_type,
        "first": integer,
        "last": integer,
        "n_registers": integer,
        "n_small": integer,
        "key": integer,
        "row": integer,
        "fraction": double,
    }
)
call_activation, call_activation_backward = caller(ACTIVATION), caller(ACTIVATION_BACKWARD)
call_group, call_group_backward = caller(GROUP), caller(GROUP_BACKWARD)
call_noise = caller(NOISE)
call_parametric, call_parametric_backward = caller(PARAMETRIC), caller(PARAMETRIC_BACKWARD)
call_loss, call_tile = caller(LOSS), caller(TILE)
call_coefficients, call_schedule = caller(COEFFICIENTS), caller(SCHEDULE)
call_limit_norms, call_synced = caller(LIMIT_NORMS), caller(SYNCED)
