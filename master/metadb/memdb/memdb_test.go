package memdb_test

import (
	"testing"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/dbtest"
	"tdkvs/master/metadb/memdb"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Engine{
		Open:     func(testing.TB, string) metadb.DB { return memdb.New() },
		Volatile: true,
	})
}
