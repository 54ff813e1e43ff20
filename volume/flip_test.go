package volume_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// TestFlipAnyByte changes each byte of each file of a store, one at a time. A
// read then returns the right bytes or an error, and what can not be read is
// reported. Files of a store that was closed and of one that was killed both
// count.
func TestFlipAnyByte(t *testing.T) {
	t.Parallel()
	want := map[volume.BlobID][]byte{}
	gone, goneData := blob(50, 40)
	fill := func(s *volume.Store) {
		put := func(number, size int) {
			id, data := blob(number, size)
			mustPut(t, s, id, data)
			want[id] = data
		}
		put(1, 0)
		put(2, 150)
		mustPut(t, s, gone, goneData)
		put(3, 300)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		put(4, 20)
		if err := s.Delete(t.Context(), []volume.BlobID{gone}); err != nil {
			t.Fatal(err)
		}
		put(5, 4097) // large
		put(6, 120)
		if err := s.MarkIdle(); err != nil {
			t.Fatal(err)
		}
	}
	killed := crashed(t, fill)
	closed := killed.CrashClone()
	closeStore(t, open(t, small(closed)))
	for name, disk := range map[string]*vfs.Mem{"killed": killed, "closed": closed} {
		for _, file := range files(t, disk, dir) {
			data := readFile(t, disk, file)
			if disk == closed && bytes.Equal(data, readFile(t, killed, file)) {
				continue
			}
			for at := 0; at < len(data); at++ {
				if at > 200 && at < len(data)-200 && len(data) > 4096 {
					at += 60 // within the payload of the large blob, or space taken in advance
				}
				flipped := disk.CrashClone()
				edit(t, flipped, file, func(b []byte) []byte {
					b[at] ^= 1 << (at % 8)
					return b
				})
				checkFlipped(t, flipped, want, name == "killed")
				if t.Failed() {
					t.Fatalf("%s: byte %d of %s", name, at, file)
				}
			}
		}
	}
}

func checkFlipped(t *testing.T, disk *vfs.Mem, want map[volume.BlobID][]byte, killed bool) {
	t.Helper()
	var l logs
	cfg := small(disk)
	cfg.Logger = l.logger()
	s, err := volume.Open(cfg)
	if err != nil {
		t.Errorf("open: %v", err)
		return
	}
	defer closeStore(t, s)
	failed := 0
	for id, data := range want {
		got, err := get(t.Context(), s, id)
		switch {
		case err == nil && !bytes.Equal(got, data):
			t.Errorf("blob %s: wrong bytes", id)
		case err != nil && !errors.Is(err, volume.ErrCorrupt) && !errors.Is(err, volume.ErrNotFound):
			t.Errorf("blob %s: %v", id, err)
		case err != nil:
			failed++
		}
		info, statErr := s.Stat(t.Context(), id)
		if statErr == nil && (!bytes.Equal(info.Descriptor, descriptorOf(id)) || info.Size != int64(len(data))) {
			t.Errorf("stat %s: size %d, descriptor %q", id, info.Size, info.Descriptor)
		}
		info, opened, openErr := openWhole(t.Context(), s, id)
		if openErr == nil && (!bytes.Equal(opened, data) || !bytes.Equal(info.Descriptor, descriptorOf(id)) || info.Size != int64(len(data))) {
			t.Errorf("open %s: size %d, descriptor %q, %d bytes", id, info.Size, info.Descriptor, len(opened))
		}
		if (openErr == nil) != (err == nil && statErr == nil) {
			t.Errorf("open %s: %v, where get says %v and stat %v", id, openErr, err, statErr)
		}
		if s.Verify(t.Context(), id) != nil {
			failed++
		}
	}
	st := status(t, s)
	// Where the store was killed nothing vouches for its last batch: damage to
	// that looks like a batch torn by the crash, which is logged.
	counted := st.Quarantined+int64(st.CorruptReads) > 0 || killed
	if failed > 0 && (!counted || l.String() == "") {
		t.Errorf("%d reads failed, and nothing was counted or logged", failed)
	}
}

