"""`ntp marketplace`: where plugins are published to, and found."""

import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.keys import keyring, print_columns, signer
from ntp.cli.outcome import guard, say
from ntp.cli.output import output_option
from ntp.cli.owned import begin, document, free_key, marketplaces, ours, own_key

if TYPE_CHECKING:
    from ntp.oci.market.configured import Marketplace


@click.group()
def marketplace() -> None:
    """Make and know marketplaces: a registry or a folder, with a signed catalogue in it. No server is needed."""


@marketplace.command()
@click.argument("name")
@click.argument("location")
@click.option("--key", metavar="KEY", help="Signs the catalogue; default: catalogue-NAME, made if it is missing.")  # fmt: skip
@click.option("--root-key", metavar="KEY", help="Says which key signs the catalogue; default: the same.")  # fmt: skip
@output_option()
def init(name: str, location: str, *, key: str | None, root_key: str | None, output: str) -> None:
    """Make the marketplace NAME at LOCATION: a folder, or host/path of a registry.

    \b
    Examples:
      ntp marketplace init desk ./plugins
      ntp marketplace init desk registry.example.com/desk
      ntp marketplace init desk ghcr.io/me --key release --root-key offline
    """
    with guard():
        made = begin(name, location, key=key, root_key=root_key)
        if output == "json":
            click.echo(json.dumps(document(made), indent=2))
            return
        click.echo(f"{made.name}: {made.location}, {made.owner}")
        say("those who are to install from it: " + _how_to_add(made))


@marketplace.command()
@click.argument("name")
@click.argument("location")
@click.option("--fingerprint", metavar="SHA256:…", help="Of its owner's key, as its owner told you; default: it is shown, and asked for.")  # fmt: skip
@output_option()
def add(name: str, location: str, *, fingerprint: str | None, output: str) -> None:
    """Trust the marketplace at LOCATION from now on, as NAME; the first one is the default.

    Its owner's key is remembered. Whatever is served there later has to be signed by whom that key names.

    \b
    Examples:
      ntp marketplace add desk registry.example.com/desk --fingerprint SHA256:jZhN…
      ntp marketplace add desk ./plugins
    """
    with guard("nothing was added"):
        from ntp.oci.fault import OciError
        from ntp.oci.market import place, trust

        found = place.at(location, os.environ)
        listed = found.catalogue()
        if listed is None:
            raise OciError(f"there is no catalogue at {location}", fix="its owner makes one: ntp marketplace init", reason="NoMarketplace")  # fmt: skip
        root = trust.newest_root(listed.files)
        owners = trust.owners(root, f"'{name}'")
        shown = ", ".join(each.fingerprint for each in owners)
        if fingerprint is None and sys.stdin.isatty():
            say(f"the catalogue at {location} is owned by {shown}")
            click.confirm("Is that what its owner told you?", abort=True, err=True)
            fingerprint = owners[0].fingerprint
        mine = next((each for each in owners if each.fingerprint == fingerprint), None)
        if mine is None:
            what = f", and {fingerprint} was given" if fingerprint else ""
            raise OciError(
                f"the catalogue at {location} is owned by {shown}{what}",
                fix="compare with what its owner told you, then --fingerprint SHA256:…",
                reason="KeyNotTrusted",
            )
        with tempfile.TemporaryDirectory(prefix="ntp-trust-") as scratch:
            trust.verify(listed.files, Path(scratch), root, f"'{name}'")
        made = marketplaces().add(name, found.location, mine, root)
        if output == "json":
            click.echo(json.dumps(document(made), indent=2))
        else:
            click.echo(f"{made.name}: {made.location}, {made.owner}")


@marketplace.command(name="list")
@output_option()
def list_(*, output: str) -> None:
    """Show the marketplaces that you have, the default first.

    \b
    Examples:
      ntp marketplace list
      ntp marketplace list --output json
    """
    with guard():
        found = marketplaces().listed()
        if output == "json":
            rows = [document(each) for each in found]
            click.echo(json.dumps({"marketplaces": rows}, indent=2))
            return
        if not found:
            say("there is none yet; ntp marketplace add NAME LOCATION")
            return
        table = [(each.name, each.location, each.owner, each.key or "-") for each in found]
        print_columns([("NAME", "LOCATION", "OWNER", "SIGNED BY YOUR KEY"), *table])


