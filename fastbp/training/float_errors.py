"""NumPy's floating-point errors: ignored in the package, the user's settings hold in the user's code.

Training may diverge and inputs may be huge: the package checks the results and reports them in its own
messages. If the user has asked NumPy to raise errors (``np.seterr(all="raise")``), an intermediate underflow
would end a good fit.
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
    """Decorate a method that runs no user code, to ignore NumPy's floating-point errors in it."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return method(*args, **kwargs)

    return cast(Method, call)


def silent_fit(method: Method) -> Method:
    """Decorate a method in the same way that runs user code, but only within `users_own`."""

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
    """Context with the user's NumPy error settings around the fit, for scorers and callbacks."""
    with np.errstate(**_users.get()):
        yield
