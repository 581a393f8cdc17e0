"""What the API server said no with, as our errors, in its own words."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.errors import ActionError, ConflictError, NtpError, UnreachableError

EXPIRED: Final = 410
_OWNER = re.compile(r'conflict with "(?P<manager>[^"]+)"')
_REFUSED: Final = (
    ("exceeded quota", "QuotaExceeded"),
    ("violates PodSecurity", "PodSecurityRefused"),
    ("admission webhook", "AdmissionRefused"),
    ("ValidatingAdmissionPolicy", "AdmissionRefused"),
    ("is forbidden: maximum", "LimitRangeRefused"),
    ("is forbidden: minimum", "LimitRangeRefused"),
    ("unable to create new content in namespace", "NamespaceTerminating"),
)
_INVALID: Final = "failed to create typed patch object"
"""What is applied has a field of a wrong type: the API server calls that an error of its own (500)."""
_USUAL: Final = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
"""What a server says that answers in plain text."""
_BUSY: Final = frozenset({429, 500, 502, 503, 504})


class OwnedError(ConflictError):
    """Fields that we set belong to somebody else, `managers`, who set them otherwise."""

    def __init__(self, message: str, managers: tuple[str, ...]) -> None:
        super().__init__(message)
        self.managers = managers


class ExpiredError(ActionError):
    """The version asked for is too old to go on from: list again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="Expired")


def error(code: int, answer: bytes, what: str) -> NtpError:
    """Return the error for an answer.

    Args:
        code: the HTTP status.
        answer: its body: a `Status` object, or whatever a proxy on the way wrote.
        what: what was tried, for the beginning of the message: "apply StatefulSet rsi".
    """
    return _named(code, status_of(answer), f"the cluster refused to {what}")


def status_of(answer: bytes) -> Mapping[str, Any]:
    """Return a `Status`; of something else one with its text."""
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if isinstance(found, dict) and "message" in found:
        return found
    return {"message": answer.decode(errors="replace").strip()[:500] or "no reason given"}


def _named(code: int, status: Mapping[str, Any], refused: str) -> NtpError:
    said = str(status["message"])
    told = f"{refused}: {said}"
    if code == EXPIRED:
        return ExpiredError(told)
    if code in _BUSY and _INVALID not in said:
        return UnreachableError(f"the cluster's API server cannot answer now ({code}): {said}")
    if code == 409:
        managers = _managers(status)
        if managers:
            return OwnedError(f"{told}; it belongs to {', '.join(managers)}", managers)
        return ConflictError(told)
    reason = str(status.get("reason") or _USUAL.get(code, "Refused"))
    if code in _BUSY:
        reason = "Invalid"
    return ActionError(told, reason=reason_of(said) or reason, permanent=reason == "Invalid")


def reason_of(said: str) -> str:
    """Return our word for a refusal that the cluster has none of its own for; empty: no such one."""
    return next((word for words, word in _REFUSED if words in said), "")


def _managers(status: Mapping[str, Any]) -> tuple[str, ...]:
    causes = (status.get("details") or {}).get("causes") or []
    found = (_OWNER.search(str(cause.get("message", ""))) for cause in causes)
    return tuple(sorted({match["manager"] for match in found if match}))
