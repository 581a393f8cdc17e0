"""What is checked before a plugin is published: the author's own commands, run again, as they stand."""

import contextlib
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from ntp.cli.outcome import say
from ntp.oci.fault import OciError

VALIDATE, TEST = "validate", "test"
ARGUMENTS: Mapping[str, tuple[str, ...]] = {VALIDATE: (), TEST: ("--output", "json")}


def examine(path: Path, report: bytes | None) -> bytes | None:
    """Validate a plugin, and test it unless a report is given; return the report, a JSON object.

    Those of the commands `ntp plugin validate` and `ntp plugin test` are run that this release has.

    Args:
        path: of the plugin.
        report: that is taken in place of a test.

    Raises:
        OciError: one of them found something.
    """
    from ntp.cli.plugin import plugin

    if VALIDATE in plugin.commands:
        _run(plugin.commands[VALIDATE], VALIDATE, path)
    if report is None and TEST in plugin.commands:
        report = _run(plugin.commands[TEST], TEST, path).encode()
    return report


def _run(command: click.Command, name: str, path: Path) -> str:
    say(f"ntp plugin {name} {path}")
    out = io.StringIO()
    code: object = 0
    try:
        with contextlib.redirect_stdout(out):
            code = command.main([str(path), *ARGUMENTS[name]], standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    except click.ClickException as error:
        say(error.format_message())
        code = error.exit_code
    if code:
        print(out.getvalue(), file=sys.stderr, end="")
        raise OciError(
            f"`ntp plugin {name} {path}` ends with {code}: what it says stands above",
            fix="put that right first",
            reason="NotPublishable",
        )
    return out.getvalue()