@marketplace.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Until a catalogue of yours has to be signed anew.")  # fmt: skip
@output_option()
def sync(names: tuple[str, ...], *, days: int, output: str) -> None:
    """Read the catalogues again; those that you sign are signed anew, with your keys that were revoked.

    \b
    Examples:
      ntp marketplace sync
      ntp marketplace sync desk --days 30
    """
    with guard():
        from ntp.oci.market import publishing, trust

        every = marketplaces()
        chosen = [every.get(name) for name in names] or every.listed()
        rows: list[dict[str, Any]] = []
        for each in chosen:
            there = every.open(each, os.environ)
            fetched = every.fetch(each, there)
            told: tuple[str, ...] = ()
            if each.key:
                now = datetime.now(UTC).replace(microsecond=0)
                by = signer(each.key)
                told = publishing.renew(there, fetched, keyring().listed(), by=by, now=now, days=days)  # fmt: skip
                fetched = every.fetch(each, there)
            there.close()
            rows.append(
                {
                    "name": each.name,
                    "plugins": len(fetched.catalogue.plugins),
                    "signed": bool(each.key),
                    "revoked": list(told),
                    "root_expires": trust.root_expires(fetched.verified).isoformat(),
                }
            )
        if output == "json":
            click.echo(json.dumps({"marketplaces": rows}, indent=2))
            return
        for row in rows:
            words = f"signed anew for {days} days" if row["signed"] else "read"
            count = row["plugins"]
            click.echo(f"{row['name']}: {count} plugin{'' if count == 1 else 's'}, {words}")
            for fingerprint in row["revoked"]:
                click.echo(f"  revoked {fingerprint}")
            if row["root_expires"] < (datetime.now(UTC) + timedelta(days=90)).isoformat():
                say(
                    f"warning: the root of '{row['name']}' expires at {row['root_expires']}\n"
                    f"  fix: its owner: ntp marketplace rotate {row['name']} --root-key KEY"
                )


@marketplace.command()
@click.argument("name")
@click.option("--key", metavar="KEY", help="That signs from now on; default: a new one, catalogue-NAME-N.")  # fmt: skip
@click.option("--root-key", metavar="KEY", help="That of `init --root-key`, if there is one.")
@output_option()
def rotate(name: str, *, key: str | None, root_key: str | None, output: str) -> None:
    """Have another key sign the catalogue of NAME from now on; the signatures of the one before count no more.

    Those who trust the marketplace follow by themselves. Do it before `ntp keys revoke`: a key that was
    revoked cannot name the one after it.

    \b
    Examples:
      ntp marketplace rotate desk
      ntp marketplace rotate desk --key release --root-key offline
    """
    with guard("nothing was changed"):
        from ntp.oci.market import catalogue, trust

        every = marketplaces()
        of = every.get(name)
        before = ours(of)
        there = every.open(of, os.environ)
        fetched = every.fetch(of, there)
        new = own_key(key or free_key(f"catalogue-{name}"), make=key is None)
        files = trust.replace(
            fetched.verified,
            catalogue.write(fetched.catalogue),
            old=before.public,
            new=new,
            root=signer(root_key) if root_key else before,
            now=datetime.now(UTC).replace(microsecond=0),
        )
        there.write_catalogue(files, before=fetched.listed.digest)
        held = next(each for each in keyring().listed() if each.public == new.public)
        every.signed_by(name, held.name)
        every.fetch(of, there)
        there.close()
        if output == "json":
            click.echo(json.dumps(document(every.get(name)), indent=2))
        else:
            click.echo(f"{name}: signed by '{held.name}' from now on, {new.public.fingerprint}")


@marketplace.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also one whose catalogue is signed by your key; the key stays.")  # fmt: skip
@output_option()
def remove(name: str, *, force: bool, output: str) -> None:
    """Forget the marketplace NAME, and whom it was trusted by. What lies there, and what was installed, stays.

    \b
    Examples:
      ntp marketplace remove desk
      ntp marketplace remove mine --force
    """
    with guard("nothing was removed"):
        from ntp.oci.fault import OciError

        of = marketplaces().get(name)
        if of.key and not force:
            raise OciError(
                f"the catalogue of '{name}' is signed by your key '{of.key}': nobody would sign it anew",
                fix=f"if that is meant: ntp marketplace remove {name} --force",
            )
        gone = marketplaces().remove(name)
        if output == "json":
            click.echo(json.dumps(document(gone), indent=2))
        else:
            click.echo(f"{name}: forgotten; it lies at {gone.location} as before")


def _how_to_add(made: "Marketplace") -> str:
    return f"ntp marketplace add {made.name} {made.location} --fingerprint {made.owner}"
