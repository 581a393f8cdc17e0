"""`ntpctl doctor`: what was tried on this machine, and what it means."""

import asyncio
import importlib.metadata
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.app import ask, unfit
from orchestrator.app.everywhere import notifier
from orchestrator.app.house import runtime, runtime_name
from orchestrator.app.orphans import told
from orchestrator.bus import server_binary
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.decide import alerts
from orchestrator.errors import NtpError
from orchestrator.runtime.docker import presence
from orchestrator.settings import Settings

LEAST_FREE = 512 << 20
"""Bytes: environments of plugins, the broker's streams and the ledgers need about so much."""


def examine(settings: Settings, *, try_webhook: bool = False) -> dict[str, Any]:
    """Return findings as JSON values; nothing is changed.

    `try_webhook`: send it a message that says that it is a test.
    """
    isolation = asyncio.run(runtime(settings).isolation())
    info = ask(settings, "info") if client.answers(settings.state / SOCKET) else None
    told, notes = _webhook(settings, info)
    failed = _trial(settings) if try_webhook else None
    if failed:
        notes.append(f"the test message did not arrive: {failed}")
    return {
        "isolation": {
            "tier": isolation.tier,
            "active": list(isolation.active),
            "missing": list(isolation.missing),
        },
        "broker": _broker(),
        "controller": _controller(info) if info else "none runs; `ntpctl apply` starts one",
        "python": f"{platform.python_version()} at {sys.executable}",
        "state": str(settings.state),
        "webhook": told,
        "webhook_arrived": None if failed is None else not failed,
        "notes": [*notes, *_notes(settings)],
    }


def _broker() -> str:
    try:
        binary = server_binary.find()
        version = asyncio.run(server_binary.version(binary))
    except NtpError as error:
        return str(error)
    complaint = server_binary.complaint(version)
    return complaint or f"nats-server {'.'.join(map(str, version))}, good"


def _controller(info: dict[str, Any]) -> str:
    return f"pid {info['pid']}, runtime {info['runtime']}, revision {info['revision']}"


def _webhook(settings: Settings, info: dict[str, Any] | None) -> tuple[str, list[str]]:
    """Return how alerts get out, and what is wrong with that."""
    hook, notes = settings.webhook, list[str]()
    if hook is None:
        return "none; NTP_WEBHOOK=https://… has alerts sent there", notes
    told = f"{hook.place}, {'signed' if hook.secret else 'not signed'}"
    if hook.plain_because:
        told += f", not encrypted: {hook.plain_because}"
    known = info.get("webhook") if info else None
    if known is not None:
        told += f"; {known['delivered']} delivered, {known['failed']} never arrived, {known['waiting']} wait"
    elif info is not None:
        notes.append(
            f"the controller that runs tells nobody: it reads NTP_WEBHOOK when it starts; "
            f"`kill {info['pid']}`, then `ntpctl apply` (plugins go on meanwhile)"
        )
    if info is not None:
        notes += [
            f"webhook: {each['message']}"
            for each in info["conditions"]
            if each["type"] == "AlertsDelivered" and not each["status"]
        ]
    return told, notes


def _trial(settings: Settings) -> str:
    """Send a test; return why it did not arrive, or nothing."""
    told = notifier(settings)
    if told is None:
        return "NTP_WEBHOOK is not set, so nobody was told"
    try:
        asyncio.run(told.tell(alerts.test(settings.project, datetime.now(UTC))))
    except NtpError as error:
        return f"{told.place}: {error}"
    return ""


def _notes(settings: Settings) -> list[str]:
    notes = []
    if sys.platform != "linux":
        notes.append(
            "plugins run on Linux only: use Docker Desktop or WSL2; creating and testing them works here"
        )
    other = shutil.which("ntpctl")
    ours = {script.name for script in importlib.metadata.entry_points(group="console_scripts")}
    if other and other.startswith(("/usr/bin/", "/usr/sbin/")) and "ntpctl" in ours:
        notes.append(
            f"{other} is another program (openntpd): call ours as `python -m orchestrator`"
        )
    if not settings.sandbox:
        notes.append("PLUGIN_SANDBOX is false: plugins would run with your own rights")
    if orphans := told(settings):
        notes.append(orphans)
    if presence.is_rootless(settings.environment):
        what = unfit.FIX if runtime_name(settings) == "docker" else "so plugins run as processes"
        notes.append(f"{unfit.why(settings)}; {what}")
    for title, variable, folder in (
        ("state", "NTP_STATE", settings.state),
        ("cache", "NTP_CACHE", settings.cache),
    ):
        if complaint := _complaint(folder):
            notes.append(f"{title}: {complaint}; set {variable} to another folder")
    return notes


def _complaint(folder: Path) -> str:
    """Say why nothing could be kept in `folder`, which need not exist yet."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written"
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        return f"{there} has {free >> 20} MiB left, less than {LEAST_FREE >> 20} MiB"
    return ""
