"""NumPy's reports of overflows and their like: none from the package, the user's own from the user's code.

Training may diverge and inputs may be huge: the package looks at what comes out of that, and reports it in
its own words. Where the user has asked NumPy to raise errors (``np.seterr(all="raise")``), an underflow on
the way would end a good fit.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])

_users: ContextVar[Mapping[str, Any]] = ContextVar("the user's settings around a fit", default={})  # noqa: B039


def silent(method: Method) -> Method:
    """A method in which NumPy reports nothing about floating-point numbers; for what runs no user's code."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return method(*args, **kwargs)

    return cast(Method, call)


def silent_fit(method: Method) -> Method:
    """The same for what runs the user's code within `users_own`."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = _users.set(np.geterr())
        try:
            with np.errstate(all="ignore"):
                return method(*args, **kwargs)
        finally:
            _users.reset(before)

    return cast(Method, call)


@contextmanager
def users_own() -> Iterator[None]:
    """NumPy reports as the user has set it around the fit: for scorers and callbacks."""
    with np.errstate(**_users.get()):
        yield
