"""Entries of plugins.yaml that are images, found and edited in the files of a project."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from ntp.contract import semver
from ntp.contract.names import object_name
from ntp.oci import reference
from ntp.oci.fault import OciError
from ntp.package.file_lock import hold
from orchestrator.catalog.told import told_of_packages
from orchestrator.errors import ActionError, ConfigError, ConflictError, Problem
from orchestrator.files import read, shown
from orchestrator.settings import DEFAULT_FILES, MAX_BYTES, STDIN, SUFFIXES, Settings
from orchestrator.spec import edit, source

LOCK_S = 30.0
"""Longest wait for another command that edits, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`path`: inside of the file: plugins, section, position. `image`: as it is written; empty: none.

    `config`: as it is written too, with no variable filled in.
    """

    file: Path
    path: tuple[str, str, int]
    name: str
    plugin: str
    image: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.image.partition("@")[2]

    @property
    def version(self) -> str:
        """What its tag says; empty where that is no version."""
        try:
            tag = reference.parse(self.image).tag or ""
        except OciError:
            return ""
        text = tag.replace("_", "+")
        return text if semver.is_version(text) else ""


def listed(settings: Settings) -> tuple[Entry, ...]:
    """Return every entry of the files.

    Raises:
        ConfigError: a file is no YAML, or cannot be read.
    """
    return tuple(
        each for file in _files(settings) if file.exists() for each in _inside(file, settings)
    )


def check_add(settings: Settings, section: str, entry: dict[str, str]) -> None:
    """See that an entry can be added, and write nothing; as `add`."""
    _added(settings, section, entry)


def add(settings: Settings, section: str, entry: dict[str, str]) -> Path:
    """Add an entry to the first file of the project, which is made where there is none; return the file.

    Raises:
        ActionError: there is an entry of that name by now.
        ConfigError: see `edit.add`.
    """
    with _alone(settings):
        for each in listed(settings):
            if object_name(each.name) == object_name(entry["name"]):
                raise ActionError(
                    f"{each.file.name} has an entry '{each.name}' by now\n  fix: --as NAME",
                    reason="NameTaken",
                )
        file, after = _added(settings, section, entry)
        _replace(file, after)
    return file


def change(settings: Settings, entry: Entry, image: str) -> Path:
    """Have an entry run another image; return its file.

    Raises:
        ConflictError: somebody else changed the entry meanwhile.
        ConfigError: see `edit.change`.
    """
    with _alone(settings):
        now = _again(settings, entry)
        content, name = _content(now.file, settings), shown(now.file, settings.folder)
        _replace(now.file, edit.change(content, [*now.path, "image"], image, file=name))
    return entry.file


def remove(settings: Settings, entry: Entry) -> None:
    """Take an entry out; as `change`."""
    with _alone(settings):
        now = _again(settings, entry)
        content, name = _content(now.file, settings), shown(now.file, settings.folder)
        _replace(now.file, edit.remove(content, now.path, file=name))


def _added(settings: Settings, section: str, entry: dict[str, str]) -> tuple[Path, bytes]:
    file = _files(settings)[0]
    before = _content(file, settings) if file.exists() else b""
    return file, edit.add(before, section, entry, file=shown(file, settings.folder))


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep other commands like this one from editing; an editor is not kept out."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    file = settings.cache / "edit.lock"
    with told_of_packages(), hold(file, within_s=LOCK_S, held="edits plugins.yaml"):
        yield


def _again(settings: Settings, entry: Entry) -> Entry:
    """Return the entry where it is now: it may have moved, but not become another one."""
    for each in listed(settings):
        if (each.file, each.name, each.image) == (entry.file, entry.name, entry.image):
            return each
    raise ConflictError(
        f"the entry '{entry.name}' of {entry.file.name} was changed meanwhile; run the same again"
    )


def named(settings: Settings, name: str) -> Entry:
    """Return the entry of that name, which is an image.

    Raises:
        ActionError: there is none.
    """
    every = [each for each in listed(settings) if each.image]
    for each in every:
        if object_name(each.name) == object_name(name):
            return each
    known = ", ".join(each.name for each in every)
    fix = f"installed are {known}" if known else "nothing is: ntpctl plugin install NAME@VERSION"
    raise ActionError(
        f"'{name}' is not installed in {_files(settings)[0]}\n  fix: {fix}", reason="NoSuchPlugin"
    )


def _inside(file: Path, settings: Settings) -> Iterator[Entry]:
    value = source.parse(_content(file, settings), file=shown(file, settings.folder)).value
    sections = value.get(edit.PLUGINS) if isinstance(value, dict) else None
    for section, items in (sections if isinstance(sections, dict) else {}).items():
        for at, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                name, image = item["name"], item.get("image")
                plugin, config = item.get("plugin"), item.get("config")
                yield Entry(
                    file,
                    (edit.PLUGINS, section, at),
                    name,
                    plugin if isinstance(plugin, str) else name,
                    image if isinstance(image, str) else "",
                    config if isinstance(config, dict) else {},
                )


def _files(settings: Settings) -> list[Path]:
    found: list[Path] = []
    for path in settings.files:
        if str(path) == STDIN:
            problem = Problem("<stdin>", 0, 0, "standard input cannot be edited", "name a file: -f")
            raise ConfigError([problem])
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            found += inside or [path / DEFAULT_FILES[-1]]
        else:
            found.append(path)
    return found


def _content(file: Path, settings: Settings) -> bytes:
    try:
        return read(file, MAX_BYTES)
    except OSError as error:
        from orchestrator.files import unreadable

        raise ConfigError([unreadable(shown(file, settings.folder), error)]) from error


def _replace(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the rights that it had; a link stays one."""
    try:
        _written(file.resolve(), content)
    except OSError as error:
        raise ActionError(
            f"{file} cannot be written: {(error.strerror or str(error)).lower()}; nothing was changed\n"
            "  fix: free space, or see who may write there"
        ) from error


def _written(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    umask = os.umask(0)
    os.umask(umask)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask
    # A name that is known before there is a file: whoever is ended while it is made removes it, too.
    scratch = target.with_name(f".{target.name}.{token_hex(8)}")
    try:
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(fd)
        scratch.chmod(mode)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
