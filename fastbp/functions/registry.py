"""A registry of named functions: names for users, integer codes for kernels."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """Entry of a registry: anything with a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries in the order in which they were added; an entry's code is its index.

    Codes are used inside one process and in compiled kernels whose cache is stamped with the sources, never
    stored in a model: inserting an entry may shift them.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, entry: T) -> T:
        """Add `entry` under its own name; a duplicate name raises ValueError."""
        if entry.name in self._entries:
            raise ValueError(f"the {self.kind} {entry.name!r} is registered already")
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries  # also of what cannot be hashed

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """Return the names in the order of their codes."""
        return list(self._entries)

    def at(self, code: int) -> T:
        """Return the entry that kernels select by an integer: the inverse of `code`."""
        return self[self.names()[code]]

    def code(self, name: str) -> int:
        """Return the integer by which kernels select the entry `name`."""
        return self.names().index(name)
