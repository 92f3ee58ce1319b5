"""A device function that selects among others by an integer code: a chain of comparisons.

All threads of a block take the same arm, so a comparison costs one instruction.
"""

from typing import Any

from fastbp.engines.cuda.target import device


def make_switch(arms: list[Any]) -> Any:
    """A device function ``switch(code, *args)`` that is ``arms[code](*args)``.

    Codes come from plans, and plans know the registries: the last arm needs no comparison.
    """
    chain = _last(arms[-1])
    for code in range(len(arms) - 2, -1, -1):
        chain = _link(code, arms[code], chain)
    return chain


def _last(arm: Any) -> Any:
    @device
    def switch(code, *args):
        return arm(*args)

    return switch


def _link(number: int, arm: Any, rest: Any) -> Any:
    @device
    def switch(code, *args):
        if code == number:
            return arm(*args)
        return rest(code, *args)

    return switch
