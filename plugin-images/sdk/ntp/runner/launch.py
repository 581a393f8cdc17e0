"""Reading what the controller left for us: the launch file."""

import os
from pathlib import Path

import msgspec

from ntp.contract import CONTRACT
from ntp.contract.launch import FOLDER, LAUNCH_FILE, LaunchFile
from ntp.runner.ending import EndError

_LARGEST = 4 * 1024 * 1024


class _Version(msgspec.Struct):
    contract: str = ""


def folder() -> Path:
    return Path(os.environ.get("NTP_LAUNCH") or FOLDER)


def read(place: Path) -> LaunchFile:
    """Return the launch; raises EndError where it cannot be read, or speaks another contract."""
    file = place / LAUNCH_FILE
    try:
        with file.open("rb") as stream:
            text = stream.read(_LARGEST)
    except OSError as error:
        raise EndError(
            "LaunchUnreadable", f"{file} cannot be read: {error.strerror or error}"
        ) from error
    try:
        version = msgspec.json.decode(text, type=_Version).contract
        check(version)
        return msgspec.json.decode(text, type=LaunchFile)
    except msgspec.MsgspecError as error:
        raise EndError("LaunchUnreadable", f"{file} is not a launch file: {error}") from error


def check(version: str) -> None:
    """Refuse a contract whose major version is not ours; a newer minor only adds fields."""
    if version.partition(".")[0] != CONTRACT.partition(".")[0]:
        raise EndError(
            "ContractMismatch",
            f"the controller speaks contract {version or 'unknown'}, this plugin's ntp-sdk {CONTRACT};"
            " fix: use an ntp-sdk of the same major version as ntpctl",
            permanent=True,
        )
