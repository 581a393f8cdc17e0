"""`ntp plugin publish`: a plugin into a marketplace, after all that is checked was checked again."""

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.keys import keyring, signer
from ntp.cli.named_base import base_of, remember
from ntp.cli.outcome import guard, say
from ntp.cli.output import output_option
from ntp.cli.owned import begin, marketplaces, ours, own_key

if TYPE_CHECKING:
    from ntp.oci.layout import Layout
    from ntp.oci.market.admission import Admitted
    from ntp.oci.market.configured import Marketplace
    from ntp.oci.signing.keyring import Signer

OWN_KEY = "default"
"""Name of the key that is made where an author has none."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--marketplace", "name", is_flag=False, flag_value="", default="", metavar="[NAME]", help="Which one; default: the first that you have, else one that is made in your data folder.")  # fmt: skip
@click.option("--base", metavar="IMAGE", envvar="NTP_BASE", show_envvar=True, help="What to build on, as for `ntp plugin package`.")  # fmt: skip
@click.option("--sign", metavar="KEY", help=f"Which of your keys signs it; default: the only one you have, else '{OWN_KEY}', made if it is missing.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE", help="What `ntp plugin test` said of it, as JSON; default: it is tested now.")  # fmt: skip
@output_option()
def publish(
    path: Path, *, name: str, base: str | None, sign: str | None, report: Path | None, output: str
) -> None:
    """Publish the plugin in PATH: a folder with a plugin.yaml, a .py file, or a file of `ntp plugin package --sign`.

    A folder or .py file is validated and tested, packed, signed and pushed, and then named in the catalogue;
    the report of an earlier test has to be of this version, and to have passed. A file of `package` is taken
    as it was signed: it is neither validated nor tested again. A version is published once: other bytes under
    the same version are refused.

    \b
    Examples:
      ntp plugin publish my_strategy --marketplace
      ntp plugin publish my_strategy --marketplace desk --sign me --report report.json
      ntp plugin publish my-strategy-1.2.0.tar --marketplace desk
    """
    if not path.exists():
        raise click.UsageError(
            f"{path} was not found\n  fix: name a plugin's folder, its .py file, or its image"
        )
    with guard("nothing was published"), tempfile.TemporaryDirectory(prefix="ntp-publish-") as scratch:  # fmt: skip
        from ntp.oci.layout import Layout
        from ntp.oci.market import publishing
        from ntp.oci.report import check

        if name or marketplaces().listed():
            ours(marketplaces().get(name or None))  # told before anything is packed
        layout = Layout.create(Path(scratch) / "layout")
        packed = path.suffix == ".tar" and path.is_file()
        archive = path if packed else Path(scratch) / "plugin.tar"
        if not packed:
            _pack(path, archive, base=base, by=_signer(sign), report=report)
        release = _taken(archive, layout)
        if release.report is not None:
            check(release.report, release.manifest.name, release.manifest.version)
        if packed:
            without = "" if release.report is not None else ", and has no report of a test"
            say(f"{path} is published as it was signed: not validated and not tested now{without}")
        to = _chosen(name)
        there = marketplaces().open(to, os.environ)
        fetched = marketplaces().fetch(to, there)
        order = publishing.Order(
            layout, release, ours(to), datetime.now(UTC).replace(microsecond=0)
        )
        fresh = publishing.publish(there, fetched, order, say)
        said = release.manifest
        found = {
            "plugin": said.name,
            "version": said.version,
            "digest": release.image.digest,
            "signer": release.key.fingerprint,
            "marketplace": to.name,
            "location": to.location,
            "image": f"{there.reference(said.name, said.version)}@{release.image.digest}",
            "published": fresh,
        }
        there.close()
        if output == "json":
            click.echo(json.dumps(found, indent=2))
        else:
            _tell(found)


def _pack(path: Path, out: Path, *, base: str | None, by: "Signer", report: Path | None) -> None:
    from ntp.cli.examined import examine
    from ntp.oci.layer import Form
    from ntp.oci.packing import Order, pack
    from ntp.oci.report import check, read_file
    from ntp.package.author import look

    below = base_of(base)
    given = read_file(report) if report is not None else None
    plugin = look(path)
    if given is not None:
        check(given, plugin.manifest.name, plugin.manifest.version)
    tested = examine(path, given)
    order = Order(
        plugin=plugin,
        base=below,
        out=out,
        as_archive=True,
        form=Form(0, compress=False),
        environment=os.environ,
        report=tested,
        signer=by,
    )
    packed = pack(order, say)
    remember(base)
    if packed.lock is not None:
        say(f"wrote {packed.lock}: keep it with the plugin")


def _taken(archive: Path, layout: "Layout") -> "Admitted":
    """Read the image as those who install it will: it has to be signed by a key of ours."""
    from ntp.oci.market.admission import from_file

    mine = {each.public.hint: each.public for each in keyring().listed() if not each.revoked}
    return from_file(archive, layout, mine.get)


def _signer(name: str | None) -> "Signer":
    if name is not None:
        return signer(name)
    catalogues = {each.key for each in marketplaces().listed()}
    mine = [each.name for each in keyring().listed() if not each.revoked and each.name not in catalogues]  # fmt: skip
    if len(mine) > 1 and OWN_KEY not in mine:
        raise click.UsageError(
            f"you have several keys\n  fix: --sign KEY, one of {', '.join(mine)}"
        )
    return own_key(mine[0] if len(mine) == 1 else OWN_KEY, make=not mine)


def _chosen(name: str) -> "Marketplace":
    """Return where to publish to; where nothing is configured, a marketplace in the user's own folder."""
    import platformdirs

    from ntp.oci.market.configured import LOCAL
    from ntp.oci.signing.keyring import FOLDER, configuration

    if name or marketplaces().listed():
        return marketplaces().get(name or None)
    own = platformdirs.user_data_path("ntp", appauthor=False)
    home = configuration(os.environ) if FOLDER in os.environ else own
    made = begin(LOCAL, str(home / "marketplace"))
    say(f"no marketplace was configured: made '{LOCAL}' in {made.location}")
    say("  a real one, for others: ntp marketplace init NAME registry.example.com/team")
    return made


def _tell(found: dict[str, Any]) -> None:
    words = "published" if found["published"] else "is published already"
    click.echo(f"{found['plugin']} {found['version']}: {words} in '{found['marketplace']}'")
    click.echo(f"  at      {found['location']}")
    click.echo(f"  digest  {found['digest']}")
    click.echo(f"  signed  {found['signer']}")
    click.echo(f"  to install it: ntpctl plugin install {found['plugin']}@{found['version']}")
