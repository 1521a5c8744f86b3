-- The card issuer's own book: card types, cards, and the money of prepaid ones. Amounts are fen; instants are
-- microseconds of Unix time, UTC; days are numbers, as 20261126. What has happened is never changed: only the
-- balance of an account moves, and only to where its transfers lead.

CREATE TABLE issuer_book (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  next_entry INTEGER NOT NULL CHECK (next_entry BETWEEN 1 AND 36028797018963967)
) STRICT;

INSERT INTO issuer_book VALUES (1, 1);

CREATE TABLE issuer_type (
  card_type   TEXT    NOT NULL PRIMARY KEY CHECK (length(card_type) = 8),
  mode        TEXT    NOT NULL CHECK (mode IN ('PREPAID', 'POSTPAID')),
  title       TEXT    NOT NULL CHECK (title <> ''),
  template    TEXT    NOT NULL,
  city_code   TEXT    NOT NULL,
  agent_id    TEXT    NOT NULL,
  discount    TEXT    NOT NULL,
  min_balance INTEGER NOT NULL CHECK (min_balance >= 0),
  max_balance INTEGER NOT NULL CHECK (max_balance >= min_balance),
  revoke_wait INTEGER NOT NULL CHECK (revoke_wait >= 0) -- microseconds
) STRICT, WITHOUT ROWID;

