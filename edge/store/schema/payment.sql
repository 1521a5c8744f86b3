-- The books of the payment institution. Amounts are fen; instants are microseconds of Unix time, UTC; days
-- are numbers, as 20261126. What has happened is never changed: only the balance of an account moves, and
-- only to where its transfers lead.
--
-- There is one bucket: no table says so.
--
-- Who fears for the speed: SQLite keeps a journal for each statement that could fail half way, and it takes
-- longer than all the rest. It believes this of any function, and of a mere abort. So neither is in what the
-- insertion of a transfer sets off, and every refusal there rolls the whole transaction back: nobody goes on
-- after one.

-- The counts of the books: the numbers that are given out next, up to where notices were taken, and the first
-- accounting day that is open. A number leaves room for the legs of its transfers.
CREATE TABLE book (
  one           INTEGER PRIMARY KEY CHECK (one = 1),
  next_document INTEGER NOT NULL CHECK (next_document BETWEEN 1 AND 36028797018963967),
  next_posted   INTEGER NOT NULL CHECK (next_posted >= 1),
  taken_posted  INTEGER NOT NULL CHECK (taken_posted BETWEEN 0 AND next_posted - 1),
  open_day      INTEGER NOT NULL CHECK (open_day BETWEEN 0 AND 99991231)
) STRICT;

INSERT INTO book VALUES (1, 1, 1, 0, 0);

-- An account is found by its number, which follows from its id (accountNo in payment_accounts.go): one tree
-- to look into, and small keys in it. Without a floor it may fall as far as it likes. last is its newest
-- transfer.
CREATE TABLE account (
  no       INTEGER PRIMARY KEY,
  id       TEXT    NOT NULL UNIQUE CHECK (id <> ''),
  balance  INTEGER NOT NULL CHECK (balance >= floor),
  floor    INTEGER,
  postings INTEGER NOT NULL,
  last     INTEGER
) STRICT;

-- A transfer takes from one account what it gives to another: its two postings cannot but sum to zero. It is
-- a leg of the trade or the document of its number, and numbered 256 times that and the leg. It says which
-- posting of each account it is, from 1. The trigger transfer_posts moves the accounts.
CREATE TABLE transfer (
  no             INTEGER PRIMARY KEY CHECK (no >= 256),
  document       INTEGER GENERATED ALWAYS AS (no / 256) VIRTUAL,
  leg            INTEGER GENERATED ALWAYS AS (no % 256) VIRTUAL,
  debit          INTEGER NOT NULL, -- the number of an account
  debit_posting  INTEGER NOT NULL,
  credit         INTEGER NOT NULL,
  credit_posting INTEGER NOT NULL,
  amount         INTEGER NOT NULL CHECK (amount > 0),
  code           INTEGER NOT NULL CHECK (code BETWEEN 1 AND 65535),
  day            INTEGER NOT NULL CHECK (day BETWEEN 10101 AND 99991231),
  at             INTEGER NOT NULL,
  CHECK (debit <> credit)
) STRICT;

CREATE INDEX transfer_day ON transfer (day);

-- The same for people: each posting with the name of its account.
CREATE VIEW posting AS
  SELECT t.day, t.document, t.leg, a.id AS account, t.debit_posting AS number, -t.amount AS amount, t.code, t.at
    FROM transfer AS t JOIN account AS a ON a.no = t.debit
  UNION ALL SELECT t.day, t.document, t.leg, a.id, t.credit_posting, t.amount, t.code, t.at
    FROM transfer AS t JOIN account AS a ON a.no = t.credit;

-- A number stands for one content, for ever: for the document id, whether that came to be or not.
CREATE TABLE claim (
  no     TEXT    NOT NULL CHECK (no <> ''),
  scope  TEXT    NOT NULL CHECK (scope <> ''),
  digest BLOB    NOT NULL CHECK (length(digest) = 32),
  id     INTEGER NOT NULL CHECK (id >= 1),
  PRIMARY KEY (no, scope)
) STRICT, WITHOUT ROWID;

-- A trade that was settled, whole: content is what its number was claimed for. codes is each code that has
-- paid for it, 32 bytes, in their order.
CREATE TABLE trade (
  id           INTEGER PRIMARY KEY CHECK (id >= 1),
  app          TEXT    NOT NULL,
  out_trade_no TEXT    NOT NULL CHECK (out_trade_no <> ''),
  user_id      TEXT    NOT NULL,
  merchant     TEXT    NOT NULL,
  amount       INTEGER NOT NULL CHECK (amount > 0),
  payer        TEXT    NOT NULL CHECK (payer IN ('USER', 'GUARANTEE')),
  day          INTEGER NOT NULL,
  settled_at   INTEGER NOT NULL,
  codes        BLOB    NOT NULL CHECK (length(codes) > 0 AND length(codes) % 32 = 0),
  content      BLOB    NOT NULL
) STRICT;

