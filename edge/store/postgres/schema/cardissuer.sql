-- The card issuer's own book: card types, cards, and the money of prepaid ones. Amounts are fen; instants are
-- microseconds of Unix time, UTC; days are numbers, as 20261126. What has happened is never changed: only the
-- balance of an account moves, and only to where its transfers lead.
--
-- Who changes anything holds the one row of issuer_book: changes come one after the other.

CREATE TABLE shuama.issuer_book (
  one        integer NOT NULL PRIMARY KEY CHECK (one = 1),
  next_entry bigint  NOT NULL CHECK (next_entry BETWEEN 1 AND 36028797018963967)
);

INSERT INTO shuama.issuer_book VALUES (1, 1);

CREATE TABLE shuama.issuer_type (
  card_type   text   COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(card_type) = 8),
  mode        text   COLLATE "C" NOT NULL CHECK (mode IN ('PREPAID', 'POSTPAID')),
  title       text   COLLATE "C" NOT NULL CHECK (title <> ''),
  template    text   COLLATE "C" NOT NULL,
  city_code   text   COLLATE "C" NOT NULL,
  agent_id    text   COLLATE "C" NOT NULL,
  discount    text   COLLATE "C" NOT NULL,
  min_balance bigint NOT NULL CHECK (min_balance >= 0),
  max_balance bigint NOT NULL,
  revoke_wait bigint NOT NULL CHECK (revoke_wait >= 0), -- microseconds
  CONSTRAINT issuer_type_range CHECK (max_balance >= min_balance)
);

-- A card, and how far the platform knows it. Its money is on its accounts.
CREATE TABLE shuama.issuer_card (
  card_type    text    COLLATE "C" NOT NULL,
  card_no      text    COLLATE "C" NOT NULL CHECK (card_no <> ''),
  user_id      text    COLLATE "C" NOT NULL CHECK (user_id <> ''),
  data         bytea   NOT NULL CHECK (octet_length(data) <= 64),
  state        text    COLLATE "C" NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED', 'REVOKING', 'REVOKED')),
  tips         text    COLLATE "C" NOT NULL,
  issued       bigint  NOT NULL,
  revoke_due   bigint,
  last_update  bigint  NOT NULL CHECK (last_update % 1000000 = 0),
  version      bigint  NOT NULL CHECK (version >= 1),
  sent_version bigint  NOT NULL,
  known        boolean NOT NULL,
  attempts     integer NOT NULL CHECK (attempts >= 0),
  next_try     bigint  NOT NULL,
  reason       text    COLLATE "C" NOT NULL,
  PRIMARY KEY (card_type, card_no),
  CONSTRAINT issuer_card_sent CHECK (sent_version BETWEEN 0 AND version)
);

CREATE INDEX issuer_card_user ON shuama.issuer_card (user_id, card_type, card_no);
CREATE INDEX issuer_card_unsent ON shuama.issuer_card (last_update, card_type, card_no) WHERE sent_version < version;
CREATE INDEX issuer_card_closing ON shuama.issuer_card (revoke_due, card_type, card_no) WHERE state = 'REVOKING' AND revoke_due IS NOT NULL;

-- A request that was carried out.
CREATE TABLE shuama.issuer_entry (
  id        bigint NOT NULL PRIMARY KEY CHECK (id >= 1),
  kind      text   COLLATE "C" NOT NULL CHECK (kind <> ''),
  number    text   COLLATE "C" NOT NULL UNIQUE CHECK (number <> ''),
  digest    bytea  NOT NULL CHECK (octet_length(digest) = 32),
  card_type text   COLLATE "C" NOT NULL,
  card_no   text   COLLATE "C" NOT NULL, -- empty: it is about the type
  about     bigint,
  amount    bigint NOT NULL CHECK (amount >= 0),
  net       bigint NOT NULL,
  text      text   COLLATE "C" NOT NULL,
  at        bigint NOT NULL
);

CREATE INDEX issuer_entry_card ON shuama.issuer_entry (card_type, card_no, id);
CREATE INDEX issuer_entry_about ON shuama.issuer_entry (about) WHERE about IS NOT NULL;

-- Without a floor an account may fall as far as it likes. last is its newest transfer.
CREATE TABLE shuama.issuer_account (
  id       text   COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
  balance  bigint NOT NULL,
  floor    bigint,
  postings bigint NOT NULL,
  last     bigint,
  CONSTRAINT issuer_account_floor CHECK (balance >= floor)
);

INSERT INTO shuama.issuer_account VALUES ('outside', 0, NULL, 0, NULL), ('rides', 0, NULL, 0, NULL);

-- A leg of an entry, numbered 256 times the entry and the leg. It says which posting of each account it is.
CREATE TABLE shuama.issuer_transfer (
  no             bigint  NOT NULL PRIMARY KEY CHECK (no >= 256),
  debit          text    COLLATE "C" NOT NULL,
  debit_posting  bigint  NOT NULL,
  credit         text    COLLATE "C" NOT NULL,
  credit_posting bigint  NOT NULL,
  amount         bigint  NOT NULL CHECK (amount > 0),
  code           integer NOT NULL CHECK (code BETWEEN 1 AND 65535),
  day            integer NOT NULL CHECK (day BETWEEN 10101 AND 99991231),
  at             bigint  NOT NULL,
  CONSTRAINT issuer_transfer_two CHECK (debit <> credit)
);

