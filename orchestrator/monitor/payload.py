"""What a webhook receives: fields for programs, and `text` for people in a chat. docs/json.md lists it."""

import json
import re

from orchestrator.decide.alerts import Alert, Status
from orchestrator.decide.words import span

FORMAT = 1
LONGEST = 1000
"""Characters of `text`."""
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def payload(alert: Alert) -> bytes:
    """Return the body, JSON in UTF-8."""
    told = {
        "format": FORMAT,
        "id": alert.id,
        "alert": alert.alert,
        "status": alert.status.value,
        "project": alert.project,
        "plugin": alert.plugin,
        "kind": alert.kind,
        "reason": alert.reason,
        "state": alert.state,
        "message": alert.message,
        "since": alert.since.isoformat() if alert.since else None,
        "at": alert.at.isoformat(),
        "suppressed": alert.suppressed,
        "text": text(alert),
    }
    return json.dumps(told, ensure_ascii=False).encode()


def text(alert: Alert) -> str:
    """Return one line for people. Nothing in it mentions anybody or is a link: plugins write parts of it."""
    who = f"{alert.project}: {alert.plugin}" if alert.plugin else alert.project
    if alert.status is Status.SUPPRESSED:
        return _plain(f"{who}: {alert.message}; `ntpctl status` shows all")
    if alert.status is Status.RESOLVED:
        after = f" after {span(alert.at - alert.since)}" if alert.since else ""
        told = f"{who}: {alert.reason} is over{after}: {alert.message}"
    else:
        told = ": ".join(filter(None, (who, alert.reason, alert.message)))
    if alert.suppressed:
        count = alert.suppressed
        alerts = "alert before it was" if count == 1 else "alerts before it were"
        told += f" ({count} {alerts} not sent, for there were too many: `ntpctl status`)"
    return _plain(told)


def _plain(told: str) -> str:
    """Slack reads `<!channel>` and `<url|words>`, Mattermost `@all`: take them for what they are, words."""
    line = _UNPRINTED.sub(" ", told)[:LONGEST]
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace("@", "@\u2060")
