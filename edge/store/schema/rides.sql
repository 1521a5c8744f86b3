-- Ride data, as merchants told it. Instants are microseconds of Unix time, UTC. content is the ride in the
-- JSON of its message; digest covers it and all other columns but received.

CREATE TABLE ride (
  no          INTEGER PRIMARY KEY,
  app         TEXT    NOT NULL CHECK (app <> ''),
  type        TEXT    NOT NULL CHECK (type IN ('order', 'event')),
  biz_no      TEXT    NOT NULL CHECK (biz_no <> ''),
  digest      BLOB    NOT NULL CHECK (length(digest) = 32),
  scene       TEXT    NOT NULL,
  channel     TEXT    NOT NULL,
  version     TEXT    NOT NULL,
  target      TEXT    NOT NULL CHECK (target <> ''),
  target_type TEXT    NOT NULL,
  biz_time    INTEGER NOT NULL,
  content     BLOB    NOT NULL,
  received    INTEGER NOT NULL,
  UNIQUE (app, type, biz_no)
) STRICT;

CREATE INDEX ride_target ON ride (app, target, biz_time);

CREATE TRIGGER ride_stands BEFORE UPDATE ON ride BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
CREATE TRIGGER ride_stays  BEFORE DELETE ON ride BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
