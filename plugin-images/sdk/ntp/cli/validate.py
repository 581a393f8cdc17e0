"""`ntp plugin validate`: whether a plugin is fit to be published; nothing of it runs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.outcome import INTERRUPTED, REFUSED, UNREACHABLE, USAGE
from ntp.cli.output import output_option

if TYPE_CHECKING:
    from ntp.validation import Report


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings fail too: for CI.")
@click.option(
    "--against",
    metavar="PUBLISHED",
    help="What was published before: a plugin's folder, an image's file or layout, or host/repository@sha256:….",
)
@click.option("--offline", is_flag=True, help="Do not ask the package registry about requirements without a lock.")  # fmt: skip
@output_option("what was found")
def validate(path: Path, *, strict: bool, against: str | None, offline: bool, output: str) -> None:
    """Look at the plugin in PATH, a folder with a plugin.yaml, as who publishes or buys it would. Nothing of it runs.

    Manifest, config schema, class, requirements and their lock, hosts and secrets that it asks for, licence,
    README, tests, and calls that a reader would ask about. With --against also if users' plugins.yaml would
    break, and if the version says so. Exit code 2 where there are errors.

    \b
    Examples:
      ntp plugin validate my_strategy
      ntp plugin validate . --strict --output json
      ntp plugin validate my_strategy --against my-strategy-1.2.0.tar
    """
    from ntp.oci.fault import OciError
    from ntp.validation import validate as look

    if not path.exists():
        raise click.UsageError(f"{path} was not found\n  fix: name a plugin's folder")
    try:
        report = look(path, against=against, offline=offline, progress=_say)
    except OciError as error:
        _say(f"error: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""))
        sys.exit(UNREACHABLE if error.transient else USAGE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {where}{(error.strerror or str(error)).lower()}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    if output == "json":
        click.echo(json.dumps(_document(report, strict=strict), indent=2, ensure_ascii=False))
    else:
        _tell(report)
    if not report.passed(strict=strict):
        sys.exit(USAGE)


def _tell(report: "Report") -> None:
    from ntp.validation import Severity

    for finding in report.findings:
        click.echo(str(finding))
    if report.manifest is not None:
        asked = report.permissions
        click.echo(f"hosts    {', '.join(asked.hosts) or 'none'}")
        click.echo(f"secrets  {', '.join(asked.secrets) or 'none'}")
    counts = ", ".join(_counted(report.count(each), each) for each in Severity)
    click.echo(f"{_named(report)}: {counts}")


def _named(report: "Report") -> str:
    manifest = report.manifest
    return report.path if manifest is None else f"{manifest.name} {manifest.version}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _document(report: "Report", *, strict: bool) -> dict[str, Any]:
    from ntp.validation import Severity

    manifest = report.manifest
    return {
        "path": report.path,
        "plugin": manifest.name if manifest else None,
        "version": manifest.version if manifest else None,
        "passed": report.passed(strict=strict),
        **{f"{each}s": report.count(each) for each in Severity},
        "permissions": {
            "hosts": list(report.permissions.hosts),
            "secrets": list(report.permissions.secrets),
        },
        "findings": [
            {
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "severity": each.severity,
                "rule": each.rule,
                "message": each.message,
                "fix": each.fix,
            }
            for each in report.findings
        ],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
