-- What riders are told of rides (乘车通知). It is written with the ride; rides from before these tables are not told.
CREATE INDEX ride_rider ON ride (target, biz_time, no) WHERE target_type IN ('', 'ALIPAY_USER_ID');

-- A notice that is not on its way yet; then it stands in delivery.
CREATE TABLE ride_notice (
  ride INTEGER PRIMARY KEY REFERENCES ride
) STRICT;

-- Short messages (短信) that wait for a link to the short message centre. Whoever sends them finds the rider's phone.
CREATE TABLE sms (
  no    INTEGER PRIMARY KEY,
  ride  INTEGER NOT NULL UNIQUE REFERENCES ride,
  rider TEXT    NOT NULL,
  text  TEXT    NOT NULL CHECK (text <> ''),
  made  INTEGER NOT NULL
) STRICT;
