package store

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// AgreementStore keeps who has signed up to what (签约). It implements codeissuer.AgreementStore; what it promises is
// written there.
type AgreementStore struct{ db *DB }

var _ codeissuer.AgreementStore = (*AgreementStore)(nil)

// Agreements is the agreements in the file.
func (db *DB) Agreements() *AgreementStore { return &AgreementStore{db: db} }

// Sign implements codeissuer.AgreementStore.
func (s *AgreementStore) Sign(ctx context.Context, a codeissuer.Agreement) (codeissuer.Agreement, error) {
	err := s.db.write(ctx, func(conn *sqlite.Conn) error {
		before, holds, err := currentAgreement(conn, a.User, a.CardType)
		if err != nil || holds {
			a = before
			return err
		}
		return insertAgreement(conn, a)
	})
	if err != nil {
		return codeissuer.Agreement{}, fmt.Errorf("store: agreement: %w", err)
	}
	return a, nil
}

func insertAgreement(conn *sqlite.Conn, a codeissuer.Agreement) error {
	return insert(conn, "INSERT INTO agreement (number, user_id, card_type, app, text, signed) VALUES (?, ?, ?, ?, ?, ?)", []codeissuer.Agreement{a},
		func(stmt *sqlite.Stmt, a codeissuer.Agreement) {
			for i, text := range []string{a.Number, string(a.User), string(a.CardType), string(a.App)} {
				stmt.BindText(i+1, text)
			}
			stmt.BindBytes(5, a.Text[:])
			stmt.BindInt64(6, a.Signed.UnixMicro())
		})
}

func currentAgreement(conn *sqlite.Conn, user ridecode.UserID, cardType ridecode.CardType) (a codeissuer.Agreement, holds bool, err error) {
	err = one(conn, "SELECT number, app, text, signed FROM agreement WHERE user_id = ? AND card_type = ? AND ended IS NULL",
		[]string{string(user), string(cardType)}, func(stmt *sqlite.Stmt) error {
			holds = true
			a = codeissuer.Agreement{Number: stmt.ColumnText(0), User: user, CardType: cardType, App: codeissuer.AppID(stmt.ColumnText(1)),
				Signed: instant(stmt.ColumnInt64(3))}
			stmt.ColumnBytes(2, a.Text[:])
			return nil
		})
	return a, holds, err
}

// Current implements codeissuer.AgreementStore.
func (s *AgreementStore) Current(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (a codeissuer.Agreement, holds bool, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		a, holds, err = currentAgreement(conn, user, cardType)
		return err
	})
	if err != nil {
		return codeissuer.Agreement{}, false, fmt.Errorf("store: agreement: %w", err)
	}
	return a, holds, nil
}

// End implements codeissuer.AgreementStore.
func (s *AgreementStore) End(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType, at time.Time) error {
	err := s.db.write(ctx, func(conn *sqlite.Conn) error {
		return insert(conn, "UPDATE agreement SET ended = max(?, signed) WHERE user_id = ? AND card_type = ? AND ended IS NULL", []time.Time{at},
			func(stmt *sqlite.Stmt, at time.Time) {
				stmt.BindInt64(1, at.UnixMicro())
				stmt.BindText(2, string(user))
				stmt.BindText(3, string(cardType))
			})
	})
	if err != nil {
		return fmt.Errorf("store: agreement: %w", err)
	}
	return nil
}
