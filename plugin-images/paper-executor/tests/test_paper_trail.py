"""The order that a ledger keeps of its ticks: what makes room, and what it takes of a strategy's word."""

import sqlite3
from pathlib import Path

import pytest
from paper_trail import PaperTrail

from ntp.contract.messages import Noticed
from ntp.engine.claims import Key

SCHEMA = Path(__file__).parents[1] / "paper_schema.sql"


@pytest.fixture
def sql():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA.read_text())
    yield connection
    connection.close()


@pytest.mark.parametrize("most", [500, 30_000])
def test_steps_belong_to_the_newest_piece_however_much_made_room(sql, most):
    trail = PaperTrail(sql, most, dict)
    for number in range(40):
        trail.turn()
        for seq in range(600):  # two feeds that take turns: a run for each tick
            trail.tick((Key("src", f"life{number}", "AB"[seq % 2]), seq // 2 + 1))
        trail.begin()
        trail.end()
        (steps,) = sql.execute(
            "SELECT count(*) FROM trail WHERE number >= (SELECT max(first) FROM pieces)"
        ).fetchone()
        assert steps == 1
    (pieces,) = sql.execute("SELECT count(*) FROM pieces").fetchone()
    assert pieces < 40, "the oldest made room"


def test_a_strategy_is_believed_of_fills_that_there_are(sql):
    sql.execute("PRAGMA foreign_keys = OFF")
    columns = [row[1:3] for row in sql.execute("PRAGMA table_info(fills)")]
    row = [1 if kind == "INTEGER" else "made" for _, kind in columns]
    sql.execute(f"INSERT INTO fills VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - question marks
    trail = PaperTrail(sql, 100_000, dict)
    trail.notice(Noticed(fill, "src", "life", "BTC", 7) for fill in ("made", "invented"))
    assert list(sql.execute("SELECT fill, seq FROM noticed")) == [("made", 7)]
