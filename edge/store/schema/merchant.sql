-- The records, taps and trades of the merchant. Amounts are fen; instants are microseconds of Unix
-- time, UTC. What a terminal sent is never changed nor lost, and what was sent to the payment
-- institution is sent again as it was.

CREATE TABLE merchant_record (
  no       INTEGER PRIMARY KEY,
  id       BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
  bytes    BLOB    NOT NULL,
  received INTEGER NOT NULL
) STRICT;

-- A record is aside or a tap, never both.
CREATE TABLE merchant_aside (
  record INTEGER PRIMARY KEY REFERENCES merchant_record,
  reason TEXT    NOT NULL CHECK (reason <> '')
) STRICT;

-- open is kept by the triggers of merchant_leg: 1 is a metro tap that no trade holds, 2 one that is left so, for no
-- default fare is known for it.
CREATE TABLE merchant_tap (
  record    INTEGER PRIMARY KEY REFERENCES merchant_record,
  kind      TEXT    NOT NULL CHECK (kind IN ('SINGLE', 'ONLINE', 'ENTRY', 'EXIT')),
  at        INTEGER NOT NULL,
  user_id   TEXT    NOT NULL CHECK (user_id <> ''),
  card_type TEXT    NOT NULL,
  card_no   TEXT    NOT NULL,
  pos_id    TEXT    NOT NULL,
  line      TEXT    NOT NULL,
  station   TEXT    NOT NULL,
  identity  BLOB    NOT NULL CHECK (length(identity) = 4),
  limit_fen INTEGER NOT NULL CHECK (limit_fen >= 0),
  open      INTEGER NOT NULL CHECK (open IN (0, 1, 2)),
  CHECK (kind IN ('ENTRY', 'EXIT') OR open = 0)
) STRICT;

CREATE INDEX merchant_tap_window ON merchant_tap (user_id, card_type, card_no, at);
CREATE INDEX merchant_tap_open ON merchant_tap (record) WHERE open > 0;
CREATE INDEX merchant_tap_due ON merchant_tap (at) WHERE open = 1;

-- What a rider said of the end of a trip that no gate has seen.
CREATE TABLE merchant_claim (
  tap     INTEGER PRIMARY KEY REFERENCES merchant_tap,
  station TEXT    NOT NULL CHECK (station <> ''),
  line    TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  made    INTEGER NOT NULL
) STRICT;

-- start and finish are the taps of the trip, of which the trade may hold one only; claimed says that the end
-- that is missing is the one of merchant_claim. lines are the reason, and add up to the amount; fare_table is
-- the digest of the table that they are from.
CREATE TABLE merchant_trade (
  no           INTEGER PRIMARY KEY,
  out_trade_no TEXT    NOT NULL UNIQUE CHECK (length(out_trade_no) BETWEEN 1 AND 64 AND out_trade_no NOT GLOB '*[^0-9A-Za-z_]*'),
  order_time   INTEGER NOT NULL,
  subject      TEXT    NOT NULL,
  amount       INTEGER NOT NULL CHECK (amount >= 0),
  biz_context  TEXT    NOT NULL,
  seller_login TEXT    NOT NULL,
  start        INTEGER REFERENCES merchant_tap,
  finish       INTEGER REFERENCES merchant_tap,
  companion    INTEGER NOT NULL CHECK (companion IN (0, 1)),
  claimed      INTEGER NOT NULL CHECK (claimed IN (0, 1)),
  lines        TEXT    NOT NULL CHECK (json_valid(lines)),
  fare_table   TEXT    NOT NULL,
  state        TEXT    NOT NULL CHECK (state IN ('WAITING', 'SENT', 'SETTLED', 'FAILED', 'ASIDE', 'FREE')),
  attempts     INTEGER NOT NULL CHECK (attempts >= 0),
  next_try     INTEGER NOT NULL,
  trade_no     TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  CHECK (start IS NOT NULL OR finish IS NOT NULL),
  CHECK (state = 'FAILED' OR (state IN ('ASIDE', 'FREE')) = (amount = 0)),
  CHECK (state = 'FAILED' OR (state IN ('WAITING', 'ASIDE', 'FREE')) = (attempts = 0)), -- a trade may fail unsent: its gate stayed shut
  CHECK (state = 'SETTLED' OR trade_no = '')
) STRICT;