// TestMisplacedBlocks puts whole, undamaged blocks in each other's places.
func TestMisplacedBlocks(t *testing.T) {
	t.Parallel()
	one, oneData := blob(1, 2*volume.BlockSize)
	two, twoData := blob(2, 2*volume.BlockSize)
	disk := crashed(t, func(s *volume.Store) {
		mustPut(t, s, one, oneData) // large by this configuration
		mustPut(t, s, two, twoData)
	})
	nameOne, _ := findRecord(t, small(disk), one)
	nameTwo, _ := findRecord(t, small(disk), two)
	const raw = volume.BlockSize + 4
	foreign := readFile(t, disk, nameTwo)
	edit(t, disk, nameOne, func(b []byte) []byte {
		copy(b[64+raw:], foreign[64+raw:64+2*raw]) // the same block of another blob
		return b
	})
	edit(t, disk, nameTwo, func(b []byte) []byte {
		first := bytes.Clone(b[64 : 64+raw])
		copy(b[64:], b[64+raw:64+2*raw]) // another block of the same blob
		copy(b[64+raw:], first)
		return b
	})
	s := open(t, small(disk))
	for _, id := range []volume.BlobID{one, two} {
		if _, err := get(t.Context(), s, id); !errors.Is(err, volume.ErrCorrupt) {
			t.Errorf("get: %v, want ErrCorrupt", err)
		}
	}
	closeStore(t, s)
}

// TestEmbeddedRecord stores a copy of a segment as a blob. When the record that
// holds it is damaged, nothing in it is taken for a record.
func TestEmbeddedRecord(t *testing.T) {
	t.Parallel()
	inner, innerData := blob(1, 100)
	outer, _ := blob(2, 0)
	after, afterData := blob(3, 100)
	disk := crashed(t, func(s *volume.Store) {
		mustPut(t, s, inner, innerData)
		if err := s.Delete(t.Context(), []volume.BlobID{inner}); err != nil {
			t.Fatal(err)
		}
	})
	copied := readFile(t, disk, segmentPath(segment1))[:1024]
	s := open(t, small(disk))
	mustPut(t, s, outer, copied)
	mustPut(t, s, after, afterData)
	disk = disk.CrashClone()
	edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
		b[bytes.Index(b, outer[:])] ^= 1
		return b
	})
	s = open(t, small(disk))
	expectGone(t, s, inner)
	expect(t, s, after, afterData)
	if st := status(t, s); st.Blobs != 1 || st.Quarantined != 1 {
		t.Errorf("%d blobs, %d quarantined; want 1, 1", st.Blobs, st.Quarantined)
	}
	closeStore(t, s)
}

// TestRandomDamage flips, zeroes and cuts at random, several times per store.
// No read returns wrong bytes, nothing panics, and the store can be written to.
func TestRandomDamage(t *testing.T) {
	t.Parallel()
	want := map[volume.BlobID][]byte{}
	disk := crashed(t, func(s *volume.Store) {
		for n := range 24 {
			id, data := blob(n, []int{0, 30, 700, 4096, 4500}[n%5])
			mustPut(t, s, id, data)
			want[id] = data
			switch n {
			case 8, 16:
				mustSeal(t, s)
			case 20:
				closeStore(t, s)
				return
			}
		}
	})
	var names []string
	for _, name := range files(t, disk, dir) {
		if len(readFile(t, disk, name)) > 0 && filepath.Ext(name) != ".json" {
			names = append(names, name)
		}
	}
	for seed := range 200 {
		rng := rand.New(rand.NewPCG(uint64(seed), 4))
		damaged := disk.CrashClone()
		for range 1 + rng.IntN(3) {
			edit(t, damaged, names[rng.IntN(len(names))], func(b []byte) []byte {
				at := rng.IntN(len(b))
				switch rng.IntN(3) {
				case 0:
					b[at] ^= byte(1 + rng.IntN(255))
				case 1:
					clear(b[at:min(len(b), at+rng.IntN(1000))])
				case 2:
					b = b[:max(at, 1)]
				}
				return b
			})
		}
		checkFlipped(t, damaged, want, true)
		s := open(t, small(damaged))
		id, data := blob(5000, 100)
		mustPut(t, s, id, data)
		closeStore(t, s)
		s = open(t, small(damaged))
		expect(t, s, id, data)
		closeStore(t, s)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
