"""Debian packages as files: resolved and fetched by apt, from the mirror that apt itself is set to.

No root, no chroot, nothing is configured: apt compares each package with its signed lists, dpkg-deb
unpacks it, and only what Python needs is taken.
"""

import hashlib
import io
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from ntp.oci.layer import Entry, File, Held, Link

SECONDS = 300.0
NOT_NEEDED = frozenset(
    {
        "debconf", "debconf-2.0", "dpkg", "gcc-12-base", "gcc-14-base", "install-info", "libdb5.3", "libdb5.3t64",
        "libncursesw6", "libnsl2", "libreadline8", "libreadline8t64", "libtinfo6", "libtirpc3", "libtirpc3t64",
        "mailcap", "media-types", "mime-support", "netbase", "openssl", "perl", "perl-base", "readline-common", "tar",
    }
)  # fmt: skip
"""What these packages ask for, and a plugin has no use for: terminals, dbm, NIS, Perl."""
_WITHOUT_THEM = re.compile(
    r"usr/lib/python3[^/]*/(lib-dynload/(_dbm|_gdbm|_curses|_curses_panel|nis|readline)\.|pydoc_data/|ensurepip/"
    r"|idlelib/|lib2to3/|tkinter/|turtle|curses/|dbm/)"
    r"|usr/lib/[^/]+/(gconv|audit|perl)(/|$)|usr/share/zoneinfo/(posix|right)/"
)
_KEPT = re.compile(
    r"usr/(lib|lib64)/|usr/bin/python3[.0-9]*$|usr/share/(zoneinfo|ca-certificates)/|usr/share/doc/[^/]+/copyright$"
)
_MERGED = re.compile(r"^(lib|lib64|bin|sbin)/")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True, slots=True)
class Package:
    """`file`: the name of its .deb. `sha256`: as the signed list has it, hexadecimal."""

    name: str
    version: str
    architecture: str
    file: str
    sha256: str
    control: str

    @property
    def purl(self) -> str:
        version = self.version.replace(":", "%3A").replace("+", "%2B")
        return f"pkg:deb/{_distribution()}/{self.name}@{version}?arch={self.architecture}"


class DebianError(Exception):
    """apt does not give what is needed; the message says what to do."""


def closure(roots: list[str], *, without: frozenset[str] = NOT_NEEDED) -> list[Package]:
    """Return the packages that these need, with themselves, by name; those of `without` are left out."""
    found: dict[str, Package] = {}
    waiting = list(roots)
    while waiting:
        shown = _shown([name for name in waiting if name not in found])
        waiting = []
        for package in shown:
            found[package.name] = package
            waiting += [
                name
                for name in _depends(package.control)
                if name not in found and name not in without and name not in waiting
            ]
    return [found[name] for name in sorted(found)]


def fetch(packages: list[Package], folder: Path) -> None:
    """Bring the .deb files into the folder; those that are there and right are not fetched again."""
    missing = [each for each in packages if not _is_right(folder / each.file, each.sha256)]
    if not missing:
        return
    wanted = [f"{each.name}={each.version}" for each in missing]
    options = ["-o", "APT::Sandbox::User=root"]
    done = subprocess.run(
        ["apt-get", *options, "download", "-qq", *wanted],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    wrong = [each.file for each in missing if not _is_right(folder / each.file, each.sha256)]
    if wrong:
        last = done.stderr.strip().rpartition("\n")[2]
        raise DebianError(f"{', '.join(wrong)} cannot be fetched: {last}\n  fix: apt-get update")


def entries(
    packages: list[Package], folder: Path, *, kept: re.Pattern[str] = _KEPT
) -> dict[str, Entry]:
    """Return the files that are needed, by their path in the image; as given, a plugin's Python's."""
    found: dict[str, Entry] = {
        "/lib": Link("usr/lib"),
        "/lib64": Link("usr/lib64"),
        "/bin": Link("usr/bin"),
    }
    for package in packages:
        for path, entry in _unpacked(folder / package.file):
            if kept.match(path) and not _WITHOUT_THEM.match(path):
                found[f"/{path}"] = entry
        # Where scanners look for what is installed in an image without dpkg.
        found[f"/var/lib/dpkg/status.d/{package.name}"] = File(Held(package.control.encode()))
    return found


def release(packages: list[Package], folder: Path) -> Entry:
    """Return os-release of base-files, of which nothing else is needed."""
    base = next(each for each in packages if each.name == "base-files")
    for path, entry in _unpacked(folder / base.file):
        if path == "usr/lib/os-release":
            return entry
    raise DebianError("base-files has no os-release")


def show(name: str) -> list[Package]:
    return _shown([name])


@cache
def _distribution() -> str:
    """Whose packages apt has here: debian, ubuntu, or one made of these."""
    return platform.freedesktop_os_release()["ID"]


def _shown(names: list[str]) -> list[Package]:
    if not names:
        return []
    done = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", "--", *names],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = []
    for control in done.stdout.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", control, re.MULTILINE))
        if fields.get("Package") in names and "SHA256" in fields and "Filename" in fields:
            version = fields["Version"]
            file = f"{fields['Package']}_{version.replace(':', '%3a')}_{fields['Architecture']}.deb"
            kept = ("Package", "Version", "Architecture", "Maintainer", "Source", "Section", "Priority", "Depends", "Description")  # fmt: skip
            text = "".join(f"{key}: {fields[key]}\n" for key in kept if key in fields)
            found.append(
                Package(
                    fields["Package"], version, fields["Architecture"], file, fields["SHA256"], text
                )
            )
    lacking = set(names) - {each.name for each in found}
    if lacking:
        raise DebianError(f"apt does not know {', '.join(sorted(lacking))}\n  fix: apt-get update")
    return found


def _depends(control: str) -> list[str]:
    found = re.search(r"^Depends: (.*)$", control, re.MULTILINE)
    first = [each.strip().partition("|")[0] for each in found[1].split(",")] if found else []
    return [match[0] for each in first if (match := _NAME.match(each.strip()))]


def _is_right(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _unpacked(deb: Path) -> Iterator[tuple[str, Entry]]:
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True, timeout=SECONDS
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        for member in tar.getmembers():
            path = _MERGED.sub(r"usr/\1/", str(PurePosixPath(member.name)))
            if member.issym():
                yield path, Link(member.linkname)
            elif member.isreg() or member.islnk():
                content = tar.extractfile(member)
                if content is not None:
                    yield path, File(Held(content.read()), program=bool(member.mode & 0o111))
