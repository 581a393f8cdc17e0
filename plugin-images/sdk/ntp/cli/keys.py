"""`ntp keys`: what an author signs with."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.outcome import guard, say
from ntp.cli.output import output_option

if TYPE_CHECKING:
    from ntp.oci.signing.keyring import Held, Keyring, Signer

PASSPHRASE = "NTP_KEY_PASSPHRASE"  # noqa: S105  the setting's name


@click.group()
def keys() -> None:
    """Make and keep the keys that you sign plugins with.

    They lie in your configuration folder (NTP_CONFIG, else the system's for you), readable by you alone.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--algorithm",
    type=click.Choice(["ecdsa-p256", "ed25519"]),
    default="ecdsa-p256",
    show_default=True,
    help="ecdsa-p256 is what cosign makes and takes.",
)
@click.option("--passphrase", is_flag=True, help=f"Encrypt it with what is asked for, or is in {PASSPHRASE}.")  # fmt: skip
@output_option()
def create(name: str, *, algorithm: str, passphrase: bool, output: str) -> None:
    """Make the signing key NAME.

    \b
    Examples:
      ntp keys create me
      ntp keys create release --passphrase
      ntp keys create me --algorithm ed25519 --output json
    """
    with guard():
        secret = _ask(f"Passphrase for the new key '{name}'", twice=True) if passphrase else None
        held = keyring().create(name, algorithm=algorithm, passphrase=secret)
        if output == "json":
            click.echo(json.dumps(document(held), indent=2))
            return
        click.echo(f"{held.name}: {held.public.algorithm}, {held.public.fingerprint}")
        say(f"it lies in {keyring().root}; those who are to trust it need: ntp keys export {name}")


@keys.command(name="list")
@output_option()
def list_(*, output: str) -> None:
    """Show your keys by their fingerprints.

    \b
    Examples:
      ntp keys list
      ntp keys list --output json
    """
    with guard():
        found = keyring().listed()
        if output == "json":
            click.echo(json.dumps({"keys": [document(each) for each in found]}, indent=2))
            return
        if not found:
            say("there is no key yet; make one: ntp keys create NAME")
            return
        rows = [("NAME", "ALGORITHM", "FINGERPRINT", "CREATED", "STATE"), *map(_row, found)]
        print_columns(rows)


@keys.command()
@click.argument("name")
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Where to; default: standard output.")  # fmt: skip
def export(name: str, *, out: Path | None) -> None:
    """Print the public half of the key NAME as PEM: what those who verify need.

    \b
    Examples:
      ntp keys export me > me.pub
      ntp keys export me -o me.pub
    """
    with guard():
        held = keyring().get(name)
        if out is None:
            click.echo(held.public.pem.decode(), nl=False)
        else:
            out.write_bytes(held.public.pem)
        say(held.public.fingerprint)


@keys.command()
@click.argument("name")
@click.option("--reason", default="", metavar="TEXT", help="For those who read the catalogue.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output_option()
def revoke(name: str, *, reason: str, yes: bool, output: str) -> None:
    """Have the key NAME sign nothing any more, for good.

    `ntp marketplace sync` tells it to the catalogues; from then on, nothing that it signed is installed.

    \b
    Examples:
      ntp keys revoke me --reason "laptop was stolen"
      ntp keys revoke me --yes && ntp marketplace sync
    """
    with guard("nothing was revoked"):
        held = keyring().get(name)
        _check_signs_no_catalogue(name)
        if held.revoked is None and not yes and sys.stdin.isatty():
            click.confirm(
                f"Revoke '{name}' ({held.public.fingerprint}) for good?", abort=True, err=True
            )
        held = keyring().revoke(name, reason)
        if output == "json":
            click.echo(json.dumps(document(held), indent=2))
            return
        click.echo(f"{held.name}: revoked at {held.revoked}, {held.public.fingerprint}")
        say("tell the catalogues: ntp marketplace sync")


def _check_signs_no_catalogue(name: str) -> None:
    from ntp.cli.owned import marketplaces
    from ntp.oci.fault import OciError

    mine = [each.name for each in marketplaces().listed() if each.key == name]
    if mine:
        raise OciError(
            f"the key '{name}' signs the catalogue of '{mine[0]}', and would be missed there",
            fix=f"have another do so first: ntp marketplace rotate {mine[0]}",
        )


def keyring() -> "Keyring":
    from ntp.oci.signing.keyring import Keyring, configuration

    return Keyring(configuration(os.environ))


def signer(name: str) -> "Signer":
    """Return a key that is ready to sign; its passphrase is asked for on a terminal only."""
    held = keyring().get(name)
    locked = held.encrypted and held.revoked is None
    return keyring().signer(name, _ask(f"Passphrase of the key '{name}'") if locked else None)


def document(held: "Held") -> dict[str, Any]:
    return {
        "name": held.name,
        "algorithm": held.public.algorithm,
        "fingerprint": held.public.fingerprint,
        "created": held.created.isoformat(),
        "encrypted": held.encrypted,
        "revoked": held.revoked.isoformat() if held.revoked else None,
        "reason": held.reason,
    }


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text, the first of them the headings, in columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _row(held: "Held") -> tuple[str, ...]:
    if held.revoked:
        state = f"revoked {held.revoked.date()}"
    else:
        state = "passphrase" if held.encrypted else "ready"
    public = held.public
    return (held.name, public.algorithm, public.fingerprint, str(held.created.date()), state)


def _ask(prompt: str, *, twice: bool = False) -> bytes | None:
    found = os.environ.get(PASSPHRASE)
    if found is None and sys.stdin.isatty():
        found = click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    if twice and not found:
        raise click.UsageError(
            f"no passphrase was given\n  fix: set {PASSPHRASE}, or run this in a terminal"
        )
    return found.encode() if found else None
