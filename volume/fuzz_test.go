package volume_test

import (
	"bytes"
	"testing"

	"tdkvs/volume/vfs"
)

// FuzzOpen writes arbitrary bytes into a file of a volume that was killed, and
// opens it: no reader gets a wrong byte, and the store works.
func FuzzOpen(f *testing.F) {
	op := operation{history: killed(lived, vfs.OpSync, "segment", func(tr *trial) error { return tr.batch(50, 500, 4000, 3, 4096) })}
	f.Add(uint8(0), uint32(0), []byte{1})
	f.Add(uint8(3), uint32(64), []byte("tdkR"))
	f.Add(uint8(5), uint32(5000), make([]byte, 512))
	f.Add(uint8(4), uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, file uint8, at uint32, b []byte) {
		tr := newTrial(t, &op)
		var names []string
		for _, name := range files(t, tr.mem, dir) {
			if place(vfs.Call{Name: name}) != "identity" {
				names = append(names, name)
			}
		}
		edit(t, tr.mem, names[int(file)%len(names)], func(old []byte) []byte {
			from := int(at) % (len(old) + 1)
			if len(b) == 0 {
				return old[:from]
			}
			return append(bytes.Clone(old[:from]), append(b, old[min(len(old), from+len(b)):]...)...)
		})
		tr.must(tr.open())
		tr.l.checkNoWrongBytes(t, tr.s)
		tr.l.exercise(t, tr.s)
		tr.must(tr.close())
		tr.must(tr.open())
		tr.l.checkNoWrongBytes(t, tr.s)
		tr.must(tr.close())
	})
}
