package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
)

// fakeBackup is the backup of a fakeOperator.
type fakeBackup struct {
	rows   []master.BackupRow
	failAt int // the row before which it fails; 0: it does not
	bodies map[string]string
}

func (f *fakeOperator) BeginBackup(limit time.Duration) (master.BackupStatus, error) {
	return master.BackupStatus{ID: "b1", Cluster: "c1", Began: time.Unix(1e9, 0)}, f.note("backup %v", limit)
}

func (f *fakeOperator) Backups() []master.BackupStatus {
	return []master.BackupStatus{{ID: "b1", Rows: 7}}
}

func (f *fakeOperator) Backup(id string) (master.BackupStatus, error) {
	if id != "b1" {
		return master.BackupStatus{}, &master.BackupGone{ID: id}
	}
	return master.BackupStatus{ID: "b1"}, f.err
}

func (f *fakeOperator) EndBackup(id string) (master.BackupStatus, error) {
	if id != "b1" {
		return master.BackupStatus{}, &master.BackupGone{ID: id}
	}
	return master.BackupStatus{ID: "b1"}, f.note("end %s", id)
}

func (f *fakeOperator) BackupRows(_ context.Context, id string, fn func(master.BackupRow) error) error {
	if id != "b1" {
		return &master.BackupGone{ID: id}
	}
	for i, r := range f.backup.rows {
		if f.backup.failAt > 0 && i == f.backup.failAt {
			return errors.New("the engine failed amid the rows")
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fakeOperator) BackupBody(_ context.Context, _ string, handle []byte, offset, length int64) (io.ReadCloser, error) {
	body, ok := f.backup.bodies[string(handle)]
	if !ok {
		return nil, &meta.Error{Kind: meta.KindCorrupt, Bucket: "b", Key: string(handle)}
	}
	return io.NopCloser(strings.NewReader(body[offset : offset+length])), nil
}

func TestAdminBackup(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	if st := wantDocument[adminapi.Backup](t, b.ask(t, "POST", "/backups", `{"seconds": 60}`), 201); st.ID != "b1" || st.Cluster != "c1" {
		t.Errorf("%+v", st)
	}
	b.wantDone(t, "backup 1m0s")
	for _, body := range []string{`{"seconds": -1}`, `{"seconds": 604801}`} {
		wantFailure(t, b.ask(t, "POST", "/backups", body), 400, "InvalidArgument", "604800")
	}
	wantFailure(t, b.ask(t, "POST", "/backups", ""), 400, "InvalidRequest", "a body is needed")
	if all := wantDocument[adminapi.Backups](t, b.ask(t, "GET", "/backups", ""), 200); len(all.Backups) != 1 || all.Backups[0].Rows != 7 {
		t.Errorf("%+v", all)
	}
	wantDocument[adminapi.Backup](t, b.ask(t, "GET", "/backups/b1", ""), 200)
	for _, path := range []string{"/backups", "/backups/b1", "/backups/b1/rows"} {
		wantFailure(t, b.ask(t, "GET", path, "{}"), 400, "InvalidRequest", "no body")
	}
	wantFailure(t, b.ask(t, "DELETE", "/backups/b1", "{}"), 400, "InvalidRequest", "no body")
	wantFailure(t, b.ask(t, "POST", "/backups/b1/bodies", ""), 400, "InvalidRequest", "a body is needed")
	for _, at := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"GET", "/rows"}} {
		wantFailure(t, b.ask(t, at[0], "/backups/b2"+at[1], ""), 404, "NoSuchBackup", "b2")
	}
	wantFailure(t, b.ask(t, "POST", "/backups/b2/bodies", `{"bodies": []}`), 404, "NoSuchBackup", "b2")
	wantDocument[adminapi.Backup](t, b.ask(t, "DELETE", "/backups/b1", ""), 200)
	b.wantDone(t, "end b1")
	b.operator.err = &master.ChangeError{Message: "as many as there may be"}
	wantFailure(t, b.ask(t, "POST", "/backups", "{}"), 409, "Refused", "as many")
}

