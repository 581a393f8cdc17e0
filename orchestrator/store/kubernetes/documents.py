"""What is kept of a release, by the names of its documents."""

import re
import zlib
from typing import Final

from orchestrator.store.kubernetes.packing import Document

SHARDS: Final = 16
"""Objects that hold records: one crash writes a sixteenth of what is remembered."""
REVISION, RECORDS, SETTING, FILES = "revision.", "records.", "setting.", "files."
"""What names begin with; the last: of those that hold private files."""
EVENTS: Final = Document("events")
KEY: Final = Document("digest-key", secret=True)
DAMAGE: Final = "damage"
"""Setting: names of documents that were damaged, until somebody knows of it."""
_NUMBERED = re.compile(r"(?:revision|records)\.[0-9]+")


def shard(name: str) -> int:
    return zlib.crc32(name.encode()) % SHARDS


def records(number: int) -> Document:
    return Document(f"{RECORDS}{number}")


def revision(number: int) -> Document:
    # The user's files may say what not everybody may read.
    return Document(f"{REVISION}{number}", secret=True)


def setting(key: str) -> Document:
    # One of them is the book of what is wanted, with every plugin's configuration.
    return Document(f"{SETTING}{key}", secret=True)


def shelf(number: int) -> Document:
    return Document(f"{FILES}{number}", secret=True)


def number_of(name: str) -> int:
    """Return the number of the revision that a document is; 0: it is none."""
    number = name.removeprefix(REVISION)
    return int(number) if name.startswith(REVISION) and number.isdecimal() else 0


def mendable(name: str) -> Document | None:
    """Return the document of a name that may be written anew, or deleted where nothing is left to say.

    Not private files: they are restored by hand. None: we have none of that name.
    """
    if _NUMBERED.fullmatch(name) or name.startswith(SETTING):
        return Document(name, secret=not name.startswith(RECORDS))
    return next((each for each in (EVENTS, KEY) if each.name == name), None)
