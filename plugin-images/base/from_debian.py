"""Make a base image out of Debian's own packages: no registry, no engine, no root.

    python plugin-images/base/from_debian.py -o dist/base

It has glibc, Python, OpenSSL, certificates and time zones; no shell, no package manager, no pip. What
is made follows from the packages that apt offers now, the locked requirements and the SDK: where these
are the same, it is the same image by digest, and where they are already packed nothing is done.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from debian_packages import DebianError, Package, closure, entries, fetch, release, show

from ntp import __version__
from ntp.contract import CONTRACT
from ntp.oci import base_image, layer, sbom
from ntp.oci.base_image import OCI, OWN, Facts
from ntp.oci.descriptor import Descriptor, digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import Entry, File, Folder, Form, Held, Link
from ntp.oci.layout import Layout, named
from ntp.oci.plugin_image import INPUT
from ntp.oci.referrer import attach
from ntp.oci.source import architecture
from ntp.package.fault import PackageError
from ntp.package.given import SDK
from ntp.package.interpreter import compile_folder, platform_tag

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
SDK_FOLDER = HERE.parent / "sdk" / "ntp"
NAME = "ntp-base"
FORM = "1"
"""Changes whenever this file makes another image of the same input."""
FILES = {
    "/etc/passwd": "root:x:0:0:root:/nonexistent:/nonexistent\nplugin:x:65532:65532::/tmp:/nonexistent\n",
    "/etc/group": "root:x:0:\nplugin:x:65532:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    given = parser.parse_args()
    os.umask(0o022)
    try:
        layout = Layout.create(given.output)
        image, fresh, count = make(layout, given.output)
    except (DebianError, OciError, PackageError) as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, OciError) and error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        return 5
    said = {
        "layout": str(given.output),
        "digest": image.digest,
        "size": image.size,
        "packages": count,
        "built": fresh,
    }
    if given.json:
        print(json.dumps(said, indent=2))
    else:
        how = "made" if fresh else "nothing changed"
        print(f"{given.output}: {image.digest} ({image.size / 1024**2:.1f} MiB, {how})")
    return 0


def roots(python: str) -> list[str]:
    """Return the packages that a base is asked for."""
    return [f"{python}-minimal", f"lib{python}-stdlib", "libstdc++6", "ca-certificates", "tzdata"]


def make(layout: Layout, scratch: Path) -> tuple[Image, bool, int]:
    """Return the image, whether it was made now, and of how many packages."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    try:
        packages = closure(roots(python))
    except DebianError as error:
        raise DebianError(
            f"{error}, or run this with the Python that Debian has here: compiled files of one "
            "version are nothing to another"
        ) from error
    packages += show("base-files")
    wanted = digest_of(
        dump(
            {
                "form": FORM,
                "tag": platform_tag(),
                "packages": [f"{each.file} {each.sha256}" for each in packages],
                "requirements": digest_of(REQUIREMENTS.read_bytes()),
                "sdk": [
                    [str(path.relative_to(SDK_FOLDER)), digest_of(path.read_bytes())]
                    for path in sdk_files()
                ],
            }
        )
    )
    known = [each for each in layout.index() if each.annotations.get(INPUT) == wanted]
    if known and layout.has(known[0]):
        from ntp.oci.image import read

        return read(layout, known[0]), False, len(packages)
    debs = scratch / ".debs"
    debs.mkdir(exist_ok=True)
    fetch(packages, debs)
    found = entries(packages, debs)
    found |= {path: File(Held(text.encode())) for path, text in FILES.items()}
    found |= {
        "/etc/os-release": release(packages, debs),
        "/usr/bin/python3": Link(python),
        "/tmp": Folder(0o1777),  # noqa: S108 - in the image
        **{folder: Folder() for folder in ("/dev", "/proc", "/sys", "/run/ntp", "/storage")},
        "/plugin": Folder(),
        "/usr/lib/ssl/certs": Link("/etc/ssl/certs"),
        "/usr/lib/ssl/cert.pem": Link("/etc/ssl/certs/ca-certificates.crt"),
        "/etc/ssl/certs/ca-certificates.crt": certificates(found),
    }
    with tempfile.TemporaryDirectory(prefix="ntp-base-") as folder:
        image = assemble(layout, found, packages, Path(folder), python)
    listing = image.descriptor
    about = attach(
        layout,
        image,
        sbom.write(
            subject=f"pkg:oci/{NAME}@{image.digest.replace(':', '%3A')}",
            digest=image.digest,
            name=NAME,
            version=__version__,
            components=[
                *(sbom.Component(each.name, each.version, each.purl, each.sha256, "base") for each in packages),
                *(sbom.pypi(name, version, None, "base") for name, version in base_image.facts(image, NAME).distributions.items()),
            ],
        ),
        sbom.MEDIA_TYPE,
    )  # fmt: skip
    marked = Descriptor(listing.media_type, listing.digest, listing.size, {INPUT: wanted})
    with layout.locked():
        layout.write_index([named(marked, NAME), about.descriptor])
    return image, True, len(packages)


