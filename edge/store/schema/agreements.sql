-- Who has signed up to pay for rides with cards of a type. Instants are microseconds of Unix time, UTC.

CREATE TABLE agreement (
  number    TEXT    NOT NULL PRIMARY KEY CHECK (number <> ''),
  user_id   TEXT    NOT NULL CHECK (user_id <> ''),
  card_type TEXT    NOT NULL CHECK (card_type <> ''),
  app       TEXT    NOT NULL CHECK (app <> ''),
  text      BLOB    NOT NULL CHECK (length(text) = 32),
  signed    INTEGER NOT NULL,
  ended     INTEGER CHECK (ended >= signed)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX agreement_holds ON agreement (user_id, card_type) WHERE ended IS NULL;

CREATE TRIGGER agreement_ends BEFORE UPDATE ON agreement
WHEN OLD.ended IS NOT NULL OR NEW.ended IS NULL OR NEW.number <> OLD.number OR NEW.user_id <> OLD.user_id
  OR NEW.card_type <> OLD.card_type OR NEW.app <> OLD.app OR NEW.text <> OLD.text OR NEW.signed <> OLD.signed
BEGIN SELECT RAISE(ROLLBACK, 'an agreement is ended, once, and not changed'); END;

CREATE TRIGGER agreement_stays BEFORE DELETE ON agreement BEGIN SELECT RAISE(ROLLBACK, 'append only'); END;
