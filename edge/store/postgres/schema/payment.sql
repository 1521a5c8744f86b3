-- The books of the payment institution. Amounts are fen; instants are microseconds of Unix time, UTC; days
-- are numbers, as 20261126. What has happened is never changed: only the balance of an account moves, and
-- only to where its transfers lead.
--
-- Everything is led by its bucket. A transaction, and every statement in it, is of one bucket: on several
-- machines each bucket is on one of them, and nothing waits for two. Numbers alone are claimed in a bucket
-- of their own, the hash of the number, for who sends a number again may say anything else.
--
-- Who writes in a bucket holds its lock, shuama.hold. So nobody waits for two locks, and what was read is
-- still so when it is written.
--
-- Texts that are keys are compared byte for byte, whatever the collation of the database. What a
-- merchant wrote for people is inside contents, which are bytes.
--
-- OFFSET 0 makes PostgreSQL look each key up by itself. Without it, a plan that was made while a table
-- was small would go on reading all of it when it is large.

CREATE TABLE shuama.books (
  one          boolean PRIMARY KEY DEFAULT true CHECK (one),
  buckets      integer NOT NULL CHECK (buckets BETWEEN 1 AND 256),
  claims_apart boolean NOT NULL
);

CREATE TABLE shuama.bucket (
  bucket        integer NOT NULL PRIMARY KEY,
  next_document bigint  NOT NULL DEFAULT 1,
  next_posted   bigint  NOT NULL DEFAULT 1,
  taken_posted  bigint  NOT NULL DEFAULT 0, -- notices up to here were taken, the others are there
  open_day      integer NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE shuama.account (
  bucket    integer NOT NULL,
  id        text    COLLATE "C" NOT NULL CHECK (id <> ''),
  balance   bigint  NOT NULL DEFAULT 0,
  floor     bigint  NOT NULL,
  unbounded boolean NOT NULL,
  postings  bigint  NOT NULL DEFAULT 0 CHECK (postings >= 0),
  PRIMARY KEY (bucket, id),
  CHECK (unbounded OR balance >= floor)
) WITH (fillfactor = 70);

-- A number stands for one content, for ever: the document id of that bucket, whether it was settled or not.
CREATE TABLE shuama.claim (
  key_bucket integer NOT NULL,
  scope      text    COLLATE "C" NOT NULL CHECK (scope <> ''),
  no         text    COLLATE "C" NOT NULL CHECK (no <> ''),
  digest     bytea   NOT NULL CHECK (octet_length(digest) = 32),
  bucket     integer NOT NULL,
  id         bigint  NOT NULL CHECK (id >= 1),
  PRIMARY KEY (key_bucket, scope, no)
);

-- A trade that was settled, whole: content is what its number was claimed for. codes is each code that has
-- paid for it, 32 bytes, in their order. payer is 1, the user, or 2, the guarantee fund.
CREATE TABLE shuama.trade (
  bucket       integer  NOT NULL,
  id           bigint   NOT NULL CHECK (id >= 1),
  app          text     COLLATE "C" NOT NULL,
  out_trade_no text     COLLATE "C" NOT NULL CHECK (out_trade_no <> ''),
  user_id      text     COLLATE "C" NOT NULL,
  merchant     text     COLLATE "C" NOT NULL,
  amount       bigint   NOT NULL CHECK (amount > 0),
  payer        smallint NOT NULL CHECK (payer IN (1, 2)),
  day          integer  NOT NULL,
  settled_at   bigint   NOT NULL,
  codes        bytea    NOT NULL CHECK (octet_length(codes) > 0 AND octet_length(codes) % 32 = 0),
  content      bytea    NOT NULL,
  PRIMARY KEY (bucket, id)
);

ALTER TABLE shuama.trade ALTER content SET STORAGE EXTERNAL; -- signatures do not compress

-- A code pays once: its user is in one bucket, so there is one place to look.
CREATE TABLE shuama.used_code (
  bucket integer NOT NULL,
  code   bytea   NOT NULL CHECK (octet_length(code) = 32),
  trade  bigint  NOT NULL,
  PRIMARY KEY (bucket, code)
);

-- What moved money beside trades, or was said about it.
CREATE TABLE shuama.document (
  bucket integer NOT NULL,
  key    text    COLLATE "C" NOT NULL CHECK (key <> ''),
  id     bigint  NOT NULL CHECK (id >= 1),
  about  bigint, -- a trade
  amount bigint  NOT NULL CHECK (amount >= 0),
  at     bigint  NOT NULL,
  body   bytea   NOT NULL,
  PRIMARY KEY (bucket, key),
  UNIQUE (bucket, id)
);

CREATE INDEX document_about ON shuama.document (bucket, about) WHERE about IS NOT NULL;

-- A transfer takes from one account what it gives to another: its two postings cannot but sum to zero. It
-- is a leg of the trade or document of its number. The trigger transfer_posts moves the accounts.
CREATE TABLE shuama.transfer (
  bucket   integer  NOT NULL,
  day      integer  NOT NULL CHECK (day BETWEEN 10101 AND 99991231),
  document bigint   NOT NULL CHECK (document >= 1),
  leg      smallint NOT NULL CHECK (leg BETWEEN 0 AND 255),
  code     integer  NOT NULL CHECK (code BETWEEN 1 AND 65535),
  debit    text     COLLATE "C" NOT NULL,
  credit   text     COLLATE "C" NOT NULL,
  amount   bigint   NOT NULL CHECK (amount > 0),
  at       bigint   NOT NULL,
  PRIMARY KEY (bucket, day, document, leg),
  CHECK (debit <> credit)
) PARTITION BY RANGE (day);

CREATE VIEW shuama.posting AS
  SELECT bucket, day, document, leg, debit AS account, -amount AS amount, code, at FROM shuama.transfer
  UNION ALL SELECT bucket, day, document, leg, credit, amount, code, at FROM shuama.transfer;

CREATE TABLE shuama.rider (
  bucket     integer NOT NULL,
  user_id    text    COLLATE "C" NOT NULL,
  owes_since bigint,
  doubles    integer NOT NULL DEFAULT 0,
  blocked    text    NOT NULL DEFAULT '',
  password   bytea,
  failures   integer NOT NULL DEFAULT 0,
  failed_at  bigint,
  PRIMARY KEY (bucket, user_id)
);

-- Money that has left a bucket, until it has told of its arrival.
CREATE TABLE shuama.under_way (
  bucket   integer NOT NULL,
  id       bigint  NOT NULL,
  to_bucket integer NOT NULL,
  account  text    COLLATE "C" NOT NULL,
  amount   bigint  NOT NULL CHECK (amount > 0),
  code     integer NOT NULL,
  document text    COLLATE "C" NOT NULL,
  PRIMARY KEY (bucket, id)
);

-- Notices, until they were taken: of trades that were settled together, or others.
CREATE TABLE shuama.posted (
  bucket  integer NOT NULL,
  seq     bigint  NOT NULL,
  trades  bigint[],
  notices jsonb,
  PRIMARY KEY (bucket, seq)
);

-- hold gives the lock of a bucket until the transaction ends.
CREATE FUNCTION shuama.hold(p_bucket integer) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
  AS 'SELECT pg_advisory_xact_lock(1399354722, p_bucket)';

-- A day has a part of transfer of its own, which nobody may write into by itself: there the trigger that
-- moves the accounts would not see it.
CREATE FUNCTION shuama.add_day(p_day integer) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := 'transfer_' || p_day;
BEGIN
  PERFORM pg_advisory_xact_lock(1399354721, 3);
  IF to_regclass('shuama.' || name) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE shuama.%I (LIKE shuama.transfer INCLUDING ALL)', name);
  EXECUTE format('ALTER TABLE shuama.transfer ATTACH PARTITION shuama.%I FOR VALUES FROM (%s) TO (%s)', name, p_day, p_day + 1);
  EXECUTE format('CREATE TRIGGER transfer_remains BEFORE TRUNCATE ON shuama.%I FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only()', name);
  EXECUTE format('REVOKE ALL ON shuama.%I FROM PUBLIC, CURRENT_USER', name);
END $$;

-- reserve gives out document numbers, the first of so many.
CREATE FUNCTION shuama.reserve(p_bucket integer, p_count bigint) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first bigint;
BEGIN
  PERFORM shuama.hold(p_bucket);
  UPDATE shuama.bucket AS b SET next_document = b.next_document + p_count WHERE b.bucket = p_bucket RETURNING b.next_document - p_count INTO STRICT first;
  RETURN first;
END $$;

-- change_floor changes a credit line. The balance has to allow it.
CREATE FUNCTION shuama.change_floor(p_bucket integer, p_id text, p_floor bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE shuama.account SET floor = p_floor WHERE bucket = p_bucket AND id = p_id AND NOT unbounded;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such account' USING ERRCODE = 'foreign_key_violation';
  END IF;
END $$;

-- take_numbers claims numbers that nobody has, and tells who has each. Those of one call are sorted: who
-- waits for a number holds none that comes after it.
CREATE FUNCTION shuama.take_numbers(p_key_buckets integer[], p_scopes text[], p_nos text[], p_digests bytea[], p_bucket integer, p_ids bigint[])
  RETURNS TABLE (place integer, digest bytea, bucket integer, id bigint) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO shuama.claim (key_bucket, scope, no, digest, bucket, id)
    SELECT k, s, n, d, p_bucket, i FROM unnest(p_key_buckets, p_scopes, p_nos, p_digests, p_ids) AS asked (k, s, n, d, i)
    ORDER BY k, s COLLATE "C", n COLLATE "C" ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT asked.p::integer, c.digest, c.bucket, c.id
    FROM unnest(p_key_buckets, p_scopes, p_nos) WITH ORDINALITY AS asked (k, s, n, p),
    LATERAL (SELECT * FROM shuama.claim AS c WHERE c.key_bucket = asked.k AND c.scope = asked.s AND c.no = asked.n OFFSET 0) AS c;
END $$;

-- take_numbers_of is take_numbers for numbers of one bucket, which is where it runs.
CREATE FUNCTION shuama.take_numbers_of(p_key_bucket integer, p_scopes text[], p_nos text[], p_digests bytea[], p_bucket integer, p_ids bigint[])
  RETURNS TABLE (place integer, digest bytea, bucket integer, id bigint) LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM shuama.take_numbers(array_fill(p_key_bucket, ARRAY[cardinality(p_nos)]), p_scopes, p_nos, p_digests, p_bucket, p_ids)
$$;

-- settle decides a batch of one bucket as payment.Decide does, and writes it: one row for each order, or
-- one row of place 0 when all are paid by their users, with the number of the first and the others after
-- it. Most batches are so: they are written at once, and what the tables refuse sends them the careful way.
-- p_ids are the numbers where they were claimed before; null claims them here.
CREATE FUNCTION shuama.settle(p_bucket integer, p_day integer, p_now bigint, p_careful boolean, p_ids bigint[], p_key_buckets integer[], p_apps text[],
    p_nos text[], p_digests bytea[], p_users text[], p_merchants text[], p_amounts bigint[], p_late boolean[], p_codes bytea[], p_contents bytea[])
  RETURNS TABLE (place integer, answer smallint, document bigint, day integer, payer smallint, other_app text, other_no text)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  counted     integer := cardinality(p_nos);
  claims_here boolean := p_ids IS NULL;
  first       bigint;
  on_day      integer;
BEGIN
  PERFORM shuama.hold(p_bucket);
  IF NOT p_careful THEN
    BEGIN
      UPDATE shuama.bucket AS b SET next_document = b.next_document + CASE WHEN claims_here THEN counted ELSE 0 END
        WHERE b.bucket = p_bucket RETURNING b.next_document - counted, greatest(p_day, b.open_day) INTO STRICT first, on_day;
      IF claims_here THEN
        p_ids := ARRAY(SELECT generate_series(first, first + counted - 1));
        INSERT INTO shuama.claim (key_bucket, scope, no, digest, bucket, id)
          SELECT k, s, n, d, p_bucket, i FROM unnest(p_key_buckets, p_apps, p_nos, p_digests, p_ids) AS asked (k, s, n, d, i);
      END IF;
      PERFORM shuama.write_trades(p_bucket, on_day, p_now, p_ids, p_apps, p_nos, p_users, p_merchants, p_amounts,
        array_fill(1::smallint, ARRAY[counted]), p_codes, p_contents);
      RETURN QUERY SELECT 0, 1::smallint, p_ids[1], on_day, 1::smallint, NULL::text, NULL::text;
      RETURN;
    EXCEPTION WHEN unique_violation OR check_violation OR foreign_key_violation THEN
      IF claims_here THEN
        p_ids := NULL; -- they were given back
      END IF;
    END;
  END IF;
  RETURN QUERY SELECT * FROM shuama.settle_carefully(p_bucket, p_day, p_now, p_ids, p_key_buckets, p_apps, p_nos, p_digests,
    p_users, p_merchants, p_amounts, p_late, p_codes, p_contents);
END $$;

CREATE FUNCTION shuama.settle_carefully(p_bucket integer, p_day integer, p_now bigint, p_ids bigint[], p_key_buckets integer[], p_apps text[],
    p_nos text[], p_digests bytea[], p_users text[], p_merchants text[], p_amounts bigint[], p_late boolean[], p_codes bytea[], p_contents bytea[])
  RETURNS TABLE (place integer, answer smallint, document bigint, day integer, payer smallint, other_app text, other_no text)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  counted    integer    := cardinality(p_nos);
  answers    smallint[] := array_fill(0::smallint, ARRAY[counted]);
  payers     smallint[] := array_fill(1::smallint, ARRAY[counted]);
  days       integer[]  := array_fill(0, ARRAY[counted]);
  other_apps text[]     := array_fill(NULL::text, ARRAY[counted]);
  other_nos  text[]     := array_fill(NULL::text, ARRAY[counted]);
  first      bigint;
  on_day     integer;
  guarantee  bigint;
  short      text[]     := '{}'; -- users who cannot pay all of theirs
  available  bigint[]   := '{}'; -- what each of them has
  i          integer;
  r          record;
BEGIN
  UPDATE shuama.bucket AS b SET next_document = b.next_document + CASE WHEN p_ids IS NULL THEN counted ELSE 0 END
    WHERE b.bucket = p_bucket RETURNING b.next_document - counted, greatest(p_day, b.open_day) INTO STRICT first, on_day;
  days := array_fill(on_day, ARRAY[counted]);
  IF p_ids IS NULL THEN
    p_ids := ARRAY(SELECT generate_series(first, first + counted - 1));
    FOR r IN SELECT * FROM shuama.take_numbers(p_key_buckets, p_apps, p_nos, p_digests, p_bucket, p_ids) LOOP
      IF r.digest <> p_digests[r.place] OR r.bucket <> p_bucket THEN
        answers[r.place] := 2;
      END IF;
      p_ids[r.place] := r.id;
    END LOOP;
  END IF;
  FOR r IN SELECT asked.p, t.day, t.payer FROM unnest(p_ids, answers) WITH ORDINALITY AS asked (i, a, p),
      LATERAL (SELECT day, payer FROM shuama.trade AS t WHERE t.bucket = p_bucket AND t.id = asked.i OFFSET 0) AS t WHERE a = 0 LOOP
    answers[r.p] := 3;
    days[r.p] := r.day;
    payers[r.p] := r.payer;
  END LOOP;
  FOR r IN SELECT p FROM unnest(p_late, answers) WITH ORDINALITY AS asked (l, a, p) WHERE l AND a = 0 LOOP
    answers[r.p] := 4;
  END LOOP;
  FOR r IN SELECT DISTINCT ON (asked.p) asked.p, t.app, t.out_trade_no
      FROM unnest(p_codes, answers) WITH ORDINALITY AS asked (c, a, p), generate_series(0, octet_length(c) / 32 - 1) AS n,
      LATERAL (SELECT trade FROM shuama.used_code AS u WHERE u.bucket = p_bucket AND u.code = substring(c FROM 32 * n + 1 FOR 32) OFFSET 0) AS u,
      LATERAL (SELECT app, out_trade_no FROM shuama.trade AS t WHERE t.bucket = p_bucket AND t.id = u.trade OFFSET 0) AS t
      WHERE a = 0 ORDER BY asked.p, n LOOP
    answers[r.p] := 5;
    other_apps[r.p] := r.app;
    other_nos[r.p] := r.out_trade_no;
  END LOOP;
  FOR r IN SELECT asked.p, u.id IS NULL AS nobody FROM unnest(p_users, p_merchants, answers) WITH ORDINALITY AS asked (u, m, a, p)
      LEFT JOIN LATERAL (SELECT id FROM shuama.account WHERE bucket = p_bucket AND id = 'user:' || asked.u OFFSET 0) AS u ON true
      LEFT JOIN LATERAL (SELECT id FROM shuama.account WHERE bucket = p_bucket AND id = asked.m OFFSET 0) AS m ON true
      WHERE a = 0 AND (u.id IS NULL OR m.id IS NULL) LOOP
    answers[r.p] := CASE WHEN r.nobody THEN 6 ELSE 7 END;
  END LOOP;
  FOR r IN SELECT wanted.u, account.has FROM (SELECT u, sum(m) AS needs FROM unnest(p_users, p_amounts, answers) AS asked (u, m, a) WHERE a = 0 GROUP BY u) AS wanted,
      LATERAL (SELECT balance - floor AS has FROM shuama.account WHERE bucket = p_bucket AND id = 'user:' || wanted.u OFFSET 0) AS account
      WHERE account.has < wanted.needs LOOP
    short := short || r.u;
    available := available || r.has;
  END LOOP;
  IF cardinality(short) > 0 THEN
    SELECT balance INTO guarantee FROM shuama.account WHERE bucket = p_bucket AND id = 'guarantee';
    FOR r IN SELECT p, u, m FROM unnest(p_users, p_amounts, answers) WITH ORDINALITY AS asked (u, m, a, p) WHERE a = 0 AND u = ANY (short) ORDER BY p LOOP
      i := array_position(short, r.u);
      IF r.m <= available[i] THEN
        available[i] := available[i] - r.m;
      ELSIF r.m <= guarantee THEN
        guarantee := guarantee - r.m;
        payers[r.p] := 2;
      ELSE
        answers[r.p] := 8;
      END IF;
    END LOOP;
  END IF;
  PERFORM shuama.write_trades(p_bucket, on_day, p_now, array_agg(i), array_agg(o), array_agg(n), array_agg(u), array_agg(m), array_agg(am), array_agg(pay), array_agg(c), array_agg(ct))
    FROM unnest(answers, p_ids, p_apps, p_nos, p_users, p_merchants, p_amounts, payers, p_codes, p_contents) AS asked (a, i, o, n, u, m, am, pay, c, ct)
    WHERE a = 0 HAVING count(*) > 0;
  RETURN QUERY SELECT p::integer, CASE a WHEN 0 THEN 1::smallint ELSE a END, i, d, pay, oa, o
    FROM unnest(answers, p_ids, days, payers, other_apps, other_nos) WITH ORDINALITY AS decided (a, i, d, pay, oa, o, p);
END $$;

-- write_trades writes trades that are decided: the codes they use up, what moves, and the notice of it.
CREATE FUNCTION shuama.write_trades(p_bucket integer, p_day integer, p_now bigint, p_ids bigint[], p_apps text[], p_nos text[], p_users text[],
    p_merchants text[], p_amounts bigint[], p_payers smallint[], p_codes bytea[], p_contents bytea[])
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO shuama.trade (bucket, id, app, out_trade_no, user_id, merchant, amount, payer, day, settled_at, codes, content)
    SELECT p_bucket, i, a, n, u, m, am, pay, p_day, p_now, c, ct
    FROM unnest(p_ids, p_apps, p_nos, p_users, p_merchants, p_amounts, p_payers, p_codes, p_contents) AS decided (i, a, n, u, m, am, pay, c, ct);
  IF (SELECT bool_and(octet_length(c) = 32) FROM unnest(p_codes) AS c) THEN
    INSERT INTO shuama.used_code (bucket, code, trade) SELECT p_bucket, c, i FROM unnest(p_ids, p_codes) AS decided (i, c);
  ELSE
    INSERT INTO shuama.used_code (bucket, code, trade)
      SELECT p_bucket, substring(c FROM 32 * place + 1 FOR 32), i
      FROM unnest(p_ids, p_codes) AS decided (i, c), generate_series(0, octet_length(c) / 32 - 1) AS place;
  END IF;
  IF 2 = ANY (p_payers) THEN
    INSERT INTO shuama.account (bucket, id, floor, unbounded)
      SELECT DISTINCT p_bucket, 'debt:' || u, 0, true FROM unnest(p_users, p_payers) AS decided (u, pay) WHERE pay = 2 ON CONFLICT DO NOTHING;
    INSERT INTO shuama.rider AS r (bucket, user_id, owes_since)
      SELECT DISTINCT p_bucket, u, p_now FROM unnest(p_users, p_payers) AS decided (u, pay) WHERE pay = 2
      ON CONFLICT (bucket, user_id) DO UPDATE SET owes_since = excluded.owes_since WHERE r.owes_since IS NULL;
    INSERT INTO shuama.transfer (bucket, day, document, leg, code, debit, credit, amount, at)
      SELECT p_bucket, p_day, i, 0, 2, 'user:' || u, m, am, p_now
        FROM unnest(p_ids, p_users, p_merchants, p_amounts, p_payers) AS decided (i, u, m, am, pay) WHERE pay = 1
      UNION ALL SELECT p_bucket, p_day, i, 0, 3, 'guarantee', m, am, p_now
        FROM unnest(p_ids, p_users, p_merchants, p_amounts, p_payers) AS decided (i, u, m, am, pay) WHERE pay = 2
      UNION ALL SELECT p_bucket, p_day, i, 1, 4, 'debt:' || u, 'claims', am, p_now
        FROM unnest(p_ids, p_users, p_merchants, p_amounts, p_payers) AS decided (i, u, m, am, pay) WHERE pay = 2;
  ELSE
    INSERT INTO shuama.transfer (bucket, day, document, leg, code, debit, credit, amount, at)
      SELECT p_bucket, p_day, i, 0, 2, 'user:' || u, m, am, p_now FROM unnest(p_ids, p_users, p_merchants, p_amounts) AS decided (i, u, m, am);
  END IF;
  WITH counted AS (UPDATE shuama.bucket AS b SET next_posted = b.next_posted + 1 WHERE b.bucket = p_bucket RETURNING b.next_posted - 1 AS seq)
    INSERT INTO shuama.posted (bucket, seq, trades) SELECT p_bucket, seq, p_ids FROM counted;
END $$;

-- A transfer moves its two accounts, or is not stored: accounts that are not there and balances below their
-- floor are refused.
CREATE FUNCTION shuama.transfer_posts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  accounts_count bigint;
  moved_count    bigint;
BEGIN
  WITH posting AS (
    SELECT bucket, debit AS id, -amount AS amount FROM filed
    UNION ALL SELECT bucket, credit, amount FROM filed
  ), total AS (
    SELECT bucket, id, sum(amount)::bigint AS amount, count(*) AS postings FROM posting GROUP BY bucket, id
  ), moved AS (
    UPDATE shuama.account AS a SET balance = a.balance + t.amount, postings = a.postings + t.postings
    FROM total AS t WHERE a.bucket = t.bucket AND a.id = t.id
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM total), (SELECT count(*) FROM moved) INTO accounts_count, moved_count;
  IF accounts_count <> moved_count THEN
    RAISE EXCEPTION 'a transfer moves accounts that are there' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER transfer_posts AFTER INSERT ON shuama.transfer REFERENCING NEW TABLE AS filed
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.transfer_posts();

-- Balances follow from transfers, and are written by their trigger alone.
CREATE FUNCTION shuama.follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'a balance follows from transfers' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER account_follows BEFORE UPDATE OF balance, postings ON shuama.account FOR EACH STATEMENT EXECUTE FUNCTION shuama.follows();

CREATE FUNCTION shuama.account_opens_empty() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM opened WHERE balance <> 0 OR postings <> 0) THEN
    RAISE EXCEPTION 'an account opens with nothing on it' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER account_opens_empty AFTER INSERT ON shuama.account REFERENCING NEW TABLE AS opened
  FOR EACH STATEMENT EXECUTE FUNCTION shuama.account_opens_empty();

CREATE FUNCTION shuama.append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'append only' USING ERRCODE = 'insufficient_privilege';
END $$;

-- Those of transfer are for each row, for such triggers hold in the parts of each day too.
CREATE TRIGGER account_stays    BEFORE DELETE OR TRUNCATE           ON shuama.account   FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER account_is       BEFORE UPDATE OF bucket, id, unbounded ON shuama.account FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER claim_stands     BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.claim     FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER trade_stands     BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.trade     FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER used_code_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.used_code FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER document_stands  BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.document  FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER transfer_stands  BEFORE UPDATE OR DELETE             ON shuama.transfer  FOR EACH ROW       EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER transfer_remains BEFORE TRUNCATE                     ON shuama.transfer  FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER books_stand      BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.books     FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER bucket_stays     BEFORE DELETE OR TRUNCATE           ON shuama.bucket    FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

-- The owner is held too, until somebody grants it back, which the audit sees. A superuser meets only
-- the triggers.
REVOKE ALL ON ALL TABLES IN SCHEMA shuama FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT ON shuama.books, shuama.account, shuama.claim, shuama.trade, shuama.used_code, shuama.document, shuama.transfer TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE ON shuama.rider, shuama.bucket TO CURRENT_USER;
GRANT SELECT, INSERT, DELETE ON shuama.under_way, shuama.posted TO CURRENT_USER;
GRANT SELECT, INSERT ON shuama.schema_version TO CURRENT_USER;
GRANT SELECT ON shuama.posting TO CURRENT_USER;
GRANT UPDATE (balance, postings, floor) ON shuama.account TO CURRENT_USER;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shuama FROM PUBLIC;
