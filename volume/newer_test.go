package volume_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// contents reads every file below a directory.
func contents(t testing.TB, fsys vfs.FS, name string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := fsys.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := name + "/" + e.Name()
		if e.IsDir() {
			maps.Copy(files, contents(t, fsys, path))
			continue
		}
		b, err := vfs.ReadFile(fsys, path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(b)
	}
	return files
}

// resum makes a record header right again after a change.
func resum(t testing.TB, mem *vfs.Mem, header []byte) {
	t.Helper()
	b, err := vfs.ReadFile(mem, identityPath)
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Volume uuid.UUID }
	if err := json.Unmarshal(b[:bytes.IndexByte(b, '\n')], &line); err != nil {
		t.Fatal(err)
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, b := range [][]byte{line.Volume[:], header[:60]} {
		_, _ = sum.Write(b) // a hash takes everything
	}
	binary.LittleEndian.PutUint32(header[60:], sum.Sum32())
}

// TestNewerFormats: what a later release has written, in any file of the volume, is refused by name, and nothing is changed:
// least of all is it taken for damage, or for the torn end of a log, and cut off.
func TestNewerFormats(t *testing.T) {
	t.Parallel()
	const segment = dir + "/segments/00000001.seg"
	identity := func(b []byte) []byte {
		line := bytes.Replace(b[:bytes.IndexByte(b, '\n')+1], []byte(`"format":1`), []byte(`"format":2`), 1)
		return fmt.Appendf(line, "crc32c %08x\n", crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
	}
	// record changes a byte of a record's header: of the first in the log, or the last.
	record := func(mem *vfs.Mem, last bool, at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte {
			off := 64
			if last {
				off = bytes.LastIndex(b, []byte("tdkR"))
			}
			header := b[off : off+64]
			header[at] = to
			resum(t, mem, header)
			return b
		}
	}
	for name, tt := range map[string]struct {
		file   string
		sealed bool
		change func(mem *vfs.Mem) func([]byte) []byte
		want   string
	}{
		"identity": {identityPath, false, func(*vfs.Mem) func([]byte) []byte { return identity }, "format 2"},
		"segment": {segment, false, func(*vfs.Mem) func([]byte) []byte {
			return func(b []byte) []byte {
				b[8] = 2
				binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
				return b
			}
		}, "format 2"},
		"first record":       {segment, false, func(m *vfs.Mem) func([]byte) []byte { return record(m, false, 4, 2) }, "format 2"},
		"last record":        {segment, false, func(m *vfs.Mem) func([]byte) []byte { return record(m, true, 4, 3) }, "format 3"},
		"kind of record":     {segment, false, func(m *vfs.Mem) func([]byte) []byte { return record(m, true, 5, 9) }, "kind 9"},
		"flag of a record":   {segment, false, func(m *vfs.Mem) func([]byte) []byte { return record(m, true, 6, 1) }, "format 1"},
		"record, and footer": {segment, true, func(m *vfs.Mem) func([]byte) []byte { return newerFooter(record(m, false, 4, 2)) }, "format 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			s := open(t, small(mem))
			for i := range 5 {
				mustPut2(t, s, i+1, 100)
			}
			if tt.sealed {
				if err := s.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			closeStore(t, s)
			edit(t, mem, tt.file, tt.change(mem))
			if name == "identity" {
				edit(t, mem, identityCopyPath, identity)
			}
			before := contents(t, mem, dir)
			_, err := volume.Open(small(mem))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("opened: %v, want it to name the file and say %q", err, tt.want)
			}
			if after := contents(t, mem, dir); !maps.Equal(before, after) {
				t.Error("the volume was changed")
			}
		})
	}
}

// newerFooter makes the footer one of a later release, so that the records are read.
func newerFooter(change func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b[len(b)-32+4] = 2
		return change(b)
	}
}
