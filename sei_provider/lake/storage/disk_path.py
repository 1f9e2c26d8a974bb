"""Path of a file or a folder in a lake on local disk, which tells the lake's root from what lies below it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

_ALWAYS_PRIVATE = "_quarantine"


@dataclass(frozen=True, slots=True)
class DiskPath:
    """A place in the lake at `root`; the empty key is the root itself.

    The root may be a symbolic link, or lie behind one. Below it none is followed. `prefix` is `file://` if the lake's
    address has it.
    """

    root: Path
    key: str = ""
    prefix: str = ""
    private: bool = False
    """Only the owner may read what is made here."""

    def __truediv__(self, name: str) -> DiskPath:
        return replace(self, key=f"{self.key}/{name}".strip("/"))

    def __str__(self) -> str:
        return f"{self.prefix}{self.path}"

    @property
    def protocol(self) -> str:
        """Scheme of the address: empty, or `file`."""
        return self.prefix.partition(":")[0]

    @property
    def path(self) -> str:
        """Path without a scheme."""
        return f"{str(self.root).rstrip('/')}/{self.key}" if self.key else str(self.root)

    @property
    def parts(self) -> list[str]:
        """Names from the root, exclusive, to this place."""
        return self.key.split("/") if self.key else []

    @property
    def is_private(self) -> bool:
        """True if only the owner may read what is made here: raw copies, and rows in quarantine, name people."""
        return self.private or self.parts[:1] == [_ALWAYS_PRIVATE]

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.parts[-1] if self.key else self.root.name

    @property
    def parent(self) -> DiskPath:
        """Folder that this lies in; the root is its own parent."""
        return replace(self, key=self.key.rpartition("/")[0])

    @property
    def parents(self) -> list[DiskPath]:
        """All folders of the lake that this lies in, the nearest first, the root last."""
        found = [self.parent] if self.key else []
        while found and found[-1].key:
            found.append(found[-1].parent)
        return found

    def with_suffix(self, suffix: str) -> DiskPath:
        """Return the path with another suffix."""
        return replace(self, key=str(Path(self.key).with_suffix(suffix)))

    def within(self, folder: str) -> DiskPath:
        """Return the same place with another root: the folder around the nearest one of this name, if there is one."""
        if folder in self.parts or folder not in self.root.parts:
            return self
        parts = self.root.parts
        at = len(parts) - 1 - parts[::-1].index(folder)
        return replace(self, root=Path(*parts[:at]), key="/".join([*parts[at:], *self.parts]))
