"""A seller's report once more, on data of one's own: the code out of its image, run by `ntp plugin test`.

A program of its own, as authors start it: the orchestrator imports nothing of it. What it runs is isolated.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ntp.contract import tested
from ntp.contract.manifest import FILE, Manifest
from ntp.contract.names import Kind
from ntp.contract.tested import Tested
from ntp.oci.market.admission import Admitted
from ntp.package.sdk_copies import versions
from orchestrator.app import entries, shelves
from orchestrator.app.entries import Entry
from orchestrator.app.retested import compared
from orchestrator.catalog import caged
from orchestrator.catalog.fit import Reason, obstacles
from orchestrator.catalog.image_store import ImageStore
from orchestrator.catalog.told import told
from orchestrator.catalog.unpacked import Folders, Unpacked
from orchestrator.errors import ActionError, ConfigError, NtpError, Problem
from orchestrator.settings import Settings

END_S = 15.0
"""What the test may take to put its sandboxes away."""
_PASSED, _USAGE, _FOUND = 0, 2, 6
"""Exit codes of `ntp plugin test`."""
_AGAIN = "ask its author to publish it with the report of a `ntp plugin test` of this release"
Progress = Callable[[str], None]


def retest(
    settings: Settings,
    name: str,
    data: Sequence[Path],
    *,
    reading: Sequence[str],
    market: str | None,
    key_files: Sequence[Path],
    progress: Progress,
) -> dict[str, Any]:
    """Verify an entry, then run the report that its author signed on other data.

    Args:
        settings: of the project.
        name: of the entry.
        data: files of market data.
        reading: how they are read: options of `ntp plugin test`.
        market: which marketplace; None: whichever has the image.
        key_files: public keys that may have signed what came from a file.
        progress: is told what is fetched. What the test itself says goes to stderr.

    Returns:
        What `shelves.verify` says of it, and `retest`; None where it was not run: something does not hold.

    Raises:
        ActionError: RetestRefused, SandboxUnavailable: nothing of it was run, or it could not be.
        ConfigError: the data, or the plugin on it, cannot be used.
    """
    entry = entries.named(settings, name)
    ((_, found),) = shelves.checked(settings, [entry], market, key_files)
    row = shelves.row(entry, found)
    if isinstance(found, NtpError):
        return {**row, "retest": None}
    theirs = _report(found)
    caged.tier()
    with told():
        taken = _taken_out(settings, entry, found.manifest, market, progress)
    with TemporaryDirectory(prefix="ntp-retest-") as scratch:
        report = Path(scratch) / "report.json"
        report.write_bytes(found.report or b"")
        folder = Path(scratch) / found.manifest.name
        _write(folder, taken.code, found.manifest)
        (nothing := Path(scratch) / "wheels").mkdir()
        ours = _run(folder, report, data, reading, taken.wheels or nothing)
    return {**row, "retest": compared(found.manifest, theirs, *ours, config=entry.config)}


def _report(found: Admitted) -> Tested:
    """Return the seller's report; ActionError where it cannot be rerun, with all that stands against it."""
    said = found.manifest
    against = []
    theirs = None
    if found.report is None:
        against.append(("it was signed without a report of its test", _AGAIN))
    else:
        try:
            theirs = tested.read(found.report)
        except ValueError as error:
            against.append((f"its report cannot be rerun: {error}", _AGAIN))
    if said.kind is Kind.DATA_SOURCE:
        against.append(("a data source makes its data itself", "watch it run: ntpctl tap NAME"))
    for name in theirs.settings.indicators if theirs else ():
        words = f"its report was made with the indicator '{name}', which is not in its image"
        against.append((words, "ask its author for the report of the plugin alone"))
    if theirs is None or against:
        raise _refused(said, against)
    return theirs


def _refused(said: Manifest, against: Sequence[Reason]) -> ActionError:
    words = "\n".join(f"'{said.name}': {what}\n  fix: {fix}" for what, fix in against)
    return ActionError(words, reason="RetestRefused")


def _taken_out(
    settings: Settings, entry: Entry, manifest: Manifest, market: str | None, progress: Progress
) -> Folders:
    """Return the plugin's code and wheels; ActionError where they do not fit what is here."""
    bought = shelves.purchases(settings)
    kept = bought.kept(entry.digest)
    if kept is None:
        # It was found in a marketplace just now: only what was installed from a file is nowhere else.
        with shelves.having(settings, entry, market) as shelf:
            version = shelves.version_of(entry, shelf.catalogue)
            with bought.from_place(shelf.place, shelf.catalogue, entry.plugin, version) as candidate:  # fmt: skip
                bought.keep(candidate, progress)
        kept = bought.kept(entry.digest)
    if kept is None:
        raise ActionError(f"{entry.image} is not in the cache any more; run the same again")
    _, image, _ = kept
    unpacked = Unpacked(ImageStore(settings.cache), settings.cache, settings.state.parent)
    taken = unpacked.of(image, f"'{manifest.name}'")
    if against := obstacles(taken, manifest, versions()):
        raise _refused(manifest, against)
    return taken


def _write(folder: Path, code: Path, manifest: Manifest) -> None:
    """`manifest`: as the image says and the signature covers, whatever the code has beside it."""
    shutil.copytree(code, folder, ignore=shutil.ignore_patterns("__pycache__"))
    document = manifest.model_dump(mode="json", exclude_defaults=True)
    (folder / FILE).unlink(missing_ok=True)  # a copy is read-only as well
    (folder / FILE).write_text(json.dumps(document, ensure_ascii=False), "utf-8")


def _run(
    folder: Path, report: Path, data: Sequence[Path], reading: Sequence[str], wheels: Path
) -> tuple[Tested | None, dict[str, Any]]:
    """Return the report of the test, read and whole; None: the plugin brought its process to an end."""
    words = ["plugin", "test", str(folder), "--like", str(report), "--output", "json"]
    words += reading
    # Whatever it requires came with its image: no registry is asked.
    words += ["--wheels", str(wheels)]
    for file in data:
        words += ["--data", str(file.absolute())]
    code, output = _child(words)
    if not output and code == _USAGE:
        fix = (
            "where it is the data: --map, --zone and --symbol say what it does not say itself; or let "
            "`ntp data convert` write another file of it"
        )
        raise ConfigError([Problem("ntp plugin test", 0, 0, "what it says stands above", fix)])
    if not output and code == _FOUND:
        return None, {}
    if code not in (_PASSED, _USAGE, _FOUND):
        said = f"`ntp plugin test` ended with {code}: what it says stands above"
        raise ActionError(said, reason="RetestRefused")
    ours = tested.read(output)
    if ours.run.refused:
        raise ActionError(
            f"'{ours.plugin.name}' could not be run: {ours.run.refused}", reason="RetestRefused"
        )
    return ours, json.loads(output)


def _child(words: Sequence[str]) -> tuple[int, bytes]:
    from ntp.confine import kernel

    here = os.getpid()

    def tie() -> None:
        # Whoever kills us kills it: nobody else knows of it.
        if not kernel.live_with(here):
            os._exit(1)

    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "ntp.cli", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Ctrl-C is for us: it is told once, and may take its time to put away what it made.
        start_new_session=True,
        preexec_fn=tie,  # noqa: PLW1509 - one system call, and no thread of ours is there yet
    )
    try:
        output, _ = child.communicate()
    except BaseException:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return child.returncode, output
