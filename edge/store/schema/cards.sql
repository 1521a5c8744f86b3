-- The register of virtual cards, each as its merchant told it last. Amounts are fen; instants are
-- microseconds of Unix time, UTC.

CREATE TABLE virtual_card (
  card_type     TEXT    NOT NULL CHECK (card_type <> ''),
  card_no       TEXT    NOT NULL CHECK (card_no <> ''),
  app           TEXT    NOT NULL CHECK (app <> ''),
  user_id       TEXT    NOT NULL CHECK (user_id <> ''),
  open_id       TEXT    NOT NULL,
  data          BLOB    NOT NULL,
  balance       INTEGER, -- none where the merchant names none
  disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  disabled_code TEXT    NOT NULL,
  disabled_tips TEXT    NOT NULL,
  scene         TEXT    NOT NULL,
  ext_info      TEXT    NOT NULL,
  sub_action    TEXT    NOT NULL,
  revoked       INTEGER NOT NULL CHECK (revoked IN (0, 1)),
  last_update   INTEGER NOT NULL,
  received      INTEGER NOT NULL,
  PRIMARY KEY (card_type, card_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX virtual_card_user ON virtual_card (app, user_id, card_type, card_no);
CREATE INDEX virtual_card_no ON virtual_card (app, card_no, card_type);

CREATE TRIGGER virtual_card_keeps BEFORE UPDATE ON virtual_card
WHEN NEW.card_type <> OLD.card_type OR NEW.card_no <> OLD.card_no OR NEW.app <> OLD.app OR NEW.user_id <> OLD.user_id
BEGIN SELECT RAISE(ROLLBACK, 'a card stays its app''s and its user''s'); END;

CREATE TRIGGER virtual_card_goes_on BEFORE UPDATE ON virtual_card
WHEN NEW.last_update < OLD.last_update
BEGIN SELECT RAISE(ROLLBACK, 'what is older never overwrites'); END;

CREATE TRIGGER virtual_card_stays BEFORE DELETE ON virtual_card BEGIN SELECT RAISE(ROLLBACK, 'a card is revoked, not deleted'); END;
