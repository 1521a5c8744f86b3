-- What risk rules keep of riders: scans (1), findings (2), and the appeals (3) that set findings aside. Nothing
-- of it moves money. Instants are microseconds of Unix time, UTC; content is JSON.

CREATE TABLE shuama.risk_entry (
  bucket  integer  NOT NULL,
  user_id text     COLLATE "C" NOT NULL CHECK (user_id <> ''),
  kind    smallint NOT NULL CHECK (kind IN (1, 2, 3)),
  at      bigint   NOT NULL,
  key     text     COLLATE "C" NOT NULL CHECK (key <> ''),
  content bytea    NOT NULL,
  PRIMARY KEY (bucket, user_id, kind, at, key)
);

-- There are few of them among many scans.
CREATE INDEX risk_finding ON shuama.risk_entry (bucket, user_id, at, key) WHERE kind = 2;

-- How far they have looked at the trades that were settled.
CREATE TABLE shuama.risk_seen (
  bucket integer NOT NULL PRIMARY KEY,
  day    integer NOT NULL,
  after  bigint  NOT NULL,
  again  boolean NOT NULL
);

CREATE TRIGGER risk_entry_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.risk_entry FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();
CREATE TRIGGER risk_seen_stays   BEFORE DELETE OR TRUNCATE           ON shuama.risk_seen  FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.risk_entry, shuama.risk_seen FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT ON shuama.risk_entry TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE ON shuama.risk_seen TO CURRENT_USER;
