"""The name of an image in a registry: host/repository, and a tag or a digest."""

import re
from dataclasses import dataclass

from ntp.oci.descriptor import is_digest
from ntp.oci.fault import OciError

_HOST = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,39}\])(:(?P<port>[0-9]{1,5}))?")
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reference:
    """`host`: with its port. Without a digest the tag is what is meant now, and may move."""

    host: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> "Reference":
        """Return the same image, by what it is."""
        return Reference(self.host, self.repository, self.tag, digest)


def parse(text: str) -> Reference:
    """Read `host[:port]/repository[:tag][@sha256:…]`.

    The host has to be written: an image that means another registry on another machine is no name.

    Raises:
        OciError: it is none.
    """
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _refused(text, f"its digest was {digest[:80]!r}", "write @sha256: and 64 digits")
    host, slash, path = rest.partition("/")
    found = _HOST.fullmatch(host)
    if not slash or found is None or not (set(".:") & set(host) or host == "localhost"):
        raise _refused(text, "it names no registry", "write it as host/repository:tag")
    if found["port"] and not 0 < int(found["port"]) < 65536:
        raise _refused(text, f"its port was {found['port']}", "ports go from 1 to 65535")
    repository, colon, tag = path.partition(":")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise _refused(
            text,
            f"its repository was {repository[:80]!r}",
            "lower-case letters, digits, '-', '_', '.'",
        )
    if colon and not _TAG.fullmatch(tag):
        raise _refused(text, f"its tag was {tag[:80]!r}", "letters, digits, '-', '_' and '.'")
    if not at and not colon:
        tag = "latest"
    return Reference(host, repository, tag or None, digest or None)


def _refused(text: str, why: str, fix: str) -> OciError:
    return OciError(f"{text[:200]!r} is no image reference: {why}", fix=fix)