-- A code pays for one ride.
CREATE TABLE shuama.issuer_used_code (
  code  bytea  NOT NULL PRIMARY KEY CHECK (octet_length(code) = 32),
  entry bigint NOT NULL
);

CREATE FUNCTION shuama.issuer_transfer_posts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moved bigint;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM shuama.issuer_entry WHERE id = NEW.no / 256) THEN
    RAISE EXCEPTION 'a transfer is a leg of an entry' USING ERRCODE = 'check_violation';
  END IF;
  UPDATE shuama.issuer_account SET balance = balance - NEW.amount, postings = postings + 1, last = NEW.no WHERE id = NEW.debit;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved = 1 THEN
    UPDATE shuama.issuer_account SET balance = balance + NEW.amount, postings = postings + 1, last = NEW.no WHERE id = NEW.credit;
    GET DIAGNOSTICS moved = ROW_COUNT;
  END IF;
  IF moved <> 1 THEN
    RAISE EXCEPTION 'a transfer moves accounts that are there' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

-- Whoever moves a balance shows the transfer that does, and it does so once.
CREATE FUNCTION shuama.issuer_account_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.floor IS DISTINCT FROM OLD.floor OR NOT EXISTS (SELECT 1 FROM shuama.issuer_transfer
    WHERE no = NEW.last AND NEW.postings = OLD.postings + 1
      AND (debit = NEW.id AND debit_posting = NEW.postings AND NEW.balance = OLD.balance - amount
        OR credit = NEW.id AND credit_posting = NEW.postings AND NEW.balance = OLD.balance + amount)) THEN
    RAISE EXCEPTION 'a balance follows from transfers' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION shuama.issuer_account_opens_empty() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.balance <> 0 OR NEW.postings <> 0 OR NEW.last IS NOT NULL THEN
    RAISE EXCEPTION 'an account opens with nothing on it' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION shuama.issuer_card_keeps() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.card_type <> OLD.card_type OR NEW.card_no <> OLD.card_no OR NEW.user_id <> OLD.user_id OR NEW.issued <> OLD.issued
    OR (OLD.state = 'REVOKED' AND NEW.state <> 'REVOKED') OR (OLD.state = 'REVOKING' AND NEW.state NOT IN ('REVOKING', 'REVOKED')) THEN
    RAISE EXCEPTION 'a card stays its user''s, and a revocation is not taken back' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.version < OLD.version OR NEW.sent_version < OLD.sent_version OR NEW.last_update < OLD.last_update
    OR (NEW.version > OLD.version AND NEW.last_update <= OLD.last_update) THEN
    RAISE EXCEPTION 'what is older never overwrites' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION shuama.issuer_keeps() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_TABLE_NAME = 'issuer_book' THEN
    IF NEW.next_entry < OLD.next_entry THEN
      RAISE EXCEPTION 'a number is given once' USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.card_type <> OLD.card_type OR NEW.mode <> OLD.mode THEN
    RAISE EXCEPTION 'a card type keeps its mode' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER issuer_transfer_posts      AFTER INSERT  ON shuama.issuer_transfer FOR EACH ROW EXECUTE FUNCTION shuama.issuer_transfer_posts();
CREATE TRIGGER issuer_account_follows     BEFORE UPDATE ON shuama.issuer_account  FOR EACH ROW EXECUTE FUNCTION shuama.issuer_account_follows();
CREATE TRIGGER issuer_account_opens_empty BEFORE INSERT ON shuama.issuer_account  FOR EACH ROW EXECUTE FUNCTION shuama.issuer_account_opens_empty();
CREATE TRIGGER issuer_card_keeps          BEFORE UPDATE ON shuama.issuer_card     FOR EACH ROW EXECUTE FUNCTION shuama.issuer_card_keeps();
CREATE TRIGGER issuer_book_keeps          BEFORE UPDATE ON shuama.issuer_book     FOR EACH ROW EXECUTE FUNCTION shuama.issuer_keeps();
CREATE TRIGGER issuer_type_keeps          BEFORE UPDATE ON shuama.issuer_type     FOR EACH ROW EXECUTE FUNCTION shuama.issuer_keeps();

CREATE TRIGGER issuer_account_stays    BEFORE DELETE OR TRUNCATE           ON shuama.issuer_account   FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_book_stays       BEFORE DELETE OR TRUNCATE           ON shuama.issuer_book      FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_type_stays       BEFORE DELETE OR TRUNCATE           ON shuama.issuer_type      FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_card_stays       BEFORE DELETE OR TRUNCATE           ON shuama.issuer_card      FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_entry_stands     BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.issuer_entry     FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_transfer_stands  BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.issuer_transfer  FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER issuer_used_code_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.issuer_used_code FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.issuer_book, shuama.issuer_type, shuama.issuer_card, shuama.issuer_entry, shuama.issuer_account, shuama.issuer_transfer,
  shuama.issuer_used_code FROM PUBLIC, CURRENT_USER;
GRANT SELECT, UPDATE ON shuama.issuer_book TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE ON shuama.issuer_type, shuama.issuer_card, shuama.issuer_account TO CURRENT_USER;
GRANT SELECT, INSERT ON shuama.issuer_entry, shuama.issuer_transfer, shuama.issuer_used_code TO CURRENT_USER;
REVOKE ALL ON FUNCTION shuama.issuer_transfer_posts(), shuama.issuer_account_follows(), shuama.issuer_account_opens_empty(), shuama.issuer_card_keeps(),
  shuama.issuer_keeps() FROM PUBLIC;