def assemble(
    layout: Layout, found: dict[str, Entry], packages: list[Package], scratch: Path, python: str
) -> Image:
    standard = f"usr/lib/{python}"
    compile_entries(found, scratch / "std", f"/{standard}")
    below = layer.write(
        layout, found, Form(compress=True), comment=f"ntp: Debian packages, {len(packages)} of them"
    )
    runtime, sdk = scratch / "runtime", scratch / "sdk"
    install(runtime)
    for path in sdk_files():
        target = sdk / "ntp" / path.relative_to(SDK_FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    compile_folder(runtime, shown=base_image.RUNTIME_FOLDER)
    compile_folder(sdk, shown=base_image.SDK_FOLDER)
    facts = Facts(
        f"/usr/bin/{python}", platform_tag(), {**versions(runtime), SDK: __version__}, CONTRACT
    )
    labels = {
        f"{OCI}title": NAME,
        f"{OCI}version": __version__,
        f"{OWN}made-from": "debian",
    }
    return base_image.build(
        layout,
        system=None,
        below=[below],
        sdk=sdk,
        runtime=runtime,
        facts=facts,
        labels=labels,
        architecture=architecture(),
        form=Form(compress=True),
    )


def compile_entries(found: dict[str, Entry], scratch: Path, folder: str) -> None:
    """Add compiled files of the standard library, which Debian makes when it is installed."""
    for path, entry in found.items():
        if path.startswith(f"{folder}/") and path.endswith(".py") and isinstance(entry, File):
            target = scratch / PurePosixPath(path).relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(entry.content.read_bytes())
    compile_folder(scratch, shown=folder)
    for path, content in base_image.files(scratch):
        if path.endswith(".pyc"):
            found[f"{folder}/{path}"] = File(Held(content.read_bytes()))


def certificates(found: dict[str, Entry]) -> Entry:
    """Return what update-ca-certificates makes: all authorities in one file."""
    each = (
        entry.content.read_bytes().strip() + b"\n"
        for path, entry in sorted(found.items())
        if path.startswith("/usr/share/ca-certificates/") and isinstance(entry, File)
    )
    return File(Held(b"".join(each)))


def install(target: Path) -> None:
    """Put the locked wheels of the SDK's requirements there; from a registry, as pip is set to."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    # nkeys is pure Python and published as source only.
    command += [
        "--only-binary",
        ":all:",
        "--no-binary",
        "nkeys",
        "--no-compile",
        "--disable-pip-version-check",
        "--no-input",
    ]
    done = subprocess.run(
        [*command, "--target", str(target), "-r", str(REQUIREMENTS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise DebianError(f"the SDK's requirements cannot be installed: {last}")


def versions(site: Path) -> dict[str, str]:
    import importlib.metadata

    from packaging.utils import canonicalize_name

    every = importlib.metadata.distributions(path=[str(site)])
    return {canonicalize_name(each.metadata["Name"]): each.version for each in every}


def sdk_files() -> list[Path]:
    """What of the SDK runs in a plugin, as for the process runtime."""
    return sorted(path for path in SDK_FOLDER.rglob("*") if path.suffix in {".py", ".typed"})


if __name__ == "__main__":
    sys.exit(main())
