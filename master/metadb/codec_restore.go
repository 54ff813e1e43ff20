package metadb

import "time"

// Restore is there while a backup is being restored: how far that is.
//
//	message Restore {
//	  bytes  backup     = 1;
//	  uint64 rows       = 2;
//	  int64  started_ms = 3;
//	}
type Restore struct {
	Backup  string    // its id; empty: none is being restored
	Rows    uint64    // of the backup, from its first on, that are restored
	Started time.Time //
}

// MarshalRestore encodes how far a restore is.
func MarshalRestore(r *Restore) ([]byte, error) {
	e := newRecord(64)
	e.str(1, r.Backup)
	e.uint(2, r.Rows)
	e.time(3, r.Started)
	return e.record("restore")
}

// UnmarshalRestore decodes how far a restore is.
func UnmarshalRestore(b []byte) (Restore, error) {
	var r Restore
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			r.Backup = d.str()
		case 2:
			r.Rows = d.uint()
		case 3:
			r.Started = d.time()
		}
	}
	return r, d.err
}
