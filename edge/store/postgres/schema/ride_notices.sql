-- What riders are told of rides (乘车通知). It is written with the ride; rides from before these tables are not told.
CREATE INDEX ride_rider ON shuama.ride ("left"(target, 64), biz_time, no) WHERE target_type IN ('', 'ALIPAY_USER_ID');

-- A notice that is not on its way yet; then it is a job.
CREATE TABLE shuama.ride_notice (
  ride bigint PRIMARY KEY
);

-- Short messages (短信) that wait for a link to the short message centre. Whoever sends them finds the rider's phone.
CREATE TABLE shuama.sms (
  no    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ride  bigint NOT NULL UNIQUE,
  rider text   COLLATE "C" NOT NULL,
  text  text   NOT NULL CHECK (text <> ''),
  made  bigint NOT NULL
);

CREATE TRIGGER sms_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON shuama.sms FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.ride_notice, shuama.sms FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT, UPDATE, DELETE ON shuama.ride_notice TO CURRENT_USER;
GRANT SELECT, INSERT ON shuama.sms TO CURRENT_USER;