-- A code pays once: the key is the code alone.
CREATE TABLE used_code (
  code  BLOB    NOT NULL PRIMARY KEY CHECK (length(code) = 32),
  trade INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What moved money beside trades, or was said about it.
CREATE TABLE document (
  id     INTEGER PRIMARY KEY CHECK (id >= 1),
  key    TEXT    NOT NULL UNIQUE CHECK (key <> ''),
  about  INTEGER, -- a trade
  amount INTEGER NOT NULL CHECK (amount >= 0),
  at     INTEGER NOT NULL,
  body   BLOB    NOT NULL
) STRICT;

CREATE INDEX document_about ON document (about) WHERE about IS NOT NULL;

CREATE TABLE rider (
  user_id    TEXT    NOT NULL PRIMARY KEY,
  owes_since INTEGER,
  doubles    INTEGER NOT NULL DEFAULT 0,
  blocked    TEXT    NOT NULL DEFAULT '',
  password   BLOB,
  failures   INTEGER NOT NULL DEFAULT 0,
  failed_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Money that has left for another bucket, until it has told of its arrival.
CREATE TABLE under_way (
  id        INTEGER PRIMARY KEY,
  to_bucket INTEGER NOT NULL,
  account   TEXT    NOT NULL,
  amount    INTEGER NOT NULL CHECK (amount > 0),
  code      INTEGER NOT NULL,
  document  TEXT    NOT NULL
) STRICT;

-- Notices, until they were taken: the numbers of trades that were settled together, or others, as JSON.
CREATE TABLE posted (
  seq     INTEGER PRIMARY KEY,
  trades  TEXT,
  notices TEXT
) STRICT;

CREATE TRIGGER transfer_posts AFTER INSERT ON transfer BEGIN
  UPDATE account SET balance = balance - NEW.amount, postings = postings + 1, last = NEW.no WHERE no = NEW.debit;
  UPDATE account SET balance = balance + NEW.amount, postings = postings + 1, last = NEW.no WHERE no = NEW.credit;
  SELECT RAISE(ROLLBACK, 'a transfer moves accounts that are there')
    WHERE NOT EXISTS (SELECT 1 FROM account WHERE no = NEW.debit) OR NOT EXISTS (SELECT 1 FROM account WHERE no = NEW.credit);
END;

-- Whoever moves a balance shows the transfer that does, and it does so once: it is the next posting of the
-- account. What was decided on a state that is no longer fails here too.
CREATE TRIGGER account_follows BEFORE UPDATE OF balance, postings, last ON account
WHEN NOT EXISTS (SELECT 1 FROM transfer WHERE no = NEW.last AND NEW.postings = OLD.postings + 1
  AND (debit = NEW.no AND debit_posting = NEW.postings AND NEW.balance = OLD.balance - amount
    OR credit = NEW.no AND credit_posting = NEW.postings AND NEW.balance = OLD.balance + amount))
BEGIN SELECT RAISE(ROLLBACK, 'a balance follows from transfers'); END;

CREATE TRIGGER account_opens_empty BEFORE INSERT ON account
WHEN NEW.balance <> 0 OR NEW.postings <> 0 OR NEW.last IS NOT NULL
BEGIN SELECT RAISE(ROLLBACK, 'an account opens with nothing on it'); END;

CREATE TRIGGER account_keeps_its_floor BEFORE UPDATE OF floor ON account
WHEN (NEW.floor IS NULL) <> (OLD.floor IS NULL)
BEGIN SELECT RAISE(ROLLBACK, 'an account has a floor for ever, or never'); END;

CREATE TRIGGER book_goes_on BEFORE UPDATE ON book
WHEN NEW.next_document < OLD.next_document OR NEW.next_posted < OLD.next_posted OR NEW.taken_posted < OLD.taken_posted OR NEW.open_day < OLD.open_day
BEGIN SELECT RAISE(ROLLBACK, 'what was given out, taken or closed is so for ever'); END;

CREATE TRIGGER account_is       BEFORE UPDATE OF no, id ON account BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER account_stays    BEFORE DELETE ON account   BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER book_stays       BEFORE DELETE ON book      BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER transfer_stands  BEFORE UPDATE ON transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER transfer_stays   BEFORE DELETE ON transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER claim_stands     BEFORE UPDATE ON claim     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER claim_stays      BEFORE DELETE ON claim     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER trade_stands     BEFORE UPDATE ON trade     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER trade_stays      BEFORE DELETE ON trade     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER used_code_stands BEFORE UPDATE ON used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER used_code_stays  BEFORE DELETE ON used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER document_stands  BEFORE UPDATE ON document  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER document_stays   BEFORE DELETE ON document  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
