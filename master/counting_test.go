package master_test

import (
	"bytes"
	"context"

	"tdkvs/master/metadb"
)

// work is what transactions did: rows read one by one, rows that scans passed,
// moves of cursors, rows written.
type work struct{ gets, passed, moves, writes int }

// countingDB counts the work of the transactions that it runs. It is used by one
// goroutine.
type countingDB struct {
	metadb.DB
	work    work
	scanned []byte // where the last scan began
}

// countWork counts the work of the store from now on.
func (s *store) countWork() *countingDB {
	db := &countingDB{DB: s.db.DB}
	s.db.DB = db
	return db
}

func (db *countingDB) View(ctx context.Context, fn func(metadb.Tx) error) error {
	return db.DB.View(ctx, func(tx metadb.Tx) error { return fn(countingTx{tx, db}) })
}

func (db *countingDB) Update(ctx context.Context, fn func(metadb.Tx) error) error {
	return db.DB.Update(ctx, func(tx metadb.Tx) error { return fn(countingTx{tx, db}) })
}

type countingTx struct {
	metadb.Tx
	db *countingDB
}

func (tx countingTx) Get(key []byte) ([]byte, error) {
	tx.db.work.gets++
	return tx.Tx.Get(key)
}

func (tx countingTx) Set(key, value []byte) error {
	tx.db.work.writes++
	return tx.Tx.Set(key, value)
}

func (tx countingTx) Delete(key []byte) error {
	tx.db.work.writes++
	return tx.Tx.Delete(key)
}

func (tx countingTx) Scan(start, end []byte, fn func(key, value []byte) (bool, error)) error {
	tx.db.scanned = bytes.Clone(start)
	return tx.Tx.Scan(start, end, func(k, v []byte) (bool, error) {
		tx.db.work.passed++
		return fn(k, v)
	})
}

func (tx countingTx) Seek(start, end []byte) metadb.Cursor {
	return countingCursor{tx.Tx.Seek(start, end), &tx.db.work}
}

type countingCursor struct {
	metadb.Cursor
	work *work
}

func (c countingCursor) Next() {
	c.work.moves++
	c.Cursor.Next()
}

func (c countingCursor) SeekTo(key []byte) {
	c.work.moves++
	c.Cursor.SeekTo(key)
}
