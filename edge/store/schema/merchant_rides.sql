-- What a merchant tells of its rides. Scans are found by their records, which rise; what a row is needed for is
-- what does not: a record that was readmitted, and a trade that ended. They are kept by triggers, so that whatever
-- a transaction commits is told.

-- record is the last that was looked at; takes is how often news were taken. Rides from before this table are not told.
CREATE TABLE merchant_ride_teller (
  no     INTEGER PRIMARY KEY CHECK (no = 1),
  record INTEGER NOT NULL,
  takes  INTEGER NOT NULL CHECK (takes >= 0),
  events INTEGER NOT NULL CHECK (events >= 0),
  orders INTEGER NOT NULL CHECK (orders >= 0),
  last   INTEGER NOT NULL
) STRICT;

INSERT INTO merchant_ride_teller (no, record, takes, events, orders, last) SELECT 1, ifnull(max(no), 0), 0, 0, 0, 0 FROM merchant_record;

CREATE TABLE merchant_ride_news (
  no    INTEGER PRIMARY KEY,
  tap   INTEGER,
  trade INTEGER,
  CHECK ((tap IS NULL) <> (trade IS NULL))
) STRICT;

-- What waits to be told, or stands aside. content is the ride in the JSON of its message. What was told is gone;
-- AUTOINCREMENT, so that no later ride goes under its number.
CREATE TABLE merchant_ride (
  no       INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id  TEXT    NOT NULL,
  channel  TEXT    NOT NULL,
  type     TEXT    NOT NULL CHECK (type IN ('event', 'order')),
  biz_no   TEXT    NOT NULL CHECK (biz_no <> ''),
  content  BLOB    NOT NULL,
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  next_try INTEGER NOT NULL,
  aside    INTEGER NOT NULL CHECK (aside IN (0, 1)),
  reason   TEXT    NOT NULL
) STRICT;

CREATE INDEX merchant_ride_user ON merchant_ride (user_id, no) WHERE aside = 0;
CREATE INDEX merchant_ride_due ON merchant_ride (next_try, no) WHERE aside = 0;
CREATE INDEX merchant_ride_aside ON merchant_ride (biz_no) WHERE aside = 1;

CREATE TRIGGER merchant_ride_readmitted AFTER DELETE ON merchant_aside
WHEN OLD.record <= (SELECT record FROM merchant_ride_teller)
BEGIN INSERT INTO merchant_ride_news (tap) VALUES (OLD.record); END;

CREATE TRIGGER merchant_ride_ended AFTER UPDATE OF state ON merchant_trade
WHEN NEW.state <> OLD.state AND NEW.state IN ('SETTLED', 'FAILED') AND NEW.attempts > 0
BEGIN INSERT INTO merchant_ride_news (trade) VALUES (NEW.no); END;

CREATE TRIGGER merchant_ride_free AFTER INSERT ON merchant_trade
WHEN NEW.state = 'FREE'
BEGIN INSERT INTO merchant_ride_news (trade) VALUES (NEW.no); END;

CREATE TRIGGER merchant_ride_content BEFORE UPDATE OF no, user_id, channel, type, biz_no, content ON merchant_ride
BEGIN SELECT RAISE(ABORT, 'what is told is written once'); END;
