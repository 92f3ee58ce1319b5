"""A registry of named functions: names for users, integer codes for kernels."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """Entry of a registry: anything with a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries in the order in which they were added, counted by their codes.

    Codes are used inside one process and in compiled kernels whose cache is stamped with the sources, never
    stored in a model: inserting an entry may shift them.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._order: list[T] = []  # by code
        self._codes: dict[str, int] = {}
        self._names: list[str] = []

    def add(self, entry: T, *, listed: bool = True) -> T:
        """Add `entry` under its own name; a duplicate name raises ValueError.

        An entry that is not `listed` is found by its name and its code, but not among `names`.
        """
        if entry.name in self._entries:
            raise ValueError(f"the {self.kind} {entry.name!r} is registered already")
        self._entries[entry.name] = entry
        self._codes[entry.name] = len(self._order)
        self._order.append(entry)
        if listed:
            self._names.append(entry.name)
        return entry

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries  # also of what cannot be hashed

    def everything(self) -> Iterator[T]:
        """Iterate over all entries by their codes, listed or not."""
        return iter(list(self._order))

    def __iter__(self) -> Iterator[T]:
        return iter([self._entries[name] for name in self._names])

    def __len__(self) -> int:
        return len(self._names)

    def names(self) -> list[str]:
        """Return the names of the listed entries in the order in which they were added."""
        return list(self._names)

    def at(self, code: int) -> T:
        """Return the entry that kernels select by an integer: the inverse of `code`."""
        return self._order[code]

    def code(self, name: str) -> int:
        """Return the integer by which kernels select the entry `name`."""
        return self._codes[name]
