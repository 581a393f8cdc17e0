"""`ntp plugin package`: a plugin as an image."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntp.cli.named_base import base_of, remember
from ntp.cli.outcome import guard, say
from ntp.cli.output import output_option

if TYPE_CHECKING:
    from ntp.oci.packing import Packed

_USUAL = [Path("config", "plugins.yaml"), Path("plugins.yaml")]


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to; default: NAME-VERSION.tar here.",
)
@click.option(
    "--base",
    metavar="IMAGE",
    envvar="NTP_BASE",
    show_envvar=True,
    help="What to build on: an OCI layout, an OCI archive, or host/repository@sha256:…; default: what was named last.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["oci-archive", "oci-layout"]),
    default="oci-archive",
    show_default=True,
    help="One file, that `docker load` reads too; or a folder.",
)
@click.option("--compress", is_flag=True, help="Smaller layers, whose digest depends on this machine's zlib.")  # fmt: skip
@click.option("--revision", metavar="TEXT", help="Of the source; default: git's, where nothing differs from it.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE", help="What `ntp plugin test` said of it, as JSON: attached, and signed with the image.")  # fmt: skip
@click.option("--sign", metavar="KEY", help="Sign the image and all that is attached with this key: `ntp keys list`.")  # fmt: skip
@click.option("--push", metavar="REGISTRY/PATH", help="Send it there, as REGISTRY/PATH/NAME:VERSION, with all that is attached; no file is left here but the one that -o names.")  # fmt: skip
@click.option("--pin", is_flag=True, help="With --push: write the image by its digest into the plugin's entries of plugins.yaml, in place of `source:`.")  # fmt: skip
@click.option("-f", "--file", "config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="With --pin: which plugins.yaml; default: $PLUGIN_CONFIG, config/plugins.yaml, plugins.yaml.")  # fmt: skip
@output_option("what was made")
def package(
    path: Path,
    *,
    out: Path | None,
    base: str | None,
    form: str,
    compress: bool,
    revision: str | None,
    report: Path | None,
    sign: str | None,
    push: str | None,
    pin: bool,
    config: Path | None,
    output: str,
) -> None:
    """Build the image of the plugin in PATH, a folder with a plugin.yaml or a .py file. No engine is needed.

    The image is a base, a layer of the plugin's wheels (locked by hash in requirements.lock beside it,
    which is made where it is missing) and a layer of its code; an SBOM and a provenance statement are
    attached. The same input makes the same bytes, at any time and in any folder; SOURCE_DATE_EPOCH
    dates the files. A signature is a Sigstore bundle over all of it by digest, attached as they are.

    \b
    Examples:
      ntp plugin package my_strategy --base dist/base
      ntp plugin package my_strategy.py --base dist/base -o my.tar && docker load -i my.tar
      ntp plugin package my_strategy --base dist/base --report report.json --sign me
      ntp plugin package my_strategy --base registry.example.com/ntp/base@sha256:0a1b…
      ntp plugin package my_strategy --push registry.example.com/desk --pin
      NTP_BASE=dist/base ntp plugin package my_strategy --format oci-layout -o image --output json
    """
    from dataclasses import replace

    from ntp.cli.keys import signer
    from ntp.oci import report as reports
    from ntp.oci.layer import Form
    from ntp.oci.packing import Order, pack
    from ntp.package.author import look

    pinned = _to_pin(config, push=push, pin=pin)
    if not path.exists():
        raise click.UsageError(
            f"{path} was not found\n  fix: name a plugin's folder or its .py file"
        )
    with guard(), contextlib.ExitStack() as scratch:
        base = base_of(base)
        found = look(path)
        if revision is not None:
            found = replace(found, revision=revision)
        packed = pack(
            Order(
                plugin=found,
                base=base,
                out=out if out is not None or push is None else _scratch(scratch),
                as_archive=form == "oci-archive",
                form=Form(_epoch(os.environ.get("SOURCE_DATE_EPOCH")), compress),
                environment=os.environ,
                report=reports.read_file(report) if report is not None else None,
                signer=signer(sign) if sign is not None else None,
            ),
            say,
        )
        remember(base)
        pushed = _push(packed, push) if push is not None else None
        names = _pin(packed, pushed, pinned, path) if pushed and pinned else []
    if packed.lock is not None:
        say(f"wrote {packed.lock}: keep it with the plugin")
    if output == "json":
        kept = push is None or out is not None
        told = {**_document(packed, form, kept=kept), "pushed": pushed, "pinned": names}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _tell(packed, pushed)
    if names:
        say(f"{pinned}: {', '.join(names)} run{'s' if len(names) == 1 else ''} that image now")


def _to_pin(config: Path | None, *, push: str | None, pin: bool) -> Path | None:
    """Return the plugins.yaml to write into; None: none."""
    if (pin or config is not None) and push is None:
        raise click.UsageError("--pin and -f belong to --push: a node of a cluster pulls by name")
    if not pin:
        return None
    named = os.environ.get("PLUGIN_CONFIG")
    places = [config] if config else [Path(named)] if named else _USUAL
    found = next((each for each in places if each.is_file()), None)
    if found is None:
        told = " or ".join(map(str, places))
        raise click.UsageError(f"{told} was not found\n  fix: name plugins.yaml with -f")
    return found


def _scratch(stack: contextlib.ExitStack) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="ntp-package-")
    return Path(stack.enter_context(folder)) / "image"


def _push(packed: "Packed", place: str) -> str:
    from ntp.oci import pushing

    to = pushing.target(place, packed.plugin.name, packed.plugin.version)
    return str(pushing.push(packed.out, to, environment=os.environ, progress=say))


def _pin(packed: "Packed", image: str, file: Path, path: Path) -> list[str]:
    from ntp.package import pinning

    text = file.read_text(encoding="utf-8")
    fresh, names = pinning.pin(text, image, plugin=packed.plugin.name, path=path, file=file)
    new = file.with_name(f".{file.name}.new")
    new.write_text(fresh, encoding="utf-8")
    new.chmod(file.stat().st_mode & 0o777)
    new.replace(file)
    return names


def _epoch(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise click.UsageError(
            f"SOURCE_DATE_EPOCH was {text[:40]!r}\n  fix: seconds since 1970, as `date +%s` prints"
        )
    return int(text)


def _tell(packed: "Packed", pushed: str | None) -> None:
    image = packed.built.image
    click.echo(
        f"{pushed or packed.out}: {packed.plugin.name} {packed.plugin.version}, {_mib(image.size)}"
    )
    below = len(packed.base.image.layers)
    click.echo(f"  digest   {image.digest}")
    click.echo(f"  image id {image.id}")
    click.echo(f"  base     {packed.base.image.digest} ({below} layers)")
    history = list(image.config["history"])[-len(image.layers) + below :]
    for layer, made in zip(image.layers[below:], history, strict=True):
        click.echo(f"  layer    {layer.digest} ({_mib(layer.size)}, {made['created_by']})")
    for each in packed.built.attachments:
        click.echo(f"  attached {each.document.digest} ({each.document.media_type})")
    if packed.signer is not None:
        click.echo(f"  signed   {packed.signer.fingerprint}")


def _mib(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"


def _document(packed: "Packed", form: str, *, kept: bool) -> dict[str, Any]:
    image, below = packed.built.image, len(packed.base.image.layers)
    return {
        "plugin": packed.plugin.name,
        "version": packed.plugin.version,
        "revision": packed.plugin.revision,
        "file": str(packed.out) if kept else None,
        "format": form,
        "tag": packed.tag,
        "digest": image.digest,
        "id": image.id,
        "size": image.size,
        "base": {"name": packed.base.name, "digest": packed.base.image.digest},
        "layers": [{"digest": each.digest, "size": each.size} for each in image.layers[below:]],
        "requirements": [
            {"name": pin.name, "version": pin.version, "sha256": pin.sha256}
            for pin in packed.plugin.pins
        ],
        "lock": str(packed.lock) if packed.lock else None,
        "attached": [
            {"type": each.document.media_type, "digest": each.document.digest}
            for each in packed.built.attachments
        ],
        "signer": packed.signer.fingerprint if packed.signer else None,
    }
