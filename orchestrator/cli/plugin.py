"""Plugins of marketplaces: installed, updated, taken out; what only looks is in `plugin_look`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.failure import agreed, say
from orchestrator.cli.options import located, project_options
from orchestrator.cli.output import emit, output_option, put
from orchestrator.cli.plugin_look import (
    info,
    key_option,
    market_option,
    outdated,
    parted,
    search,
    verify,
)
from orchestrator.cli.plugin_view import asks_for
from orchestrator.cli.preview import SHORT

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group()
def plugin() -> None:
    """Find plugins in marketplaces, look at what they ask for, and install them.

    \b
    Examples:
      ntpctl plugin search momentum
      ntpctl plugin info my_strategy
      ntpctl plugin install my_strategy@1.2.0
      ntpctl plugin outdated
    """


for _command in (search, info, outdated, verify):
    plugin.add_command(_command)


@plugin.command()
@click.argument("wanted", metavar="NAME[@VERSION]|FILE")
@click.option("--as", "entry_name", metavar="NAME", help="What the entry is called; default: as the plugin.")  # fmt: skip
@market_option
@key_option
@yes_option
@project_options
@output_option
def install(
    wanted: str,
    *,
    entry_name: str | None,
    market: str | None,
    key_files: tuple[Path, ...],
    yes: bool,
    files: tuple[str, ...],
    project: str | None,
    output: str,
) -> None:
    """Verify a plugin, show what it asks for, and add it to plugins.yaml by its digest.

    From a marketplace, the newest without a version; or from a file of `ntp plugin package --sign`, for
    which no network is needed. Comments and order of plugins.yaml stay. `ntpctl apply` starts it.

    \b
    Examples:
      ntpctl plugin install my_strategy
      ntpctl plugin install my_strategy@1.2.0 --as fast_strategy
      ntpctl plugin install my-strategy-1.2.0.tar --key author.pub
    """
    from orchestrator.app import buying

    where, agree = located(files, project), _asking(yes, "Install it?")
    if _is_file(wanted):
        done = buying.install_file(
            where, Path(wanted).expanduser(), key_files=key_files, entry_name=entry_name, agree=agree, progress=say
        )  # fmt: skip
    else:
        name, version = parted(wanted)
        done = buying.install(
            where, name, version, market=market, entry_name=entry_name, agree=agree, progress=say
        )
    _done(done, output, f"installed in {done['file']}")


@plugin.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[@VERSION]...")
@market_option
@yes_option
@project_options
@output_option
def update(
    names: tuple[str, ...],
    *,
    market: str | None,
    yes: bool,
    files: tuple[str, ...],
    project: str | None,
    output: str,
) -> None:
    """Have installed plugins be their newest release, or the one that is named; never an older one.

    It comes from the marketplace that has the installed one, and is signed by the same key; --marketplace
    takes it from that one, whoever signs there.

    \b
    Examples:
      ntpctl plugin update my_strategy
      ntpctl plugin update my_strategy@1.3.0 --yes
    """
    from orchestrator.app import buying

    where, agree = located(files, project), _asking(yes, "Update it?")
    wanted = [parted(each) for each in names]
    rows = []
    try:
        for name, version in wanted:
            done = buying.update(where, name, version, market=market, agree=agree, progress=say)
            if done is None:
                say(f"{name}: it is this release already")
                continue
            rows.append(done)
            if output == "table":
                _done(done, output, f"updated in {done['file']}")
    finally:
        if output != "table":
            emit({"plugins": rows}, output)  # those before one that is refused are updated


@plugin.command()
@click.argument("name")
@yes_option
@project_options
@output_option
def uninstall(
    name: str, yes: bool, files: tuple[str, ...], project: str | None, output: str
) -> None:
    """Take an installed plugin out of plugins.yaml; `ntpctl apply` stops it.

    \b
    Examples:
      ntpctl plugin uninstall my_strategy
      ntpctl plugin uninstall my_strategy --yes -o json
    """
    from orchestrator.app import buying

    def agree(found: Mapping[str, Any]) -> None:
        if not yes and sys.stdin.isatty():
            agreed(f"Take '{found['name']}' out of {found['file']}?")

    done = buying.uninstall(located(files, project), name, agree)
    if output == "table":
        put(f"{done['name']}: taken out of {done['file']}")
        say("`ntpctl apply` stops it")
    else:
        emit(done, output)


def _asking(yes: bool, question: str) -> Any:
    def agree(found: Mapping[str, Any]) -> None:
        asks_for(found)
        if not yes and sys.stdin.isatty():
            agreed(question)

    return agree


def _done(done: Mapping[str, Any], output: str, words: str) -> None:
    if output != "table":
        emit(done, output)
        return
    put(f"{done['name']}: {done['plugin']} {done['version']} {words}, {done['digest'][:SHORT]}")
    say("`ntpctl apply` starts it")


def _is_file(wanted: str) -> bool:
    return wanted.endswith(".tar") or wanted.startswith((".", "/", "~")) or Path(wanted).is_file()
