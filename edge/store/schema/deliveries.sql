-- Notices on their way (通知队列). due is when the next attempt may be made, in microseconds of the Unix epoch;
-- nothing when none is made any more. What was delivered is gone.
CREATE TABLE delivery (
  id       TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 100),
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  due      INTEGER,
  body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (due) WHERE due IS NOT NULL;
