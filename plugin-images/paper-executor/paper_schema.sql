-- One strategy's ledger. Amounts are decimal text, times are microseconds since 1970 in UTC.
-- Tables with a key of their own have no hidden row number: it would tell in what order rows were last
-- replaced, and a ledger may not differ by that.

CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What was put in, and (negative) taken out.
CREATE TABLE capital (number INTEGER PRIMARY KEY, amount TEXT NOT NULL) STRICT;

-- An outcome that begins with 'ordered' has an order: 'ordered what closes; refused: …' a smaller one.
CREATE TABLE signals (
  number  INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  time    INTEGER NOT NULL,
  symbol  TEXT NOT NULL,
  type    TEXT NOT NULL,
  size    REAL,
  price   REAL NOT NULL,
  outcome TEXT NOT NULL              -- 'ordered', or why not
) STRICT;

-- One for each signal that was ordered; and what leaves a position without a signal, where it took more
-- than the tick that triggered it.
CREATE TABLE orders (
  number      INTEGER PRIMARY KEY,
  signal_id   TEXT NOT NULL REFERENCES signals (id),
  reason      TEXT NOT NULL,         -- 'signal', 'stop_loss', 'take_profit', 'flatten'
  symbol      TEXT NOT NULL,
  side        TEXT NOT NULL,
  quantity    TEXT NOT NULL,
  layers      INTEGER NOT NULL,
  time        INTEGER NOT NULL,
  due         INTEGER,               -- not filled before; null: the next tick will do
  stop_loss   TEXT,
  take_profit TEXT,
  filled      TEXT NOT NULL,         -- of the quantity
  parts       INTEGER NOT NULL,      -- fills
  place       INTEGER NOT NULL,      -- waiting orders of a symbol are filled in this order, then by number
  state       TEXT NOT NULL CHECK (state IN ('waiting', 'filled', 'cancelled')),
  why         TEXT NOT NULL,         -- it is less than what was asked for
  UNIQUE (signal_id, reason)
) STRICT;
CREATE INDEX waiting_orders ON orders (symbol) WHERE state = 'waiting';

CREATE TABLE fills (
  number    INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  signal_id TEXT NOT NULL REFERENCES signals (id),
  symbol    TEXT NOT NULL,
  side      TEXT NOT NULL,
  quantity  TEXT NOT NULL,
  price     TEXT NOT NULL,
  fee       TEXT NOT NULL,
  realised  TEXT NOT NULL,
  reason    TEXT NOT NULL,
  time      INTEGER NOT NULL,
  tick_id   TEXT NOT NULL
) STRICT;
CREATE INDEX fills_of_signal ON fills (signal_id);

CREATE TABLE positions (
  symbol      TEXT PRIMARY KEY,
  quantity    TEXT NOT NULL,
  cost        TEXT NOT NULL,
  layers      INTEGER NOT NULL,
  signal_id   TEXT NOT NULL,
  stop_loss   TEXT,
  take_profit TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
  only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
  cash         TEXT NOT NULL,
  realised     TEXT NOT NULL,
  fees         TEXT NOT NULL,
  peak         TEXT NOT NULL,
  max_drawdown TEXT NOT NULL,
  sample_s     INTEGER NOT NULL,     -- doubles whenever the curve is thinned out
  sampled      INTEGER NOT NULL,     -- bucket of the newest point
  forgotten_to INTEGER NOT NULL,     -- signals of ticks up to here count as known
  day_ends     INTEGER NOT NULL,     -- the day whose loss is limited
  day_equity   TEXT NOT NULL         -- when it began
) STRICT;

-- How far each symbol's ticks have come, and the ids that they have at that very time.
CREATE TABLE seen (
  symbol TEXT PRIMARY KEY,
  time   INTEGER NOT NULL,
  ids    TEXT NOT NULL,
  price  REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE equity (
  number INTEGER PRIMARY KEY,
  time   INTEGER NOT NULL,
  equity TEXT NOT NULL,
  cash   TEXT NOT NULL,
  fill   INTEGER NOT NULL            -- 1: a point at a fill; these are never thinned out
) STRICT;

-- In which order ticks and signals were taken (ntp.engine.trail). A piece is the steps from `first` on, up to
-- those of the next piece; what the ledger held when it began is in `state`, and the rules that hold in `rules`.
CREATE TABLE pieces (
  number INTEGER PRIMARY KEY,
  first  INTEGER NOT NULL,
  rules  TEXT NOT NULL,
  state  TEXT NOT NULL
) STRICT;
CREATE TABLE trail (number INTEGER PRIMARY KEY, steps BLOB NOT NULL) STRICT;

-- When the strategy learned of a fill: after it had analysed this tick of the fill's symbol.
CREATE TABLE noticed (
  fill        TEXT PRIMARY KEY,
  source      TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  symbol      TEXT NOT NULL,
  seq         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
