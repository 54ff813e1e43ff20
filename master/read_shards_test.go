package master_test

import (
	"io"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

const stripe42 = 4 * volume.BlockSize

// Any two of six shards may do what they like; whole bodies and ranges come all the
// same, and what is bad is queued for repair.
func TestReadAnyFourShards(t *testing.T) {
	t.Parallel()
	for _, f := range readFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newReadStore(t, 6, 1)
			if f.bad { // or a slow machine asks the last shard, too
				s.SetReadPatience(time.Minute, time.Minute)
			}
			body := randomBody(2*stripe42 + 777)
			pieces := s.putClass("k", body, "COLD").Extents[0].Pieces
			for a := range pieces {
				for b := range a + 1 {
					bad := map[meta.Piece]bool{pieces[a]: true, pieces[b]: true}
					for p := range bad {
						s.at(p).failGets(f.at(volume.BlockSize))
					}
					for _, r := range [][2]int64{{0, int64(len(body))}, {stripe42 - 10, 20}, {volume.BlockSize + 5, 1}, {int64(len(body)) - 1, 1}} {
						got, err := s.readRange(bg, "k", r[0], r[1], a%2 == 0)
						if err != nil || string(got) != body[r[0]:r[0]+r[1]] {
							t.Fatalf("shards %d and %d, %d bytes from %d: %d bytes, %v", a, b, r[1], r[0], len(got), err)
						}
					}
					for p := range bad {
						s.at(p).healGets()
					}
				}
			}
			all := map[meta.Piece]bool{}
			for _, p := range s.suspects() {
				if all[p] {
					t.Errorf("%v is suspected twice", p)
				}
				all[p] = true
			}
			// But for the last, which is never needed while one more besides it fails.
			if want := map[bool]int{true: 5, false: 0}[f.bad]; len(all) != want {
				t.Errorf("%d shards are suspected, want %d", len(all), want)
			}
		})
	}
}

// With three shards gone nothing that they held comes, and nothing wrong does.
func TestReadThreeShards(t *testing.T) {
	t.Parallel()
	for _, f := range readFaults {
		if f.name == "hangs at once" || f.name == "falls silent" {
			continue // who waits may get an answer: see TestReadCancelled
		}
		s := newReadStore(t, 6, 1)
		body := randomBody(3*stripe42 + 777)
		pieces := s.putClass("k", body, "COLD").Extents[0].Pieces
		for _, p := range []meta.Piece{pieces[1], pieces[3], pieces[4]} {
			s.at(p).failGets(f.at(2 * volume.BlockSize))
		}
		want := meta.KindUnavailable
		if f.bad {
			want = meta.KindCorrupt
		}
		for _, write := range []bool{false, true} {
			got, err := s.readRange(bg, "k", 3, int64(len(body))-3, write)
			wantKind(t, err, want)
			if len(got) > 2*stripe42 || string(got) != body[3:][:len(got)] {
				t.Errorf("%s: %d bytes came, right %v", f.name, len(got), string(got) == body[3:][:len(got)])
			}
		}
		if got, err := s.readRange(bg, "k", 2*stripe42+10, 10, false); err != nil || string(got) != body[2*stripe42+10:][:10] {
			t.Errorf("%s: a range in a shard that is whole: %d bytes, %v", f.name, len(got), err)
		}
		s.at(pieces[3]).failGets(fails(failing(errReset)))
		s.at(pieces[1]).failGets(fails(failing(errBad)))
		s.at(pieces[4]).failGets(fails(failing(errBad)))
		_, err := s.readRange(bg, "k", volume.BlockSize, 1, false)
		wantKind(t, err, meta.KindUnavailable) // the third may come back
	}
}

// A range asks only the shards that it lies in, and a body none of the parity.
func TestReadShardsAsksNoMore(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 6, 1)
	s.SetReadPatience(time.Minute, time.Minute)
	body := randomBody(3 * stripe42)
	s.putClass("k", body, "COLD")
	for _, c := range []struct{ offset, length, want int64 }{
		{0, 3 * stripe42, 4}, {10, 10, 1}, {volume.BlockSize - 1, 2, 2}, {stripe42 - 1, 2, 2}, {5, 0, 0},
	} {
		before := s.gets()
		if got, err := s.readRange(bg, "k", c.offset, c.length, true); err != nil || string(got) != body[c.offset:c.offset+c.length] {
			t.Fatal(len(got), err)
		}
		if n := s.gets() - before; n != c.want {
			t.Errorf("%d bytes from %d opened %d shards, want %d", c.length, c.offset, n, c.want)
		}
	}
}

// Parts that are coded differently from one another make one object.
func TestReadMixedParts(t *testing.T) {
	t.Parallel()
	s := newReadStore(t, 6, 2)
	up, err := s.CreateUpload(bg, meta.Upload{
		Bucket: bucket, Key: "k", Owner: "me", ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE",
		Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: "COLD"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body := ""
	for i := range 3 {
		part := randomBody(stripe42 + 1000*i)
		s.putPart(up, i+1, part)
		body += part
	}
	o := s.complete(up)
	s.volumes[0].failGets(fails(failing(errGone)))
	s.volumes[1].failGets(breaks(100, failing(io.EOF)))
	for _, write := range []bool{false, true} {
		for _, offset := range []int64{0, stripe42 + 5} {
			if got, err := s.readRange(bg, "k", offset, o.Size-offset, write); err != nil || string(got) != body[offset:] {
				t.Fatalf("from %d: %d bytes, %v", offset, len(got), err)
			}
		}
	}
	for _, r := range s.repairs() {
		if len(r.Suspects) > 0 && (r.Part < 1 || r.Part > 3 || r.UploadID != up.UploadID || r.Key != "k" || r.Bucket != bucket) {
			t.Errorf("queued %+v, want a part of upload %s", r, up.UploadID)
		}
	}
	if n := len(s.suspects()); n == 0 {
		t.Error("nothing is suspected")
	}
}
