-- What risk rules keep of riders: scans (1), findings (2), and the appeals (3) that set findings aside. Nothing
-- of it moves money. Instants are microseconds of Unix time, UTC; content is JSON.

CREATE TABLE risk_entry (
  user_id TEXT    NOT NULL CHECK (user_id <> ''),
  kind    INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),
  at      INTEGER NOT NULL,
  key     TEXT    NOT NULL CHECK (key <> ''),
  content BLOB    NOT NULL,
  PRIMARY KEY (user_id, kind, at, key)
) STRICT, WITHOUT ROWID;

-- There are few of them among many scans.
CREATE INDEX risk_finding ON risk_entry (user_id, at, key) WHERE kind = 2;

-- How far they have looked at the trades that were settled.
CREATE TABLE risk_seen (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  day   INTEGER NOT NULL,
  after INTEGER NOT NULL,
  again INTEGER NOT NULL CHECK (again IN (0, 1))
) STRICT;

CREATE TRIGGER risk_entry_stands BEFORE UPDATE ON risk_entry BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER risk_entry_stays  BEFORE DELETE ON risk_entry BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
