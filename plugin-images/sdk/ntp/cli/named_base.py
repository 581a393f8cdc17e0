"""What an author's images are built on: the base that is named, else the one that was named last."""

import os
from pathlib import Path

import click

from ntp.cli.outcome import say

_FILE = "base"


def base_of(named: str | None) -> str:
    """Return the base to build on.

    Raises:
        click.UsageError: none was named, now or before.
    """
    if named is not None:
        return named
    try:
        last = _file().read_text("utf-8").strip()
    except FileNotFoundError:
        last = ""
    if not last:
        raise click.UsageError(
            "no base image was named\n  fix: --base IMAGE or NTP_BASE=IMAGE, once; "
            "plugin-images/base of ntp's source makes one"
        )
    say(f"on the base that was named last: {last}")
    return last


def remember(base: str) -> None:
    """Keep a base that served, for the next time that none is named."""
    if Path(base.partition("#")[0]).exists():  # a folder or file: found from anywhere
        base = os.path.abspath(base)  # noqa: PTH100 - resolve() would follow links to what may move
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{_FILE}.{os.getpid()}")
    fresh.write_text(f"{base}\n", "utf-8")
    fresh.replace(file)


def _file() -> Path:
    from ntp.oci.signing.keyring import configuration

    return configuration(os.environ) / _FILE