// TestAdminBackupStreams: rows and bodies come as they are; what fails is noticed.
func TestAdminBackupStreams(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	b.operator.backup = fakeBackup{
		rows: []master.BackupRow{{Key: []byte("k1"), Value: []byte("v1")}, {Key: []byte("k2"), Bodies: []master.BackupBody{
			{ID: [16]byte{1}, Size: 5, Handle: []byte("h1")}, {Size: 0, Handle: []byte("h2")},
		}}},
		bodies: map[string]string{"h1": "first", "h2": "", "large": strings.Repeat("x", 3<<20)},
	}
	var rows []adminapi.BackupRow
	collect := func(r *adminapi.BackupRow) error { rows = append(rows, *r); return nil }
	if err := adminapi.ReadRows(b.ask(t, "GET", "/backups/b1/rows", "").Body, collect); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || string(rows[0].Value) != "v1" || len(rows[1].Bodies) != 2 || string(rows[1].Bodies[1].Handle) != "h2" || rows[1].Bodies[0].ID[0] != 1 {
		t.Errorf("%+v", rows)
	}
	in := b.ask(t, "POST", "/backups/b1/bodies", `{"bodies": [{"handle": "aDE=", "offset": 1, "length": 4}, {"handle": "aDI="}, {"handle": "bGFyZ2U=", "length": 3145728}]}`).Body
	for _, want := range []string{"irst", "", b.operator.backup.bodies["large"]} {
		if got, err := adminapi.ReadBody(in, int64(len(want))); err != nil || string(got) != want {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	in = b.ask(t, "POST", "/backups/b1/bodies", `{"bodies": [{"handle": "aDI="}, {"handle": "bm9uZQ=="}]}`).Body
	if _, err := adminapi.ReadBody(in, 0); err != nil {
		t.Error(err)
	}
	failed := (*adminapi.BodyError)(nil)
	if _, err := adminapi.ReadBody(in, 0); !errors.As(err, &failed) || !strings.Contains(failed.Text, "none") || !strings.Contains(failed.Text, "damaged") {
		t.Errorf("a body that can not be read: %v", err)
	}
	b.operator.backup.failAt = 1
	wantFailure(t, b.ask(t, "GET", "/backups/b1/rows", ""), 500, "InternalError", "")
	b.operator.backup.rows[0].Value = make([]byte, 60<<10)
	b.operator.backup.rows = append(b.operator.backup.rows, b.operator.backup.rows...)
	b.operator.backup.failAt = 3
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("rows that fail in the middle: %v", err)
		}
	}()
	b.ask(t, "GET", "/backups/b1/rows", "")
}

// TestBackupStreamBroken: no stream that is cut, or has a flipped bit, is taken
// for a whole one.
func TestBackupStreamBroken(t *testing.T) {
	t.Parallel()
	var stream, bodies bytes.Buffer
	w := adminapi.NewRowWriter(&stream)
	for range 3 {
		if err := w.Write(&adminapi.BackupRow{Key: []byte("key"), Value: []byte("value"), Bodies: []adminapi.BackupBody{{Size: 3, Handle: []byte("h")}}}); err != nil {
			t.Fatal(err)
		}
	}
	out := adminapi.NewBodyWriter(&bodies)
	_, writeErr := out.Write([]byte("a body"))
	if err := errors.Join(w.Close(), writeErr, out.End(), out.Flush()); err != nil {
		t.Fatal(err)
	}
	rows := func(b []byte) error {
		return adminapi.ReadRows(bytes.NewReader(b), func(*adminapi.BackupRow) error { return nil })
	}
	body := func(b []byte) error {
		_, err := adminapi.ReadBody(bytes.NewReader(b), 6)
		return err
	}
	for name, c := range map[string]struct {
		whole []byte
		read  func([]byte) error
	}{"rows": {stream.Bytes(), rows}, "body": {bodies.Bytes(), body}} {
		if err := c.read(c.whole); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range c.whole {
			if c.read(c.whole[:i]) == nil {
				t.Errorf("%s: cut at %d", name, i)
			}
			b := bytes.Clone(c.whole)
			b[i] ^= 4
			if c.read(b) == nil {
				t.Errorf("%s: bit in byte %d", name, i)
			}
		}
	}
}

// FuzzBackupStreams: nothing on the wire makes the reader fall over.
func FuzzBackupStreams(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x03\x00\x00\x00abc\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		if err := adminapi.ReadRows(bytes.NewReader(b), func(*adminapi.BackupRow) error { n++; return nil }); err != nil && !errors.Is(err, adminapi.ErrStream) {
			t.Errorf("%d rows: %v", n, err)
		}
		if got, err := adminapi.ReadBody(bytes.NewReader(b), 3); err == nil && len(got) != 3 {
			t.Errorf("%d bytes", len(got))
		}
	})
}
