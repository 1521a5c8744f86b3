-- Ride data, as merchants told it. Instants are microseconds of Unix time, UTC. content is the ride in the
-- JSON of its message; digest covers it and all other columns but received.

CREATE TABLE shuama.ride (
  no          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app         text   COLLATE "C" NOT NULL CHECK (app <> ''),
  type        text   COLLATE "C" NOT NULL CHECK (type IN ('order', 'event')),
  biz_no      text   COLLATE "C" NOT NULL CHECK (biz_no <> ''),
  digest      bytea  NOT NULL CHECK (octet_length(digest) = 32),
  scene       text   COLLATE "C" NOT NULL,
  channel     text   COLLATE "C" NOT NULL,
  version     text   COLLATE "C" NOT NULL,
  target      text   COLLATE "C" NOT NULL CHECK (target <> ''),
  target_type text   COLLATE "C" NOT NULL,
  biz_time    bigint NOT NULL,
  content     bytea  NOT NULL,
  received    bigint NOT NULL,
  UNIQUE (app, type, biz_no)
);

-- A list of targets may be longer than what an index takes: it is found by how it begins.
CREATE INDEX ride_target ON shuama.ride (app, "left"(target, 64), biz_time);

CREATE TRIGGER ride_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.ride FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.ride FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT ON shuama.ride TO CURRENT_USER;
