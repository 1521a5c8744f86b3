-- The books of the payment institution. Amounts are fen; instants are microseconds of Unix time, UTC.
-- What has happened is never changed: only the balance of an account moves, and only to where its
-- postings lead.
--
-- Texts that are keys are compared byte for byte, whatever the collation of the database. What a
-- merchant wrote for people is kept as bytes: it may hold what PostgreSQL takes for no text.
--
-- References are held by the triggers, a statement at a time: a foreign key asks for every row by
-- itself. Nothing can be deleted, so what was there when it was named stays there.
--
-- OFFSET 0 makes PostgreSQL look each key up by itself. Without it, a plan that was made while a table
-- was small would go on reading all of it when it is large.

CREATE TABLE shuama.account (
  no        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id        text    COLLATE "C" NOT NULL UNIQUE CHECK (id <> ''),
  balance   bigint  NOT NULL,
  floor     bigint  NOT NULL,
  unbounded boolean NOT NULL,
  postings  bigint  NOT NULL CHECK (postings >= 0),
  CHECK (unbounded OR balance >= floor)
) WITH (fillfactor = 70);

-- A transfer says what its two postings are: the number of each in its account, and the balance after
-- it. The trigger transfer_posts files them and moves the accounts, so that none is without the other.
CREATE TABLE shuama.transfer (
  no             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id             text    COLLATE "C" NOT NULL UNIQUE CHECK (id <> ''),
  debit          bigint  NOT NULL,
  credit         bigint  NOT NULL,
  amount         bigint  NOT NULL CHECK (amount > 0),
  code           integer NOT NULL CHECK (code BETWEEN 1 AND 65535),
  at             bigint  NOT NULL,
  reference      text    COLLATE "C" NOT NULL,
  debit_number   bigint  NOT NULL,
  debit_balance  bigint  NOT NULL,
  credit_number  bigint  NOT NULL,
  credit_balance bigint  NOT NULL,
  CHECK (debit <> credit)
);

-- The history of an account is its postings by number: the key leaves no room for a second history. A
-- posting is a leg of its transfer, and a leg has one number in one account, so there is no room for a
-- third posting of a transfer either.
CREATE TABLE shuama.posting (
  account  bigint NOT NULL,
  number   bigint NOT NULL CHECK (number >= 1), -- in its account
  transfer bigint NOT NULL,
  amount   bigint NOT NULL CHECK (amount <> 0), -- negative on the debit side
  balance  bigint NOT NULL, -- after it
  PRIMARY KEY (account, number)
);

-- A trade that was settled, whole. codes is each code that has paid for it, 32 bytes, in their order; the
-- trigger trade_uses_codes files them. records is each record with four bytes of its size before it, most
-- significant first. subject and biz_context are UTF-8 as far as the merchant's text was.
CREATE TABLE shuama.trade (
  no           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app          text   COLLATE "C" NOT NULL,
  out_trade_no text   COLLATE "C" NOT NULL CHECK (out_trade_no <> ''),
  trade_no     text   COLLATE "C" NOT NULL UNIQUE CHECK (trade_no ~ '^[0-9]{28}$'),
  digest       bytea  NOT NULL CHECK (octet_length(digest) = 32),
  user_id      text   COLLATE "C" NOT NULL,
  order_time   bigint NOT NULL,
  subject      bytea  NOT NULL,
  amount       bigint NOT NULL CHECK (amount > 0),
  biz_context  bytea  NOT NULL,
  card_type    text   COLLATE "C" NOT NULL,
  seller_login text   COLLATE "C" NOT NULL,
  codes        bytea  NOT NULL CHECK (octet_length(codes) > 0 AND octet_length(codes) % 32 = 0),
  records      bytea  NOT NULL,
  settled_at   bigint NOT NULL,
  payer        text   COLLATE "C" NOT NULL CHECK (payer IN ('USER', 'GUARANTEE')),
  UNIQUE (app, out_trade_no)
);

-- A code pays once: the key is the code alone.
CREATE TABLE shuama.used_code (
  code  bytea  NOT NULL PRIMARY KEY CHECK (octet_length(code) = 32),
  trade bigint NOT NULL
);

CREATE TABLE shuama.top_up (
  id      text   COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
  account bigint NOT NULL,
  amount  bigint NOT NULL CHECK (amount > 0),
  at      bigint NOT NULL
);

-- What was decided on a state that is no longer, or wrongly, fails here. In the order of the transfers,
-- the legs in an account have to follow one another, and the first of them the account as it is; and
-- none may take the balance below the floor, not even on the way.
CREATE FUNCTION shuama.transfer_posts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  accounts_count bigint;
  moved_count    bigint;
