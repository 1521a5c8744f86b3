-- The merchant's reconciliation (对账) with the payment institution's bills. Amounts are fen; instants are
-- microseconds of Unix time, UTC; days are accounting days, counted from 1970-01-01. Bills and their lines
-- are kept for ever, also those that were replaced; what was said of a difference stands.

-- When a trade became SETTLED here; nothing for those that did before this was kept.
ALTER TABLE merchant_trade ADD COLUMN settled INTEGER CHECK (settled IS NULL OR state = 'SETTLED');

CREATE INDEX merchant_trade_settled ON merchant_trade (settled) WHERE settled IS NOT NULL;

-- A bill counts from accepted on, until another one replaces it. lines is how many of it are here.
CREATE TABLE merchant_bill (
  no          INTEGER PRIMARY KEY,
  day         INTEGER NOT NULL,
  digest      BLOB    NOT NULL CHECK (length(digest) = 32),
  trades      INTEGER NOT NULL CHECK (trades >= 0),
  trades_fen  INTEGER NOT NULL CHECK (trades_fen >= 0),
  refunds     INTEGER NOT NULL CHECK (refunds >= 0),
  refunds_fen INTEGER NOT NULL CHECK (refunds_fen >= 0),
  lines       INTEGER NOT NULL CHECK (lines BETWEEN 0 AND trades + refunds),
  begun       INTEGER NOT NULL,
  accepted    INTEGER,
  replaced_by INTEGER REFERENCES merchant_bill CHECK (replaced_by <> no),
  compared    INTEGER,
  CHECK (accepted IS NULL OR lines = trades + refunds),
  CHECK (accepted IS NOT NULL OR (replaced_by IS NULL AND compared IS NULL))
) STRICT;

CREATE UNIQUE INDEX merchant_bill_counts ON merchant_bill (day) WHERE accepted IS NOT NULL AND replaced_by IS NULL;
CREATE UNIQUE INDEX merchant_bill_coming ON merchant_bill (day, digest) WHERE accepted IS NULL;
CREATE INDEX merchant_bill_replaced ON merchant_bill (replaced_by) WHERE replaced_by IS NOT NULL;

CREATE TABLE merchant_bill_line (
  bill         INTEGER NOT NULL REFERENCES merchant_bill,
  line         INTEGER NOT NULL CHECK (line > 0),
  kind         TEXT    NOT NULL CHECK (kind IN ('交易', '退款')),
  out_trade_no TEXT    NOT NULL CHECK (out_trade_no <> ''),
  trade_no     TEXT    NOT NULL,
  request_no   TEXT    NOT NULL,
  at           INTEGER NOT NULL,
  amount       INTEGER NOT NULL CHECK (amount > 0),
  PRIMARY KEY (bill, line)
) STRICT, WITHOUT ROWID;

CREATE INDEX merchant_bill_line_number ON merchant_bill_line (out_trade_no);

-- place tells two differences apart that are alike: the second of three lines for one trade is not the third.
-- state is kept by the trigger of merchant_difference_step.
CREATE TABLE merchant_difference (
  no           INTEGER PRIMARY KEY,
  kind         TEXT    NOT NULL CHECK (kind <> ''),
  out_trade_no TEXT    NOT NULL CHECK (out_trade_no <> ''),
  request_no   TEXT    NOT NULL,
  day          INTEGER NOT NULL,
  place        INTEGER NOT NULL CHECK (place >= 0),
  own_fen      INTEGER NOT NULL CHECK (own_fen >= 0),
  billed_fen   INTEGER NOT NULL CHECK (billed_fen >= 0),
  state        TEXT    NOT NULL CHECK (state IN ('', 'OPEN', 'CARRIED', 'RESOLVED')),
  UNIQUE (out_trade_no, kind, request_no, day, place, own_fen, billed_fen)
) STRICT;

CREATE INDEX merchant_difference_unresolved ON merchant_difference (no) WHERE state <> 'RESOLVED';

-- person is who resolved it; empty where that came by itself.
CREATE TABLE merchant_difference_step (
  difference INTEGER NOT NULL REFERENCES merchant_difference,
  step       INTEGER NOT NULL CHECK (step > 0),
  at         INTEGER NOT NULL,
  state      TEXT    NOT NULL CHECK (state IN ('OPEN', 'CARRIED', 'RESOLVED')),
  person     TEXT    NOT NULL CHECK (person = '' OR state = 'RESOLVED'),
  reason     TEXT    NOT NULL CHECK (reason <> ''),
  PRIMARY KEY (difference, step)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER merchant_difference_moves AFTER INSERT ON merchant_difference_step BEGIN
  UPDATE merchant_difference SET state = NEW.state WHERE no = NEW.difference;
END;

CREATE TRIGGER merchant_difference_in_order BEFORE INSERT ON merchant_difference_step
WHEN NEW.step <> 1 + (SELECT count(*) FROM merchant_difference_step WHERE difference = NEW.difference)
  OR NEW.state = (SELECT state FROM merchant_difference WHERE no = NEW.difference)
BEGIN SELECT RAISE(ABORT, 'the steps of a difference follow one another'); END;

CREATE TRIGGER merchant_difference_stands BEFORE UPDATE OF
  no, kind, out_trade_no, request_no, day, place, own_fen, billed_fen ON merchant_difference
BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_difference_stays BEFORE DELETE ON merchant_difference BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_difference_step_stands BEFORE UPDATE ON merchant_difference_step BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_difference_step_stays BEFORE DELETE ON merchant_difference_step BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_bill_stands BEFORE UPDATE OF no, day, digest, trades, trades_fen, refunds, refunds_fen, begun ON merchant_bill
BEGIN SELECT RAISE(ABORT, 'the content of a bill stands'); END;

CREATE TRIGGER merchant_bill_accepted_once BEFORE UPDATE OF lines, accepted ON merchant_bill
WHEN OLD.accepted IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a bill that was accepted stands'); END;

CREATE TRIGGER merchant_bill_replaced_once BEFORE UPDATE OF replaced_by ON merchant_bill
WHEN OLD.replaced_by IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a bill is replaced once'); END;

CREATE TRIGGER merchant_bill_stays BEFORE DELETE ON merchant_bill BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_bill_line_stands BEFORE UPDATE ON merchant_bill_line BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER merchant_bill_line_stays BEFORE DELETE ON merchant_bill_line BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TRIGGER merchant_bill_line_in_time BEFORE INSERT ON merchant_bill_line
WHEN (SELECT accepted FROM merchant_bill WHERE no = NEW.bill) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a bill that was accepted takes no lines'); END;