CREATE INDEX merchant_trade_due ON merchant_trade (next_try, out_trade_no) WHERE state IN ('WAITING', 'SENT');
-- Nearly all trades are settled: they are found by their number alone.
CREATE INDEX merchant_trade_state ON merchant_trade (state, out_trade_no) WHERE state <> 'SETTLED';

-- The taps of a trade, in the order of the ride. A tap pays once.
CREATE TABLE merchant_leg (
  trade INTEGER NOT NULL REFERENCES merchant_trade,
  place INTEGER NOT NULL CHECK (place >= 0),
  tap   INTEGER NOT NULL UNIQUE REFERENCES merchant_tap,
  PRIMARY KEY (trade, place)
) STRICT, WITHOUT ROWID;

-- What trades took too much. It is named once; whoever pays it back does so under its number.
CREATE TABLE merchant_refund (
  no     INTEGER PRIMARY KEY,
  number TEXT    NOT NULL UNIQUE CHECK (number <> ''),
  trade  INTEGER NOT NULL REFERENCES merchant_trade,
  amount INTEGER NOT NULL CHECK (amount > 0),
  reason TEXT    NOT NULL,
  named  INTEGER NOT NULL
) STRICT;

CREATE INDEX merchant_refund_trade ON merchant_refund (trade);

-- What each fare day of a rider counts towards the monthly sums. It follows from taps and fare tables.
CREATE TABLE merchant_sum (
  user_id   TEXT    NOT NULL,
  card_type TEXT    NOT NULL,
  card_no   TEXT    NOT NULL,
  day       INTEGER NOT NULL,
  cap       TEXT    NOT NULL,
  amount    INTEGER NOT NULL CHECK (amount >= 0),
  PRIMARY KEY (user_id, card_type, card_no, day, cap)
) STRICT, WITHOUT ROWID;

-- How far the record chain of each terminal was followed. merchant_place is its file: the records that name
-- it, in the order in which they came; chained are those that took part in the chain.
CREATE TABLE merchant_chain (
  no         INTEGER PRIMARY KEY,
  pos_id     TEXT    NOT NULL UNIQUE,
  filed      INTEGER NOT NULL CHECK (filed >= 0),
  followed   INTEGER NOT NULL CHECK (followed BETWEEN 0 AND filed),
  unverified INTEGER NOT NULL CHECK (unverified BETWEEN 0 AND followed),
  key        BLOB    NOT NULL,
  state      BLOB    NOT NULL,
  fault      TEXT    NOT NULL
) STRICT;

