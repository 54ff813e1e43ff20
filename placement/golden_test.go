package placement

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the golden vectors of the present Version where they are absent")

// vectors is the golden file: for a version of the algorithm, what must never change.
type vectors struct {
	Version byte         `json:"version"`
	Hashes  []hashVector `json:"hashes"`
	Maps    []mapVector  `json:"maps"`
}

type hashVector struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Part   int    `json:"part,omitempty"` // 0: the hash of the whole object
	Hash   string `json:"hash"`           // 16 hexadecimal digits
}

type mapVector struct {
	Slots  []string         `json:"slots"`  // "volume state", for instance "3 draining"
	Chosen map[string][]int `json:"chosen"` // hash in hexadecimal -> preference list of the live slots
}

func goldenInputs() vectors {
	v := vectors{Version: Version}
	for _, h := range []hashVector{
		{Bucket: "a", Key: "b"}, {Bucket: "photos", Key: "cat.jpg"}, {Bucket: "kv", Key: ""}, {Bucket: "kv", Key: "../x"},
		{Bucket: "kv", Key: "a//b/\x00\n 😀"}, {Bucket: "big", Key: "film.mkv", Part: 1}, {Bucket: "big", Key: "film.mkv", Part: 10000},
		{Bucket: "logs", Key: "a key long enough to pass the 32-byte stripes of the hash: 0123456789abcdefghijklmnopqrstuvwxyz"},
	} {
		sum := KeyHash(h.Bucket, h.Key)
		if h.Part != 0 {
			sum = PartHash(h.Bucket, h.Key, h.Part)
		}
		h.Hash = fmt.Sprintf("%016x", sum)
		v.Hashes = append(v.Hashes, h)
	}
	weighted := append(slotsOf(6), Slot{Volume: 2}, Slot{Volume: 3}, Slot{Volume: 2})
	for _, slots := range [][]Slot{slotsOf(1), slotsOf(2), slotsOf(4), slotsOf(5), with(slotsOf(5), Draining, 3), slotsOf(20),
		with(with(slotsOf(20), Dead, 0, 3, 19), Draining, 7, 8), weighted, with(weighted, Dead, 1, 5), slotsOf(100), slotsOf(1000)} {
		v.Maps = append(v.Maps, mapVector{Slots: describe(slots), Chosen: map[string][]int{}})
		m, _ := New(slots)
		for _, key := range []uint64{0, 1, 2, 0xdeadbeef, 1 << 63, ^uint64(0), KeyHash("photos", "cat.jpg"), KeyHash("a", "b")} {
			v.Maps[len(v.Maps)-1].Chosen[fmt.Sprintf("%016x", key)] = m.Choose(key, min(20, m.Volumes()), nil)
		}
	}
	return v
}

func describe(slots []Slot) []string {
	d := make([]string, len(slots))
	for i, s := range slots {
		d[i] = fmt.Sprintf("%d %v", s.Volume, s.State)
	}
	return d
}

// TestGoldenVectors compares with the recorded results of this version. A difference means that data would move:
// restore the algorithm, or give it a new Version and record that one beside the old.
func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", fmt.Sprintf("vectors-v%d.json", Version))
	now := goldenInputs()
	if *update {
		if _, err := os.Stat(name); err == nil {
			t.Fatalf("%s exists: recorded vectors of a version are never rewritten", name)
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(now); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var want vectors
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if want.Version != Version || len(want.Hashes) != len(now.Hashes) || len(want.Maps) != len(now.Maps) {
		t.Fatalf("%s holds version %d, %d hashes, %d maps; want %d, %d, %d", name,
			want.Version, len(want.Hashes), len(want.Maps), Version, len(now.Hashes), len(now.Maps))
	}
	for i, h := range want.Hashes {
		if h != now.Hashes[i] {
			t.Errorf("hash %+v, recorded %+v", now.Hashes[i], h)
		}
	}
	for i, m := range want.Maps {
		for key, list := range m.Chosen {
			if got := now.Maps[i].Chosen[key]; !slices.Equal(got, list) {
				t.Errorf("map %d (%d slots), hash %s: %v, recorded %v", i, len(m.Slots), key, got, list)
			}
		}
	}
}
