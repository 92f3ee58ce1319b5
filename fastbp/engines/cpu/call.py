"""Calls by address: how kernels reach the registered functions.

Each function is compiled on its own when a network first uses it, so kernels do not grow with the registries,
and nobody waits for functions that he does not use. Functions passed as arguments, or closures over
dispatchers, would miss Numba's cache in every process. A call stands outside the loops: what is called is a
whole loop over rows and registers.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def call(typingctx, address, args):
    """Call the function at `address` (an int64), which returns nothing, with a tuple of arguments."""

    def codegen(context, builder, sig, values):
        address, packed = values
        parts = [builder.extract_value(packed, i) for i in range(len(args))]
        # Numba's convention: where to leave a result and an error, of which there are none, then arguments.
        kind = context.call_conv.get_function_type(types.void, args)
        returned, error = (cgutils.alloca_once(builder, p.pointee) for p in kind.args[:2])
        arguments = context.get_arg_packer(args).as_arguments(builder, parts)
        builder.call(builder.inttoptr(address, kind.as_pointer()), [returned, error, *arguments])
        return context.get_dummy_value()

    return types.void(types.int64, args), codegen
