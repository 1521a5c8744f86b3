package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// AgreementStore keeps who has signed up to what (签约). It implements codeissuer.AgreementStore; what it promises is
// written there.
type AgreementStore struct{ db *DB }

var _ codeissuer.AgreementStore = (*AgreementStore)(nil)

// Agreements is the agreements in the database.
func (db *DB) Agreements() *AgreementStore { return &AgreementStore{db: db} }

// Sign implements codeissuer.AgreementStore. Of two that sign at once, one does, and the other is given the same.
func (s *AgreementStore) Sign(ctx context.Context, a codeissuer.Agreement) (codeissuer.Agreement, error) {
	var kept codeissuer.Agreement
	err := s.db.transact(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `insert into shuama.agreement (number, user_id, card_type, app, text, signed) values ($1, $2, $3, $4, $5, $6)
			on conflict (user_id, card_type) where ended is null do nothing`,
			a.Number, string(a.User), string(a.CardType), string(a.App), a.Text[:], a.Signed.UnixMicro())
		if err != nil {
			return err
		}
		kept, _, err = currentAgreement(ctx, conn, a.User, a.CardType) // a statement of its own: it sees what another has added
		return err
	})
	if err != nil {
		return codeissuer.Agreement{}, fmt.Errorf("postgres: agreement: %w", err)
	}
	return kept, nil
}

func currentAgreement(ctx context.Context, conn *pgx.Conn, user ridecode.UserID, cardType ridecode.CardType) (codeissuer.Agreement, bool, error) {
	rows, err := conn.Query(ctx, "select number, app, text, signed from shuama.agreement where user_id = $1 and card_type = $2 and ended is null",
		string(user), string(cardType))
	if err != nil {
		return codeissuer.Agreement{}, false, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a codeissuer.Agreement, err error) {
		var text []byte
		var signed int64
		err = row.Scan(&a.Number, &a.App, &text, &signed)
		a.User, a.CardType, a.Signed = user, cardType, instant(signed)
		copy(a.Text[:], text)
		return a, err
	})
	if err != nil || len(found) == 0 {
		return codeissuer.Agreement{}, false, err
	}
	return found[0], true, nil
}

// Current implements codeissuer.AgreementStore.
func (s *AgreementStore) Current(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (a codeissuer.Agreement, holds bool, err error) {
	if !isText(string(user)) || !isText(string(cardType)) {
		return codeissuer.Agreement{}, false, ctx.Err() // nothing of that name can be there
	}
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		a, holds, err = currentAgreement(ctx, conn, user, cardType)
		return err
	})
	if err != nil {
		return codeissuer.Agreement{}, false, fmt.Errorf("postgres: agreement: %w", err)
	}
	return a, holds, nil
}

// End implements codeissuer.AgreementStore.
func (s *AgreementStore) End(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType, at time.Time) error {
	err := s.db.transact(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "update shuama.agreement set ended = greatest($3, signed) where user_id = $1 and card_type = $2 and ended is null",
			string(user), string(cardType), at.UnixMicro())
		return err
	})
	if err != nil {
		return fmt.Errorf("postgres: agreement: %w", err)
	}
	return nil
}
