"""`ntpctl doctor`: what was tried on this machine, and what it means."""

import asyncio
import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from orchestrator.app import ask
from orchestrator.app.house import runtime
from orchestrator.bus import server_binary
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import NtpError
from orchestrator.settings import Settings

LEAST_FREE = 512 << 20
"""Bytes: environments of plugins, the broker's streams and the ledgers need about so much."""


def examine(settings: Settings) -> dict[str, Any]:
    """Return findings as JSON values; nothing is changed."""
    isolation = asyncio.run(runtime(settings).isolation())
    answers = client.answers(settings.state / SOCKET)
    return {
        "isolation": {
            "tier": isolation.tier,
            "active": list(isolation.active),
            "missing": list(isolation.missing),
        },
        "broker": _broker(),
        "controller": _controller(settings) if answers else "none runs; `ntpctl apply` starts one",
        "python": f"{platform.python_version()} at {sys.executable}",
        "state": str(settings.state),
        "notes": _notes(settings),
    }


def _broker() -> str:
    try:
        binary = server_binary.find()
        version = asyncio.run(server_binary.version(binary))
    except NtpError as error:
        return str(error)
    complaint = server_binary.complaint(version)
    return complaint or f"nats-server {'.'.join(map(str, version))}, good"


def _controller(settings: Settings) -> str:
    info = ask(settings, "info")
    return f"pid {info['pid']}, runtime {info['runtime']}, revision {info['revision']}"


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
