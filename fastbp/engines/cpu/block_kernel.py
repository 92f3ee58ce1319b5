"""Training of several networks of one shape in one call, without a return to Python between them."""

import numpy as np
from numba import typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp.engines.compiler import jit
from fastbp.engines.control import RUNNING
from fastbp.engines.cpu import step


@intrinsic
def _call_train(typingctx, address, arguments):
    """The result of `step.train` with these arguments, which is called by its address.

    So the largest of the kernels is compiled once, for single networks and for blocks.
    """
    kinds = tuple(arguments)

    def codegen(context, builder, sig, packed):
        kind = context.call_conv.get_function_type(types.int64, kinds)
        returned, error = (cgutils.alloca_once(builder, p.pointee) for p in kind.args[:2])
        parts = [builder.extract_value(packed[1], i) for i in range(len(kinds))]
        flat = context.get_arg_packer(kinds).as_arguments(builder, parts)
        builder.call(builder.inttoptr(packed[0], kind.as_pointer()), [returned, error, *flat])
        return builder.load(returned)

    return types.int64(types.int64, arguments), codegen


_addresses: dict[np.dtype, int] = {}


def train_address(dtype: np.dtype, arguments: tuple) -> int:
    """Address of `step.train` for networks of a dtype; `arguments` are those after `stop_at_epoch_end`."""
    if dtype not in _addresses:
        kinds = (types.int64, types.int64, types.int64, types.boolean, *map(typeof, arguments))
        step.train.compile(kinds)
        found = step.train.overloads[kinds]
        _addresses[dtype] = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
    return _addresses[dtype]


@jit
def train_block(address, max_steps, network, data, solver, control, execution, curve, sync):
    """Up to `max_steps` steps of networks one after the other, each to its end; returns the steps made.

    All are trained by the calling thread, on the same rows in the same arena.

    Parameters
    ----------
    address : int
        Of `step.train`.
    network, data, solver, control, execution, curve, sync
        As of `step.train`, but with a record, or an equal part of the vector, for each network: `params`,
        `weights`, `order`, `moments` and `curve`.
    """
    done, n = 0, control.shape[0]
    of_plan, (params, workspace, losses) = network[:5], network[5:]
    of_rows, (weights, order, starts) = data[:7], data[7:]
    moments, scratch = solver[0], solver[1:]
    n_params, n_moments = params.shape[0] // n, moments.shape[0] // n
    n_weights, n_order, n_epochs = weights.shape[0] // n, order.shape[0] // n, curve.shape[0] // n
    for i in range(n):
        if done == max_steps:
            break
        if control[i].status == RUNNING:
            own = params[i * n_params : (i + 1) * n_params]
            its_weights = weights[i * n_weights : (i + 1) * n_weights]
            its_order = order[i * n_order : (i + 1) * n_order]
            its_moments = moments[i * n_moments : (i + 1) * n_moments]
            arguments = (
                (*of_plan, own, workspace, losses),
                (*of_rows, its_weights, its_order, starts),
                (its_moments, *scratch),
                control[i : i + 1],
                execution[i : i + 1],
                curve[i * n_epochs : (i + 1) * n_epochs],
                sync,
            )
            done += _call_train(address, (0, 1, max_steps - done, False, *arguments))
            if control[i].status == RUNNING:
                break
    return done
