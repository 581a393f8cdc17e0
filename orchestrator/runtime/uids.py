"""A uid of its own for each plugin: found from its name, so that nobody keeps a table.

Different plugins that shared one could see each other's processes wherever a namespace is missing,
and would share the kernel's counts of processes per user.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

FIRST, COUNT = 1_900_000_000, 1 << 24
"""Above what systemd, containers and sub-uids use, below 2^31 (systemd's UIDS-GIDS page)."""
SMALL_FIRST, SMALL_COUNT = 40_000, 20_000
"""Inside a container that has 65,536 uids only: below systemd's dynamic users."""


def uid_range(uid_map: Path = Path("/proc/self/uid_map")) -> tuple[int, int]:
    """Return (first, count) of uids that we may become, by the map of our user namespace."""
    for line in uid_map.read_text(encoding="ascii").splitlines():
        inside, _, length = map(int, line.split())
        if inside <= FIRST and inside + length >= FIRST + COUNT:
            return FIRST, COUNT
    return SMALL_FIRST, SMALL_COUNT


def owner_of(project: str, state: Path) -> str:
    """Return what names a project on this machine: in control groups, and in the choice of uids."""
    return f"{project}-{hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:8]}"


def find(owner: str, name: str, taken: Collection[int], within: tuple[int, int]) -> int:
    """Return the uid of `name`: always the same one, unless that is taken; then the next free one.

    Args:
        owner: what distinguishes this project from others on the machine.
        name: of the instance.
        taken: uids of other instances.
        within: first uid and how many.
    """
    first, count = within
    digest = hashlib.sha256(f"{owner}\0{name}".encode()).digest()
    slot = int.from_bytes(digest[:8], "big") % count
    while first + slot in taken:
        slot = (slot + 1) % count
    return first + slot
