"""A copy of a ledger that is being written is the ledger at one moment, though nobody else can open it."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.still_copy import still_copy
from orchestrator.errors import ActionError

WRITER = """
import random, sqlite3, sys, time
sql = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=20"):
    sql.execute(f"PRAGMA {pragma}")
sql.execute("CREATE TABLE pairs (number INTEGER PRIMARY KEY, one INTEGER, other INTEGER, filler TEXT)")
print("begun", flush=True)
for number in range(1, 100_000):
    sql.execute("BEGIN IMMEDIATE")
    sql.execute("INSERT INTO pairs VALUES (?, ?, 0, ?)", (number, number, "x" * 3000))
    sql.execute("UPDATE pairs SET other = ? WHERE number = ?", (number, number))
    sql.execute("COMMIT")
    if not number % 10:
        time.sleep(random.random() / 50)
"""


@pytest.fixture
def writer(tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "busy.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            yield tmp_path / "busy.sqlite"
        finally:
            process.kill()


def test_every_copy_is_whole_and_none_is_older_than_the_one_before(writer, tmp_path):
    seen = 0
    for number in range(25):
        to = tmp_path / f"copy-{number}" / writer.name
        to.parent.mkdir()
        assert still_copy(writer, to.parent)
        with closing(sqlite3.connect(to)) as sql:
            assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            newest, rows = sql.execute(
                "SELECT coalesce(max(number), 0), count(*) FROM pairs"
            ).fetchone()
            assert sql.execute("SELECT count(*) FROM pairs WHERE one <> other").fetchone() == (0,)
        assert newest == rows >= seen
        seen = newest
    assert seen > 0


def test_what_is_not_there_is_not_copied(tmp_path):
    assert not still_copy(tmp_path / "none.sqlite", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_never_rests_is_told(tmp_path):
    file = tmp_path / "busy.sqlite"
    with file.open("wb") as out:
        out.truncate(64 << 20)  # copying it takes longer than a write does
    done, folder = threading.Event(), tmp_path / "copy"
    folder.mkdir()

    def write() -> None:
        while not done.is_set():
            with file.open("r+b") as out:
                out.write(b"x")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            with pytest.raises(ActionError, match=r"the ledger busy.sqlite was written without a"):
                still_copy(file, folder, within_s=0.5)
        finally:
            done.set()
        writing.result()
