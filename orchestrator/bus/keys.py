"""The Ed25519 keys of operator, accounts and users; made once, kept 0600, the same after a restart."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nkeys

from orchestrator.errors import ActionError, UnreachableError

OPERATOR, ACCOUNT, USER = (
    nkeys.PREFIX_BYTE_OPERATOR,
    nkeys.PREFIX_BYTE_ACCOUNT,
    nkeys.PREFIX_BYTE_USER,
)


class Key:
    """One key pair. Its seed is in its file and in the credentials made of it, and nowhere else."""

    __slots__ = ("_seed", "public")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public: str = self._pair().public_key.decode()

    def __repr__(self) -> str:
        return f"<Key {self.public}>"

    @property
    def seed(self) -> bytes:
        return self._seed

    def sign(self, data: bytes) -> bytes:
        return bytes(self._pair().sign(data))

    def _pair(self) -> Any:
        # Made anew whenever it signs, in as long as the signature takes: it is three times as large as
        # the rest, and there are two keys for each plugin.
        return nkeys.from_seed(bytearray(self._seed))


def make(prefix: int) -> Key:
    """Return a new key of the kind OPERATOR, ACCOUNT or USER."""
    return Key(bytes(nkeys.encode_seed(secrets.token_bytes(32), prefix)))


class Keyring:
    """Keys by name in one folder, `<name>.nk` each, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, Key] = {}

    def key(self, name: str, prefix: int) -> Key:
        """Return the key of that name, making it at the first time."""
        if name not in self._keys:
            self._keys[name] = self._load(name) or self._make(name, prefix)
        return self._keys[name]

    def forget(self, name: str) -> None:
        self._keys.pop(name, None)
        self._file(name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        for file in sorted(self._folder.glob("*.nk")):
            yield file.stem

    def _file(self, name: str) -> Path:
        return self._folder / file_of(name)

    def _load(self, name: str) -> Key | None:
        try:
            seed = self._file(name).read_bytes().strip()
        except FileNotFoundError:
            return None
        try:
            return Key(seed)
        except Exception as error:  # nkeys raises bare exceptions of its own for each mistake
            raise ActionError(
                f"{self._file(name)} holds no NATS seed ({error}); restore it, or delete the"
                " folder: then every plugin is given new credentials and starts again",
                reason="BrokerKeys",
                permanent=True,
            ) from error

    def _make(self, name: str, prefix: int) -> Key:
        key = make(prefix)
        private_folder(self._folder)
        write_private(self._file(name), key.seed + b"\n", last=prefix == OPERATOR)
        return key


def file_of(name: str) -> str:
    """Return the name of a key's file."""
    return f"{name}.nk"


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_private(file: Path, content: bytes, *, last: bool = False) -> None:
    """Write a file that only its owner may read; whole or not at all, also after a power cut.

    `last`: it must also be there after one. What can be made anew need not (an account's key, whose
    loss costs its plugin a restart), and a second sync for each plugin would be felt.

    Raises:
        UnreachableError: the disk is full, or refuses; to be tried again.
    """
    try:
        _write_private(file, content, last=last)
    except OSError as error:
        free = shutil.disk_usage(file.parent).free // (1 << 20) if file.parent.is_dir() else 0
        raise UnreachableError(
            f"{file} cannot be written: {error.strerror}; {free} MiB are free there"
        ) from error


def _write_private(file: Path, content: bytes, *, last: bool) -> None:
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if not last:
        return
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
