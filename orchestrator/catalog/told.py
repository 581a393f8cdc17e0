"""What goes wrong with images and wheels, in our own tree of errors."""

import contextlib
import os
from collections.abc import Iterator

from ntp.oci.fault import OciError
from ntp.package.fault import PackageError
from orchestrator.errors import ActionError, UnreachableError


@contextlib.contextmanager
def told_of_packages() -> Iterator[None]:
    """Raise ActionError for what went wrong with wheels, or with the cache that they lie in."""
    try:
        yield
    except PackageError as error:
        raise ActionError(str(error), reason=error.reason, permanent=error.permanent) from error


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise ActionError, or UnreachableError, for what went wrong with images and wheels."""
    try:
        with told_of_packages():
            yield
    except OciError as error:
        words = str(error) + (f"\n  fix: {error.fix}" if error.fix else "")
        if error.transient:
            raise UnreachableError(words) from error
        raise ActionError(words, reason=error.reason) from error
    except OSError as error:
        raise ActionError(
            f"the images in the cache cannot be written: {error.strerror or error}; free space, or "
            f"set NTP_CACHE to a folder that can be written ({os.fspath(error.filename or '')})",
            reason="CacheFailed",
        ) from error
