-- The register of virtual cards, each as its merchant told it last. Amounts are fen; instants are
-- microseconds of Unix time, UTC.

CREATE TABLE shuama.virtual_card (
  card_type     text    COLLATE "C" NOT NULL CHECK (card_type <> ''),
  card_no       text    COLLATE "C" NOT NULL CHECK (card_no <> ''),
  app           text    COLLATE "C" NOT NULL CHECK (app <> ''),
  user_id       text    COLLATE "C" NOT NULL CHECK (user_id <> ''),
  open_id       text    COLLATE "C" NOT NULL,
  data          bytea   NOT NULL,
  balance       bigint, -- none where the merchant names none
  disabled      boolean NOT NULL,
  disabled_code text    COLLATE "C" NOT NULL,
  disabled_tips text    COLLATE "C" NOT NULL,
  scene         text    COLLATE "C" NOT NULL,
  ext_info      text    COLLATE "C" NOT NULL,
  sub_action    text    COLLATE "C" NOT NULL,
  revoked       boolean NOT NULL,
  last_update   bigint  NOT NULL,
  received      bigint  NOT NULL,
  PRIMARY KEY (card_type, card_no)
);

CREATE INDEX virtual_card_user ON shuama.virtual_card (app, user_id, card_type, card_no);
CREATE INDEX virtual_card_no ON shuama.virtual_card (app, card_no, card_type);

CREATE FUNCTION shuama.virtual_card_keeps() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.card_type <> OLD.card_type OR NEW.card_no <> OLD.card_no OR NEW.app <> OLD.app OR NEW.user_id <> OLD.user_id THEN
    RAISE EXCEPTION 'a card stays its app''s and its user''s' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.last_update < OLD.last_update THEN
    RAISE EXCEPTION 'what is older never overwrites' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER virtual_card_keeps BEFORE UPDATE ON shuama.virtual_card FOR EACH ROW EXECUTE FUNCTION shuama.virtual_card_keeps();
CREATE TRIGGER virtual_card_stays BEFORE DELETE OR TRUNCATE ON shuama.virtual_card FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.virtual_card FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT, UPDATE ON shuama.virtual_card TO CURRENT_USER;
REVOKE ALL ON FUNCTION shuama.virtual_card_keeps() FROM PUBLIC;
