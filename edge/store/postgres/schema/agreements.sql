-- Who has signed up to pay for rides with cards of a type. Instants are microseconds of Unix time, UTC.

CREATE TABLE shuama.agreement (
  number    text   COLLATE "C" NOT NULL PRIMARY KEY CHECK (number <> ''),
  user_id   text   COLLATE "C" NOT NULL CHECK (user_id <> ''),
  card_type text   COLLATE "C" NOT NULL CHECK (card_type <> ''),
  app       text   COLLATE "C" NOT NULL CHECK (app <> ''),
  text      bytea  NOT NULL CHECK (octet_length(text) = 32),
  signed    bigint NOT NULL,
  ended     bigint CHECK (ended >= signed)
);

CREATE UNIQUE INDEX agreement_holds ON shuama.agreement (user_id, card_type) WHERE ended IS NULL;

CREATE FUNCTION shuama.agreement_ends() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.ended IS NOT NULL OR NEW.ended IS NULL OR NEW.number <> OLD.number OR NEW.user_id <> OLD.user_id
    OR NEW.card_type <> OLD.card_type OR NEW.app <> OLD.app OR NEW.text <> OLD.text OR NEW.signed <> OLD.signed THEN
    RAISE EXCEPTION 'an agreement is ended, once, and not changed' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER agreement_ends BEFORE UPDATE ON shuama.agreement FOR EACH ROW EXECUTE FUNCTION shuama.agreement_ends();
CREATE TRIGGER agreement_stays BEFORE DELETE OR TRUNCATE ON shuama.agreement FOR EACH STATEMENT EXECUTE FUNCTION shuama.append_only();

REVOKE ALL ON shuama.agreement FROM PUBLIC, CURRENT_USER;
GRANT SELECT, INSERT, UPDATE ON shuama.agreement TO CURRENT_USER;
REVOKE ALL ON FUNCTION shuama.agreement_ends() FROM PUBLIC;