-- A card, and how far the platform knows it. Its money is on its accounts.
CREATE TABLE issuer_card (
  card_type    TEXT    NOT NULL REFERENCES issuer_type,
  card_no      TEXT    NOT NULL CHECK (card_no <> ''),
  user_id      TEXT    NOT NULL CHECK (user_id <> ''),
  data         BLOB    NOT NULL CHECK (length(data) <= 64),
  state        TEXT    NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED', 'REVOKING', 'REVOKED')),
  tips         TEXT    NOT NULL,
  issued       INTEGER NOT NULL,
  revoke_due   INTEGER,
  last_update  INTEGER NOT NULL CHECK (last_update % 1000000 = 0),
  version      INTEGER NOT NULL CHECK (version >= 1),
  sent_version INTEGER NOT NULL CHECK (sent_version BETWEEN 0 AND version),
  known        INTEGER NOT NULL CHECK (known IN (0, 1)),
  attempts     INTEGER NOT NULL CHECK (attempts >= 0),
  next_try     INTEGER NOT NULL,
  reason       TEXT    NOT NULL,
  PRIMARY KEY (card_type, card_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX issuer_card_user ON issuer_card (user_id, card_type, card_no);
CREATE INDEX issuer_card_unsent ON issuer_card (last_update) WHERE sent_version < version;
CREATE INDEX issuer_card_closing ON issuer_card (revoke_due) WHERE state = 'REVOKING' AND revoke_due IS NOT NULL;

-- A request that was carried out.
CREATE TABLE issuer_entry (
  id        INTEGER PRIMARY KEY CHECK (id >= 1),
  kind      TEXT    NOT NULL CHECK (kind <> ''),
  number    TEXT    NOT NULL UNIQUE CHECK (number <> ''),
  digest    BLOB    NOT NULL CHECK (length(digest) = 32),
  card_type TEXT    NOT NULL,
  card_no   TEXT    NOT NULL, -- empty: it is about the type
  about     INTEGER REFERENCES issuer_entry,
  amount    INTEGER NOT NULL CHECK (amount >= 0),
  net       INTEGER NOT NULL,
  text      TEXT    NOT NULL,
  at        INTEGER NOT NULL
) STRICT;

CREATE INDEX issuer_entry_card ON issuer_entry (card_type, card_no, id);
CREATE INDEX issuer_entry_about ON issuer_entry (about) WHERE about IS NOT NULL;

-- Without a floor an account may fall as far as it likes. last is its newest transfer.
CREATE TABLE issuer_account (
  id       TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
  balance  INTEGER NOT NULL CHECK (balance >= floor),
  floor    INTEGER,
  postings INTEGER NOT NULL,
  last     INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO issuer_account VALUES ('outside', 0, NULL, 0, NULL), ('rides', 0, NULL, 0, NULL);

-- A leg of an entry, numbered 256 times the entry and the leg. It says which posting of each account it is.
CREATE TABLE issuer_transfer (
  no             INTEGER PRIMARY KEY CHECK (no >= 256),
  debit          TEXT    NOT NULL,
  debit_posting  INTEGER NOT NULL,
  credit         TEXT    NOT NULL,
  credit_posting INTEGER NOT NULL,
  amount         INTEGER NOT NULL CHECK (amount > 0),
  code           INTEGER NOT NULL CHECK (code BETWEEN 1 AND 65535),
  day            INTEGER NOT NULL CHECK (day BETWEEN 10101 AND 99991231),
  at             INTEGER NOT NULL,
  CHECK (debit <> credit)
) STRICT;

-- A code pays for one ride.
CREATE TABLE issuer_used_code (
  code  BLOB    NOT NULL PRIMARY KEY CHECK (length(code) = 32),
  entry INTEGER NOT NULL REFERENCES issuer_entry
) STRICT, WITHOUT ROWID;

CREATE TRIGGER issuer_transfer_posts AFTER INSERT ON issuer_transfer BEGIN
  UPDATE issuer_account SET balance = balance - NEW.amount, postings = postings + 1, last = NEW.no WHERE id = NEW.debit;
  UPDATE issuer_account SET balance = balance + NEW.amount, postings = postings + 1, last = NEW.no WHERE id = NEW.credit;
  SELECT RAISE(ROLLBACK, 'a transfer moves accounts that are there')
    WHERE NOT EXISTS (SELECT 1 FROM issuer_account WHERE id = NEW.debit) OR NOT EXISTS (SELECT 1 FROM issuer_account WHERE id = NEW.credit);
  SELECT RAISE(ROLLBACK, 'a transfer is a leg of an entry') WHERE NOT EXISTS (SELECT 1 FROM issuer_entry WHERE id = NEW.no / 256);
END;

-- Whoever moves a balance shows the transfer that does, and it does so once.
CREATE TRIGGER issuer_account_follows BEFORE UPDATE OF balance, postings, last ON issuer_account
WHEN NOT EXISTS (SELECT 1 FROM issuer_transfer WHERE no = NEW.last AND NEW.postings = OLD.postings + 1
  AND (debit = NEW.id AND debit_posting = NEW.postings AND NEW.balance = OLD.balance - amount
    OR credit = NEW.id AND credit_posting = NEW.postings AND NEW.balance = OLD.balance + amount))
BEGIN SELECT RAISE(ROLLBACK, 'a balance follows from transfers'); END;

CREATE TRIGGER issuer_account_opens_empty BEFORE INSERT ON issuer_account
WHEN NEW.balance <> 0 OR NEW.postings <> 0 OR NEW.last IS NOT NULL
BEGIN SELECT RAISE(ROLLBACK, 'an account opens with nothing on it'); END;

CREATE TRIGGER issuer_card_keeps BEFORE UPDATE ON issuer_card
WHEN NEW.card_type <> OLD.card_type OR NEW.card_no <> OLD.card_no OR NEW.user_id <> OLD.user_id OR NEW.issued <> OLD.issued
  OR (OLD.state = 'REVOKED' AND NEW.state <> 'REVOKED') OR (OLD.state = 'REVOKING' AND NEW.state NOT IN ('REVOKING', 'REVOKED'))
BEGIN SELECT RAISE(ROLLBACK, 'a card stays its user''s, and a revocation is not taken back'); END;

CREATE TRIGGER issuer_card_goes_on BEFORE UPDATE ON issuer_card
WHEN NEW.version < OLD.version OR NEW.sent_version < OLD.sent_version OR NEW.last_update < OLD.last_update
  OR (NEW.version > OLD.version AND NEW.last_update <= OLD.last_update)
BEGIN SELECT RAISE(ROLLBACK, 'what is older never overwrites'); END;

CREATE TRIGGER issuer_book_goes_on BEFORE UPDATE ON issuer_book
WHEN NEW.next_entry < OLD.next_entry
BEGIN SELECT RAISE(ROLLBACK, 'a number is given once'); END;

CREATE TRIGGER issuer_type_keeps BEFORE UPDATE ON issuer_type
WHEN NEW.card_type <> OLD.card_type OR NEW.mode <> OLD.mode
BEGIN SELECT RAISE(ROLLBACK, 'a card type keeps its mode'); END;

CREATE TRIGGER issuer_account_is       BEFORE UPDATE OF id, floor ON issuer_account BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_account_stays    BEFORE DELETE ON issuer_account   BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_book_stays       BEFORE DELETE ON issuer_book      BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_type_stays       BEFORE DELETE ON issuer_type      BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_card_stays       BEFORE DELETE ON issuer_card      BEGIN SELECT RAISE(ROLLBACK, 'a card is revoked, not deleted'); END;
CREATE TRIGGER issuer_entry_stands     BEFORE UPDATE ON issuer_entry     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_entry_stays      BEFORE DELETE ON issuer_entry     BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_transfer_stands  BEFORE UPDATE ON issuer_transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_transfer_stays   BEFORE DELETE ON issuer_transfer  BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_used_code_stands BEFORE UPDATE ON issuer_used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER issuer_used_code_stays  BEFORE DELETE ON issuer_used_code BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
