"""`ntp plugin`: what an author does with a plugin."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ntp.oci.packing import Packed

USAGE, UNREACHABLE, REFUSED, INTERRUPTED = 2, 3, 5, 130


@click.group()
def plugin() -> None:
    """Pack a plugin into an image, byte for byte the same on every machine."""


@plugin.command()
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
    help="What to build on: an OCI layout, an OCI archive, or host/repository@sha256:….",
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
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print what was made.",
)
def package(
    path: Path,
    *,
    out: Path | None,
    base: str | None,
    form: str,
    compress: bool,
    revision: str | None,
    output: str,
) -> None:
    """Build the image of the plugin in PATH, a folder with a plugin.yaml or a .py file. No engine is needed.

    The image is a base, a layer of the plugin's wheels (locked by hash in requirements.lock beside it,
    which is made where it is missing) and a layer of its code; an SBOM and a provenance statement are
    attached. The same input makes the same bytes, at any time and in any folder; SOURCE_DATE_EPOCH
    dates the files.

    \b
    Examples:
      ntp plugin package my_strategy --base dist/base
      ntp plugin package my_strategy.py --base dist/base -o my.tar && docker load -i my.tar
      ntp plugin package my_strategy --base registry.example.com/ntp/base@sha256:0a1b…
      NTP_BASE=dist/base ntp plugin package my_strategy --format oci-layout -o image --output json
    """
    from dataclasses import replace

    from ntp.oci.layer import Form
    from ntp.oci.packing import Order, pack
    from ntp.package.author import look

    if base is None:
        raise click.UsageError(
            "no base image was named\n  fix: --base IMAGE or NTP_BASE=IMAGE; "
            "plugin-images/base of ntp's source makes one"
        )
    if not path.exists():
        raise click.UsageError(
            f"{path} was not found\n  fix: name a plugin's folder or its .py file"
        )
    with _guard():
        found = look(path)
        if revision is not None:
            found = replace(found, revision=revision)
        packed = pack(
            Order(
                plugin=found,
                base=base,
                out=out,
                as_archive=form == "oci-archive",
                form=Form(_epoch(os.environ.get("SOURCE_DATE_EPOCH")), compress),
                environment=os.environ,
            ),
            _say,
        )
    if packed.lock is not None:
        _say(f"wrote {packed.lock}: keep it with the plugin")
    if output == "json":
        click.echo(json.dumps(_document(packed, form), indent=2, ensure_ascii=False))
    else:
        _tell(packed)


@contextlib.contextmanager
def _guard() -> Iterator[None]:
    """Turn what went wrong into words and an exit code."""
    from ntp.oci.fault import OciError
    from ntp.package.author import AuthorError
    from ntp.package.fault import PackageError

    try:
        yield
    except AuthorError as error:
        _say(str(error))
        count = len(error.problems)
        _say(f"{count} problem{'' if count == 1 else 's'}; nothing was written")
        sys.exit(USAGE)
    except OciError as error:
        _say(f"error: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""))
        sys.exit(UNREACHABLE if error.transient else REFUSED)
    except PackageError as error:
        _say(f"error: {error}")
        sys.exit(REFUSED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {where}{(error.strerror or str(error)).lower()}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        sys.exit(INTERRUPTED)


def _epoch(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise click.UsageError(
            f"SOURCE_DATE_EPOCH was {text[:40]!r}\n  fix: seconds since 1970, as `date +%s` prints"
        )
    return int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell(packed: "Packed") -> None:
    image = packed.built.image
    click.echo(f"{packed.out}: {packed.plugin.name} {packed.plugin.version}, {_mib(image.size)}")
    below = len(packed.base.image.layers)
    click.echo(f"  digest   {image.digest}")
    click.echo(f"  image id {image.id}")
    click.echo(f"  base     {packed.base.image.digest} ({below} layers)")
    history = list(image.config["history"])[-len(image.layers) + below :]
    for layer, made in zip(image.layers[below:], history, strict=True):
        click.echo(f"  layer    {layer.digest} ({_mib(layer.size)}, {made['created_by']})")
    for each in packed.built.attachments:
        click.echo(f"  attached {each.document.digest} ({each.document.media_type})")


def _mib(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"


def _document(packed: "Packed", form: str) -> dict[str, Any]:
    image, below = packed.built.image, len(packed.base.image.layers)
    return {
        "plugin": packed.plugin.name,
        "version": packed.plugin.version,
        "revision": packed.plugin.revision,
        "file": str(packed.out),
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
    }
