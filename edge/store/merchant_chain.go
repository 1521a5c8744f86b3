package store

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
)

// Chains implements merchant.ChainStore.
func (s *MerchantStore) Chains(ctx context.Context) (filed record.ID, chains []merchant.SavedChain, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		if filed, err = lastFiled(conn); err != nil {
			return err
		}
		return each(conn, "SELECT "+chainColumns+" FROM merchant_chain ORDER BY pos_id", []struct{}{{}}, func(*sqlite.Stmt, struct{}) {},
			func(stmt *sqlite.Stmt, _ struct{}) error {
				chains = append(chains, readChain(stmt))
				return nil
			})
	})
	if err != nil {
		return record.ID{}, nil, fmt.Errorf("store: chains: %w", err)
	}
	return filed, chains, nil
}

const chainColumns = "pos_id, filed, followed, unverified, key, state, fault"

func readChain(stmt *sqlite.Stmt) merchant.SavedChain {
	return merchant.SavedChain{POSID: stmt.ColumnText(0), Filed: int(stmt.ColumnInt64(1)), Followed: int(stmt.ColumnInt64(2)),
		Unverified: int(stmt.ColumnInt64(3)), Key: filledBytes(stmt, 4), State: filledBytes(stmt, 5), Fault: stmt.ColumnText(6)}
}

// filledBytes is nil for no bytes, as merchant has it.
func filledBytes(stmt *sqlite.Stmt, column int) []byte {
	if stmt.ColumnLen(column) == 0 {
		return nil
	}
	return columnBytes(stmt, column)
}

func lastFiled(conn *sqlite.Conn) (filed record.ID, err error) {
	err = each(conn, "SELECT r.id FROM merchant_filed f CROSS JOIN merchant_record r ON r.no = f.record", []struct{}{{}}, func(*sqlite.Stmt, struct{}) {},
		func(stmt *sqlite.Stmt, _ struct{}) error {
			stmt.ColumnBytes(0, filed[:])
			return nil
		})
	return filed, err
}

