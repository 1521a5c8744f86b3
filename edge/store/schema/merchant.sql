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

-- open is kept by the triggers of merchant_leg: a metro tap that no trade holds.
CREATE TABLE merchant_tap (
  record    INTEGER PRIMARY KEY REFERENCES merchant_record,
  kind      TEXT    NOT NULL CHECK (kind IN ('SINGLE', 'ENTRY', 'EXIT')),
  at        INTEGER NOT NULL,
  user_id   TEXT    NOT NULL CHECK (user_id <> ''),
  card_type TEXT    NOT NULL,
  card_no   TEXT    NOT NULL,
  pos_id    TEXT    NOT NULL,
  line      TEXT    NOT NULL,
  station   TEXT    NOT NULL,
  open      INTEGER NOT NULL CHECK (open IN (0, 1)),
  CHECK (kind <> 'SINGLE' OR open = 0)
) STRICT;

CREATE INDEX merchant_tap_window ON merchant_tap (user_id, card_type, card_no, at) WHERE kind <> 'SINGLE';
CREATE INDEX merchant_tap_open ON merchant_tap (record) WHERE open = 1;

CREATE TABLE merchant_trade (
  no           INTEGER PRIMARY KEY,
  out_trade_no TEXT    NOT NULL UNIQUE CHECK (length(out_trade_no) BETWEEN 1 AND 64 AND out_trade_no NOT GLOB '*[^0-9A-Za-z_]*'),
  order_time   INTEGER NOT NULL,
  subject      TEXT    NOT NULL,
  amount       INTEGER NOT NULL CHECK (amount >= 0),
  biz_context  TEXT    NOT NULL,
  seller_login TEXT    NOT NULL,
  fare_reason  TEXT    NOT NULL,
  state        TEXT    NOT NULL CHECK (state IN ('WAITING', 'SENT', 'SETTLED', 'FAILED', 'ASIDE')),
  attempts     INTEGER NOT NULL CHECK (attempts >= 0),
  next_try     INTEGER NOT NULL,
  trade_no     TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  CHECK ((state = 'ASIDE') = (amount = 0)),
  CHECK (state = 'FAILED' OR (state IN ('WAITING', 'ASIDE')) = (attempts = 0)), -- a trade may fail unsent: its gate stayed shut
  CHECK (state = 'SETTLED' OR trade_no = '')
) STRICT;

CREATE INDEX merchant_trade_due ON merchant_trade (next_try, out_trade_no) WHERE state IN ('WAITING', 'SENT');
CREATE INDEX merchant_trade_state ON merchant_trade (state, out_trade_no);

-- The taps of a trade, in the order of the ride. A tap pays once.
CREATE TABLE merchant_leg (
  trade INTEGER NOT NULL REFERENCES merchant_trade,
  place INTEGER NOT NULL CHECK (place >= 0),
  tap   INTEGER NOT NULL UNIQUE REFERENCES merchant_tap,
  PRIMARY KEY (trade, place)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER merchant_leg_closes AFTER INSERT ON merchant_leg BEGIN
  UPDATE merchant_tap SET open = 0 WHERE record = NEW.tap;
END;

CREATE TRIGGER merchant_leg_opens AFTER DELETE ON merchant_leg BEGIN
  UPDATE merchant_tap SET open = (kind <> 'SINGLE') WHERE record = OLD.tap;
END;

CREATE TRIGGER merchant_tap_not_aside BEFORE INSERT ON merchant_tap
WHEN EXISTS (SELECT 1 FROM merchant_aside WHERE record = NEW.record)
BEGIN SELECT RAISE(ABORT, 'a record that stands aside is no tap'); END;

CREATE TRIGGER merchant_aside_not_tap BEFORE INSERT ON merchant_aside
WHEN EXISTS (SELECT 1 FROM merchant_tap WHERE record = NEW.record)
BEGIN SELECT RAISE(ABORT, 'a tap does not stand aside'); END;

CREATE TRIGGER merchant_trade_content BEFORE UPDATE OF
  no, out_trade_no, order_time, subject, amount, biz_context, seller_login, fare_reason ON merchant_trade
BEGIN SELECT RAISE(ABORT, 'the content of a trade stands'); END;

CREATE TRIGGER merchant_trade_final BEFORE UPDATE ON merchant_trade
WHEN OLD.state IN ('SETTLED', 'FAILED')
BEGIN SELECT RAISE(ABORT, 'a final state stands'); END;

CREATE TRIGGER merchant_trade_aside BEFORE UPDATE ON merchant_trade
WHEN OLD.state = 'ASIDE'
BEGIN SELECT RAISE(ABORT, 'a trip without a fare is not sent'); END;

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
  record, kind, at, user_id, card_type, card_no, pos_id, line, station ON merchant_tap
BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_tap_stays BEFORE DELETE ON merchant_tap BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_record_stands BEFORE UPDATE ON merchant_record BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_record_stays BEFORE DELETE ON merchant_record BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_aside_stands BEFORE UPDATE ON merchant_aside BEGIN SELECT RAISE(ABORT, 'append only'); END;