BEGIN
  INSERT INTO shuama.posting (account, number, transfer, amount, balance)
    SELECT debit, debit_number, no, -amount, debit_balance FROM filed
    UNION ALL SELECT credit, credit_number, no, amount, credit_balance FROM filed;
  WITH leg AS (
    SELECT account, number, balance, amount,
      number = lag(number) OVER history + 1 AND balance = lag(balance) OVER history + amount AS follows
    FROM (SELECT debit AS account, debit_number AS number, debit_balance AS balance, -amount AS amount, no FROM filed
      UNION ALL SELECT credit, credit_number, credit_balance, amount, no FROM filed) AS both_legs
    WINDOW history AS (PARTITION BY account ORDER BY no)
  ), history AS (
    SELECT account, max(number) AS postings, coalesce(bool_and(follows), true) AS follows,
      sum(amount) AS moved, min(balance) FILTER (WHERE amount < 0) AS lowest,
      max(number - 1) FILTER (WHERE follows IS NULL) AS postings_before, max(balance - amount) FILTER (WHERE follows IS NULL) AS balance_before
    FROM leg GROUP BY account
  ), moved AS (
    UPDATE shuama.account AS a SET balance = h.balance_before + h.moved, postings = h.postings
    FROM history AS h
    WHERE a.no = h.account AND h.follows AND a.postings = h.postings_before AND a.balance = h.balance_before
      AND (a.unbounded OR h.lowest IS NULL OR h.lowest >= a.floor)
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM moved) INTO accounts_count, moved_count;
  IF accounts_count <> moved_count THEN
    RAISE EXCEPTION 'the postings of a transfer follow the last ones of its accounts' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER transfer_posts AFTER INSERT ON shuama.transfer REFERENCING NEW TABLE AS filed
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.transfer_posts();

CREATE FUNCTION shuama.trade_uses_codes() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO shuama.used_code (code, trade)
    SELECT substring(codes FROM 32 * place + 1 FOR 32) AS code, no
    FROM filed, generate_series(0, octet_length(codes) / 32 - 1) AS place ORDER BY code;
  RETURN NULL;
END $$;

CREATE TRIGGER trade_uses_codes AFTER INSERT ON shuama.trade REFERENCING NEW TABLE AS filed
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.trade_uses_codes();

-- Postings, balances and used codes follow from transfers and trades, and are written by the triggers of
-- those alone.
CREATE FUNCTION shuama.follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'this follows from transfers and trades' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER posting_follows   BEFORE INSERT ON shuama.posting   FOR EACH STATEMENT EXECUTE FUNCTION shuama.follows();
CREATE TRIGGER account_follows   BEFORE UPDATE ON shuama.account   FOR EACH STATEMENT EXECUTE FUNCTION shuama.follows();
CREATE TRIGGER used_code_follows BEFORE INSERT ON shuama.used_code FOR EACH STATEMENT EXECUTE FUNCTION shuama.follows();

CREATE FUNCTION shuama.account_opens_empty() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM opened WHERE balance <> 0 OR postings <> 0) THEN
    RAISE EXCEPTION 'an account opens with nothing on it' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER account_opens_empty AFTER INSERT ON shuama.account REFERENCING NEW TABLE AS opened
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.account_opens_empty();

CREATE FUNCTION shuama.top_up_of_account() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM filed WHERE NOT EXISTS (SELECT FROM shuama.account WHERE account.no = filed.account OFFSET 0)) THEN
    RAISE EXCEPTION 'a top-up goes to an account that is there' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER top_up_of_account AFTER INSERT ON shuama.top_up REFERENCING NEW TABLE AS filed
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.top_up_of_account();

CREATE FUNCTION shuama.append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'append only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER account_keeps_terms BEFORE UPDATE OF no, id, floor, unbounded ON shuama.account FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER account_stays    BEFORE DELETE OR TRUNCATE           ON shuama.account   FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER transfer_stands  BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.transfer  FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER posting_stands   BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.posting   FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER trade_stands     BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.trade     FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER used_code_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.used_code FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER top_up_stands    BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.top_up    FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

-- An update that waited for its locks did not see an account that was opened meanwhile, and has decided
-- without it: it is to be decided again.
CREATE FUNCTION shuama.still_absent(ids text[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(ids) AS k (id), LATERAL (SELECT FROM shuama.account AS a WHERE a.id = k.id OFFSET 0) AS opened) THEN
    RAISE EXCEPTION 'an account was opened meanwhile' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- The owner is held too, until somebody grants it back, which the audit sees. A superuser meets only
-- the triggers.
REVOKE ALL ON ALL TABLES IN SCHEMA shuama FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT ON shuama.transfer, shuama.posting, shuama.trade, shuama.used_code, shuama.top_up, shuama.account TO CURRENT_USER;
GRANT SELECT, INSERT ON shuama.schema_version TO CURRENT_USER;
GRANT UPDATE (balance, postings) ON shuama.account TO CURRENT_USER;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shuama FROM PUBLIC;