// FiledRecords implements merchant.ChainStore.
func (s *MerchantStore) FiledRecords(ctx context.Context, posID string, skip, count int) (records []merchant.StoredRecord, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, `SELECT r.id, r.bytes, r.received, ifnull(a.reason, '') FROM merchant_place p CROSS JOIN merchant_record r ON r.no = p.record
			LEFT JOIN merchant_aside a ON a.record = r.no
			WHERE p.chain = (SELECT no FROM merchant_chain WHERE pos_id = +?) AND p.place > +? ORDER BY p.place LIMIT +?`, []string{posID},
			func(stmt *sqlite.Stmt, posID string) {
				stmt.BindText(1, posID)
				stmt.BindInt64(2, int64(skip))
				stmt.BindInt64(3, int64(count))
			},
			func(stmt *sqlite.Stmt, _ string) error {
				records = append(records, readStoredRecord(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: filed records: %w", err)
	}
	return records, nil
}

// KeptPlaces implements merchant.ChainStore.
func (s *MerchantStore) KeptPlaces(ctx context.Context, posID string, seqs []uint64, ids []record.StatementID) (map[uint64]record.StatementID, map[record.StatementID]uint64, error) {
	bySeq, seqOf := map[uint64]record.StatementID{}, map[record.StatementID]uint64{}
	err := s.db.read(ctx, func(conn *sqlite.Conn) error {
		err := each(conn, `SELECT statement FROM merchant_place WHERE chain = (SELECT no FROM merchant_chain WHERE pos_id = +?)
			AND seq = +? AND chained = 1 ORDER BY place LIMIT 1`, seqs,
			func(stmt *sqlite.Stmt, seq uint64) {
				stmt.BindText(1, posID)
				stmt.BindInt64(2, int64(seq))
			},
			func(stmt *sqlite.Stmt, seq uint64) error {
				var id record.StatementID
				stmt.ColumnBytes(0, id[:])
				bySeq[seq] = id
				return nil
			})
		if err != nil {
			return err
		}
		return each(conn, `SELECT seq FROM merchant_place WHERE chain = (SELECT no FROM merchant_chain WHERE pos_id = +?)
			AND statement = +? AND chained = 1 LIMIT 1`, ids,
			func(stmt *sqlite.Stmt, id record.StatementID) {
				stmt.BindText(1, posID)
				stmt.BindBytes(2, id[:])
			},
			func(stmt *sqlite.Stmt, id record.StatementID) error {
				seqOf[id] = uint64(stmt.ColumnInt64(0))
				return nil
			})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("store: kept places: %w", err)
	}
	return bySeq, seqOf, nil
}

// SaveChains implements merchant.ChainStore.
func (s *MerchantStore) SaveChains(ctx context.Context, changes merchant.ChainChanges) error {
	err := s.db.write(ctx, func(conn *sqlite.Conn) error {
		if changes.FiledAfter != (record.ID{}) {
			if err := saveFiled(conn, changes); err != nil {
				return err
			}
		}
		if changes.After.POSID == "" {
			return nil
		}
		return saveChain(conn, changes)
	})
	if err != nil && !errors.Is(err, merchant.ErrMoved) {
		return fmt.Errorf("store: save chains: %w", err)
	}
	return err
}

// saveFiled files records under their terminals, and moves the mark behind them.
func saveFiled(conn *sqlite.Conn, changes merchant.ChainChanges) error {
	if filed, err := lastFiled(conn); err != nil {
		return err
	} else if filed != changes.FiledBefore {
		return merchant.ErrMoved
	}
	for _, place := range changes.Filed {
		if err := fileOne(conn, place); err != nil {
			return err
		}
	}
	return change(conn, `INSERT INTO merchant_filed (no, record) SELECT 1, no FROM merchant_record WHERE id = ? ON CONFLICT (no) DO UPDATE SET record = excluded.record`,
		[]record.ID{changes.FiledAfter}, func(stmt *sqlite.Stmt, id record.ID) { stmt.BindBytes(1, id[:]) })
}

func fileOne(conn *sqlite.Conn, place merchant.FiledPlace) error {
	one := []merchant.FiledPlace{place}
	err := change(conn, `INSERT INTO merchant_chain (pos_id, filed, followed, unverified, key, state, fault) VALUES (?, 1, 0, 0, x'', x'', '')
		ON CONFLICT (pos_id) DO UPDATE SET filed = filed + 1`, one, func(stmt *sqlite.Stmt, p merchant.FiledPlace) { stmt.BindText(1, p.POSID) })
	if err != nil {
		return err
	}
	return change(conn, `INSERT INTO merchant_place (chain, place, record, seq, statement, chained)
		SELECT c.no, c.filed, r.no, ?3, ?4, 0 FROM merchant_chain c CROSS JOIN merchant_record r WHERE c.pos_id = +?1 AND r.id = +?2`, one,
		func(stmt *sqlite.Stmt, p merchant.FiledPlace) {
			stmt.BindText(1, p.POSID)
			stmt.BindBytes(2, p.Record[:])
			stmt.BindInt64(3, int64(p.Seq))
			stmt.BindBytes(4, p.ID[:])
		})
}

// saveChain writes how far a chain was followed, if it still stands where the decision was made.
func saveChain(conn *sqlite.Conn, changes merchant.ChainChanges) error {
	stmt, err := conn.Prepare(`UPDATE merchant_chain SET followed = ?4, unverified = ?5, key = ?6, state = ?7, fault = ?8
		WHERE pos_id = +?1 AND followed = +?2 AND key = +?3`)
	if err != nil {
		return err
	}
	after := changes.After
	stmt.BindText(1, after.POSID)
	stmt.BindInt64(2, int64(changes.Before.Followed))
	stmt.BindBytes(3, notNil(changes.Before.Key))
	stmt.BindInt64(4, int64(after.Followed))
	stmt.BindInt64(5, int64(after.Unverified))
	stmt.BindBytes(6, notNil(after.Key))
	stmt.BindBytes(7, notNil(after.State))
	stmt.BindText(8, after.Fault)
	if err := run(stmt); err != nil {
		return err
	}
	if conn.Changes() != 1 {
		return merchant.ErrMoved
	}
	if changes.Begun {
		none := func(*sqlite.Stmt, string) error { return nil }
		err := each(conn, "UPDATE merchant_place SET chained = 0 WHERE chained = 1 AND chain = (SELECT no FROM merchant_chain WHERE pos_id = ?)", []string{after.POSID},
			func(stmt *sqlite.Stmt, posID string) { stmt.BindText(1, posID) }, none)
		if err != nil {
			return err
		}
	}
	return change(conn, "UPDATE merchant_place SET chained = 1 WHERE chain = (SELECT no FROM merchant_chain WHERE pos_id = +?) AND place = +?", changes.Followed,
		func(stmt *sqlite.Stmt, place int) {
			stmt.BindText(1, after.POSID)
			stmt.BindInt64(2, int64(place))
		})
}
