"""The tables of a ledger, and how those of an earlier format become them: within the caller's transaction."""

import sqlite3
from pathlib import Path

from paper_rows import micros

from ntp.engine.risk import Day

SCHEMA_VERSION = "3"

_ORDERS_OF_1 = """
INSERT INTO orders
SELECT number, signal_id, 'signal', symbol, side, quantity, layers, time, NULL, stop_loss, take_profit,
  CASE state WHEN 'filled' THEN quantity ELSE '0' END, state = 'filled', 1, state, ''
FROM orders_of_1 ORDER BY number
"""
_ACCOUNT_OF_1 = "INSERT INTO account SELECT *, ?, '0' FROM account_of_1"


def create_tables(sql: sqlite3.Connection, *only: str) -> None:
    """Create all tables with their indexes, or those that are named."""
    statement = ""
    for line in Path(__file__).with_name("paper_schema.sql").read_text().splitlines(keepends=True):
        statement += line
        # Not executescript(), which would commit first: a ledger is made as a whole or not at all.
        if sqlite3.complete_statement(statement):
            if not only or any(f" {name} (" in statement for name in only):
                sql.execute(statement)
            statement = ""


def migrate(sql: sqlite3.Connection) -> None:
    """Bring a ledger of an earlier format to this one; any other is left as it is.

    Format 1 knew neither parts of orders nor days: the day whose loss is limited begins with the next tick.
    Format 2 did not tell in which order ticks were taken: what came before is not replayed.
    """
    found = sql.execute("SELECT value FROM about WHERE key = 'schema'").fetchone()
    if found == ("1",):
        _from_1(sql)
    if found in {("1",), ("2",)}:
        create_tables(sql, "pieces", "trail", "noticed")
        sql.execute("UPDATE about SET value = ? WHERE key = 'schema'", (SCHEMA_VERSION,))


def _from_1(sql: sqlite3.Connection) -> None:
    tables = ("orders", "account")
    for table in tables:
        sql.execute(f"ALTER TABLE {table} RENAME TO {table}_of_1")
    sql.execute("DROP INDEX waiting_orders")
    create_tables(sql, *tables)
    sql.execute(_ORDERS_OF_1)
    sql.execute(_ACCOUNT_OF_1, (micros(Day().ends),))
    for table in tables:
        sql.execute(f"DROP TABLE {table}_of_1")
