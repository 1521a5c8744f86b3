-- The books of the payment institution. Amounts are fen; instants are microseconds of Unix time, UTC.
-- What has happened is never changed: only the balance of an account moves, and only to where its
-- postings lead.

CREATE TABLE account (
  no        INTEGER PRIMARY KEY,
  id        TEXT    NOT NULL UNIQUE CHECK (id <> ''),
  balance   INTEGER NOT NULL,
  floor     INTEGER NOT NULL,
  unbounded INTEGER NOT NULL CHECK (unbounded IN (0, 1)),
  postings  INTEGER NOT NULL,
  last      INTEGER, -- its newest posting
  CHECK (unbounded OR balance >= floor)
) STRICT;

-- A transfer says what its two postings are: the number of each in its account, and the balance after
-- it. The trigger transfer_posts files them, so that none is without the other.
CREATE TABLE transfer (
  no             INTEGER PRIMARY KEY,
  id             TEXT    NOT NULL UNIQUE CHECK (id <> ''),
  debit          INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
  credit         INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
  amount         INTEGER NOT NULL CHECK (amount > 0),
  code           INTEGER NOT NULL CHECK (code BETWEEN 1 AND 65535),
  at             INTEGER NOT NULL,
  reference      TEXT    NOT NULL,
  debit_number   INTEGER NOT NULL,
  debit_balance  INTEGER NOT NULL,
  credit_number  INTEGER NOT NULL,
  credit_balance INTEGER NOT NULL,
  CHECK (debit <> credit)
) STRICT;

-- The postings of transfer n are 2n-1, its debit, and 2n, its credit: there is no room for a third. An
-- account's history runs from its last posting back through previous, so that writing needs no index.
CREATE TABLE posting (
  no       INTEGER PRIMARY KEY,
  transfer INTEGER GENERATED ALWAYS AS ((no + 1) / 2) VIRTUAL,
  account  INTEGER NOT NULL,
  number   INTEGER NOT NULL, -- in its account, from 1
  amount   INTEGER NOT NULL, -- negative on the debit side
  balance  INTEGER NOT NULL, -- after it
  previous INTEGER           -- posting of the same account
) STRICT;

-- A trade that was settled, whole. records is each record with four bytes of its size before it,
-- most significant first.
CREATE TABLE trade (
  no           INTEGER PRIMARY KEY,
  app          TEXT    NOT NULL,
  out_trade_no TEXT    NOT NULL CHECK (out_trade_no <> ''),
  trade_no     TEXT    NOT NULL UNIQUE CHECK (length(trade_no) = 28 AND trade_no NOT GLOB '*[^0-9]*'),
  digest       BLOB    NOT NULL CHECK (length(digest) = 32),
  user_id      TEXT    NOT NULL,
  order_time   INTEGER NOT NULL,
  subject      TEXT    NOT NULL,
  amount       INTEGER NOT NULL CHECK (amount > 0),
  biz_context  TEXT    NOT NULL,
  card_type    TEXT    NOT NULL,
  seller_login TEXT    NOT NULL,
  records      BLOB    NOT NULL,
  settled_at   INTEGER NOT NULL,
  payer        TEXT    NOT NULL CHECK (payer IN ('USER', 'GUARANTEE')),
  UNIQUE (app, out_trade_no)
) STRICT;

-- A code pays once: the key is the code alone.
CREATE TABLE used_code (
  code  BLOB    NOT NULL PRIMARY KEY CHECK (length(code) = 32),
  trade INTEGER NOT NULL REFERENCES trade,
  place INTEGER NOT NULL CHECK (place >= 0),
  UNIQUE (trade, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE top_up (
  id      TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
  account INTEGER NOT NULL REFERENCES account,
  amount  INTEGER NOT NULL CHECK (amount > 0),
  at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every refusal rolls the whole transaction back. A mere abort would make SQLite keep a journal for
-- each statement, and nobody goes on after one.

CREATE TRIGGER transfer_posts AFTER INSERT ON transfer BEGIN
  INSERT INTO posting (no, account, number, amount, balance, previous)
    VALUES (2 * NEW.no - 1, NEW.debit, NEW.debit_number, -NEW.amount, NEW.debit_balance,
      (SELECT last FROM account WHERE no = NEW.debit));
  UPDATE account SET balance = NEW.debit_balance, postings = NEW.debit_number, last = 2 * NEW.no - 1
    WHERE no = NEW.debit;
  INSERT INTO posting (no, account, number, amount, balance, previous)
    VALUES (2 * NEW.no, NEW.credit, NEW.credit_number, NEW.amount, NEW.credit_balance,
      (SELECT last FROM account WHERE no = NEW.credit));
  UPDATE account SET balance = NEW.credit_balance, postings = NEW.credit_number, last = 2 * NEW.no
    WHERE no = NEW.credit;
END;

-- What was decided on a state that is no longer, or wrongly, fails here: the number and the balance have
-- to follow those of the account as it is.
CREATE TRIGGER posting_follows BEFORE INSERT ON posting
WHEN NOT EXISTS (SELECT 1 FROM transfer AS t, account AS a WHERE t.no = (NEW.no + 1) / 2 AND a.no = NEW.account
  AND CASE NEW.no % 2
    WHEN 1 THEN NEW.account = t.debit AND NEW.amount = -t.amount AND NEW.number = t.debit_number AND NEW.balance = t.debit_balance
    ELSE NEW.account = t.credit AND NEW.amount = t.amount AND NEW.number = t.credit_number AND NEW.balance = t.credit_balance
  END
  AND NEW.number = a.postings + 1 AND NEW.balance = a.balance + NEW.amount AND NEW.previous IS a.last)
BEGIN SELECT RAISE(ROLLBACK, 'a posting is one of its transfer and follows the last one of its account'); END;

CREATE TRIGGER account_opens_empty BEFORE INSERT ON account
WHEN NEW.balance <> 0 OR NEW.postings <> 0 OR NEW.last IS NOT NULL
BEGIN SELECT RAISE(ROLLBACK, 'an account opens with nothing on it'); END;

CREATE TRIGGER account_follows BEFORE UPDATE OF balance, postings, last ON account
WHEN NOT EXISTS (SELECT 1 FROM posting WHERE no = NEW.last AND account = NEW.no
  AND number = NEW.postings AND balance = NEW.balance AND previous IS OLD.last)
BEGIN SELECT RAISE(ROLLBACK, 'a balance is where the next posting leads'); END;

CREATE TRIGGER account_keeps_terms BEFORE UPDATE OF no, id, floor, unbounded ON account
BEGIN SELECT RAISE(ROLLBACK, 'the terms of an account stay'); END;

CREATE TRIGGER account_stays   BEFORE DELETE ON account   BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER transfer_stands BEFORE UPDATE ON transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER transfer_stays  BEFORE DELETE ON transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER posting_stands  BEFORE UPDATE ON posting   BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER posting_stays   BEFORE DELETE ON posting   BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER trade_stands    BEFORE UPDATE ON trade     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER trade_stays     BEFORE DELETE ON trade     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER used_code_stands BEFORE UPDATE ON used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER used_code_stays BEFORE DELETE ON used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER top_up_stands   BEFORE UPDATE ON top_up    BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER top_up_stays    BEFORE DELETE ON top_up    BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
