package master

import (
	"errors"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestCoders(t *testing.T) {
	t.Parallel()
	e := &Engine{coders: newCoders()}
	one, err := e.coder(meta.Code{Data: 4, Parity: 2})
	if err != nil || one.Data != 4 || one.Parity != 2 {
		t.Fatalf("4+2: %v, %v", one, err)
	}
	if again, err := e.coder(meta.Code{Data: 4, Parity: 2}); err != nil || again != one {
		t.Errorf("the second time: %v, want the same", err)
	}
	if other, err := e.coder(meta.Code{Data: 2, Parity: 1}); err != nil || other.Data != 2 || other.Parity != 1 {
		t.Errorf("2+1: %v, %v", other, err)
	}
	if _, err := e.coder(meta.Code{Data: 4}); !errors.Is(err, metadb.ErrBadRecord) {
		t.Errorf("no parity: %v, want ErrBadRecord", err)
	}
}