CREATE TABLE merchant_place (
  chain     INTEGER NOT NULL REFERENCES merchant_chain,
  place     INTEGER NOT NULL CHECK (place > 0),
  record    INTEGER NOT NULL REFERENCES merchant_record,
  seq       INTEGER NOT NULL CHECK (seq > 0),
  statement BLOB    NOT NULL CHECK (length(statement) = 32),
  chained   INTEGER NOT NULL CHECK (chained IN (0, 1)),
  PRIMARY KEY (chain, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX merchant_place_seq ON merchant_place (chain, seq, place) WHERE chained = 1;
CREATE INDEX merchant_place_statement ON merchant_place (chain, statement) WHERE chained = 1;

-- The last record that was filed, or had no link.
CREATE TABLE merchant_filed (
  no     INTEGER PRIMARY KEY CHECK (no = 1),
  record INTEGER NOT NULL REFERENCES merchant_record
) STRICT;

CREATE TRIGGER merchant_leg_closes AFTER INSERT ON merchant_leg BEGIN
  UPDATE merchant_tap SET open = 0 WHERE record = NEW.tap;
END;

CREATE TRIGGER merchant_leg_opens AFTER DELETE ON merchant_leg BEGIN
  UPDATE merchant_tap SET open = (kind IN ('ENTRY', 'EXIT')) WHERE record = OLD.tap;
END;

CREATE TRIGGER merchant_tap_not_aside BEFORE INSERT ON merchant_tap
WHEN EXISTS (SELECT 1 FROM merchant_aside WHERE record = NEW.record)
BEGIN SELECT RAISE(ABORT, 'a record that stands aside is no tap'); END;

CREATE TRIGGER merchant_aside_not_tap BEFORE INSERT ON merchant_aside
WHEN EXISTS (SELECT 1 FROM merchant_tap WHERE record = NEW.record)
BEGIN SELECT RAISE(ABORT, 'a tap does not stand aside'); END;

CREATE TRIGGER merchant_trade_content BEFORE UPDATE OF
  no, out_trade_no, order_time, subject, amount, biz_context, seller_login, start, finish, companion, claimed, lines, fare_table ON merchant_trade
BEGIN SELECT RAISE(ABORT, 'the content of a trade stands'); END;

CREATE TRIGGER merchant_trade_final BEFORE UPDATE ON merchant_trade
WHEN OLD.state IN ('SETTLED', 'FAILED')
BEGIN SELECT RAISE(ABORT, 'a final state stands'); END;

CREATE TRIGGER merchant_trade_aside BEFORE UPDATE ON merchant_trade
WHEN OLD.state = 'ASIDE'
BEGIN SELECT RAISE(ABORT, 'a trip without a fare is not sent'); END;

CREATE TRIGGER merchant_trade_free BEFORE UPDATE ON merchant_trade
WHEN OLD.state = 'FREE' AND NEW.state <> 'FAILED'
BEGIN SELECT RAISE(ABORT, 'what costs nothing is not sent'); END;

CREATE TRIGGER merchant_trade_attempts BEFORE UPDATE ON merchant_trade
WHEN NEW.attempts < OLD.attempts
BEGIN SELECT RAISE(ABORT, 'what was sent was sent'); END;

CREATE TRIGGER merchant_trade_stays BEFORE DELETE ON merchant_trade
WHEN OLD.attempts > 0
BEGIN SELECT RAISE(ABORT, 'a trade that was sent stays'); END;

CREATE TRIGGER merchant_leg_of_unsent BEFORE INSERT ON merchant_leg
WHEN (SELECT attempts FROM merchant_trade WHERE no = NEW.trade) > 0
BEGIN SELECT RAISE(ABORT, 'a trade that was sent keeps its taps'); END;

CREATE TRIGGER merchant_leg_stays BEFORE DELETE ON merchant_leg
WHEN (SELECT attempts FROM merchant_trade WHERE no = OLD.trade) > 0
BEGIN SELECT RAISE(ABORT, 'a trade that was sent keeps its taps'); END;

CREATE TRIGGER merchant_leg_stands BEFORE UPDATE ON merchant_leg
BEGIN SELECT RAISE(ABORT, 'a leg stands'); END;

CREATE TRIGGER merchant_tap_stands BEFORE UPDATE OF
  record, kind, at, user_id, card_type, card_no, pos_id, line, station, identity, limit_fen ON merchant_tap
BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_tap_stays BEFORE DELETE ON merchant_tap BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_record_stands BEFORE UPDATE ON merchant_record BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_record_stays BEFORE DELETE ON merchant_record BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_aside_stands BEFORE UPDATE ON merchant_aside BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_refund_of_sent BEFORE INSERT ON merchant_refund
WHEN (SELECT attempts FROM merchant_trade WHERE no = NEW.trade) = 0
BEGIN SELECT RAISE(ABORT, 'what was never sent is not refunded'); END;

CREATE TRIGGER merchant_refund_within BEFORE INSERT ON merchant_refund
WHEN NEW.amount + (SELECT ifnull(sum(amount), 0) FROM merchant_refund WHERE trade = NEW.trade) > (SELECT amount FROM merchant_trade WHERE no = NEW.trade)
BEGIN SELECT RAISE(ABORT, 'no more is refunded than was taken'); END;

CREATE TRIGGER merchant_refund_stands BEFORE UPDATE ON merchant_refund BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_refund_stays BEFORE DELETE ON merchant_refund BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_claim_stands BEFORE UPDATE ON merchant_claim BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_claim_stays BEFORE DELETE ON merchant_claim BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_place_stays BEFORE DELETE ON merchant_place BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_place_stands BEFORE UPDATE OF chain, place, record, seq, statement ON merchant_place
BEGIN SELECT RAISE(ABORT, 'append only'); END;
