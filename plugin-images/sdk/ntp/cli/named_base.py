"""What an author's images are built on: the base that is named, else one that is here, else none."""

import os
from pathlib import Path

from ntp.cli.outcome import say

_FILE = "base"
NONE = "none"
"""As `ntp.oci.base_image.NONE`, which takes its time to import."""


def base_of(named: str | None) -> str:
    """Return the base to build on, and say which where it was not named. Nothing is fetched to find one."""
    if named is not None:
        return named
    try:
        last = _file().read_text("utf-8").strip()
    except FileNotFoundError:
        last = ""
    if last:
        say(f"on the base that was named last: {last}")
        return last
    if (kept := _of_ntpctl()) is not None:
        say(f"on the base that ntpctl builds on: {kept[1]}")
        return kept[0]
    say("no base image was named, so it is packed without a Linux, and runs without Docker only")
    say("  for Docker, too: --base IMAGE or NTP_BASE=IMAGE, once; plugin-images/base of ntp's source makes one")  # fmt: skip
    return NONE


def _of_ntpctl() -> tuple[str, str] | None:
    """Return where the base is that ntpctl keeps, and what it was called; None: it has none."""
    from ntp.oci.base_image import NAMED_LAST
    from ntp.oci.fault import OciError
    from ntp.oci.layout import Layout
    from ntp.package import cache

    folder = cache.root(os.environ) / "images"
    if not (folder / "index.json").is_file():
        return None
    try:
        index = Layout.open(folder).index()
    except OciError:
        return None  # ntpctl says what is wrong with it
    for each in index:
        if NAMED_LAST in each.annotations:
            return f"{folder}#{each.digest}", each.annotations[NAMED_LAST]
    return None


def remember(named: str | None) -> None:
    """Keep a base that was named and served, for the next time that none is."""
    if named is None:
        return
    base = named
    if (
        base != NONE and Path(base.partition("#")[0]).exists()
    ):  # a folder or file: found from anywhere
        base = os.path.abspath(base)  # noqa: PTH100 - resolve() would follow links to what may move
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{_FILE}.{os.getpid()}")
    fresh.write_text(f"{base}\n", "utf-8")
    fresh.replace(file)


def _file() -> Path:
    from ntp.oci.signing.keyring import configuration

    return configuration(os.environ) / _FILE
