"""The sources of kernels, as text: the package's modules, and single functions with their closures.

Modules are read through their loaders, as code, which is what runs: it is the same from source files, from
``.pyc`` files alone, from a zip file and in a frozen program, and a comment does not change it.
"""

import pkgutil
from collections.abc import Container, Iterable, Iterator
from operator import attrgetter
from types import CodeType, EllipsisType, FunctionType
from typing import Any

# The engine, the compiler's options, how the cache describes kernels, the tables' columns, and the formulas.
KERNEL_SOURCES = ("fastbp.engines", "fastbp.functions", "fastbp.plan")
NOT_CACHED = ("fastbp.engines.cuda",)  # whose kernels the driver's cache keeps

# Text, bytes and numbers: all of a code object but its constants, and where it stands.
CODE_FIELDS = attrgetter(
    "co_name",
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_exceptiontable",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
)


def kernel_modules(path: Iterable[str]) -> dict[str, CodeType]:
    """Name -> code of all modules that kernels come from, `path` being the package's ``__path__``.

    Raises
    ------
    LookupError
        Where the package lies in a way that does not show its modules.
    """
    found = dict(_modules(path, "fastbp."))
    for name in (*KERNEL_SOURCES, "fastbp.engines.cpu"):
        if name not in found or not any(module.startswith(f"{name}.") for module in found):
            raise LookupError(f"the code of {name} was not found")
    return found


def _modules(path: Iterable[str], prefix: str) -> Iterator[tuple[str, CodeType]]:
    for module in pkgutil.iter_modules(path, prefix):
        if module.name.startswith(KERNEL_SOURCES) and module.name not in NOT_CACHED:
            finder: Any = module.module_finder
            spec = finder.find_spec(module.name)
            code = spec.loader.get_code(module.name)
            if code is None:
                raise LookupError(f"{module.name} has no code to look at")
            yield module.name, code
            if module.ispkg:
                yield from _modules(spec.submodule_search_locations, f"{module.name}.")


def describe(value: Any, modules: Container[str] = ()) -> str:
    """A text that is the same in every process, and another one for any other value.

    Parameters
    ----------
    value : object
    modules : container of str
        Where functions may come from, since what they refer to by name is not looked at.

    Raises
    ------
    TypeError
        For anything else that kernels are not made of.
    """
    if isinstance(value, CodeType):
        return f"code{CODE_FIELDS(value)!r}{describe(value.co_consts)}"
    if isinstance(value, FunctionType) and value.__module__ in modules:
        cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
        parts = (value.__module__, value.__qualname__, value.__code__, value.__defaults__, cells)
        return f"function{describe(parts, modules)}"
    if isinstance(value, tuple):
        return f"({', '.join(describe(item, modules) for item in value)},)"
    if isinstance(value, frozenset):
        return f"set({', '.join(sorted(describe(item) for item in value))})"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | slice | EllipsisType):
        return repr(value)
    raise TypeError(f"{value!r} has no description that holds in another process")
