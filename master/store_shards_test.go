package master_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

const coldClass = "COLD"

// newShards returns a store that keeps what is in coldClass coded.
func newShards(t testing.TB, volumes int, code meta.Code) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	cfg := s.config()
	cfg.Classes = map[string]master.Class{coldClass: {Code: code, MinSize: 1}}
	s.openWith(cfg)
	s.SetWriteLimits(time.Minute, time.Minute)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

func (s *store) putCold(ctx context.Context, key string, size int64, p *payload) (meta.Object, error) {
	return s.PutObject(ctx, meta.PutRequest{
		Bucket: bucket, Key: key, Owner: "me", Size: size, Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: coldClass}},
	}, p)
}

// wantShards wants an object to be the shards of body, but for missing ones.
func (s *store) wantShards(o meta.Object, code meta.Code, body string, missing int) {
	s.t.Helper()
	x := o.Extents[0]
	if x.Code != code || len(x.Pieces) != code.Shards() || x.Size != int64(len(body)) || o.ETag != etag(body) {
		s.t.Fatalf("extent is %+v of %s", x, o.ETag)
	}
	s.wantPieces(o, code.Shards()-missing)
	want := encode(s.t, code, body)
	for i, p := range x.Pieces {
		if p.Missing() {
			continue
		}
		if got := s.blobText(p); got != want[i] {
			s.t.Errorf("%d bytes: shard %d is %s, want %s", len(body), i, brief(got), brief(want[i]))
		}
	}
}

// encode returns the shards of a body.
func encode(t testing.TB, code meta.Code, body string) []string {
	t.Helper()
	coder, err := erasure.NewCoder(erasure.Scheme{Data: code.Data, Parity: code.Parity})
	if err != nil {
		t.Fatal(err)
	}
	shards := make([]bytes.Buffer, code.Shards())
	_, err = coder.Encode(strings.NewReader(body), func(units [][]byte) error {
		for i, u := range units {
			shards[i].Write(u)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(shards))
	for i := range shards {
		texts[i] = shards[i].String()
	}
	return texts
}

func TestShards(t *testing.T) {
	t.Parallel()
	for _, code := range []meta.Code{{Data: 4, Parity: 2}, {Data: 2, Parity: 1}, {Data: 1, Parity: 1}, {Data: 3, Parity: 3}} {
		s := newShards(t, 7, code)
		stripe := code.Data * erasure.Unit
		for _, size := range []int{1, code.Data - 1, code.Data, code.Data + 1, stripe - 1, stripe, stripe + 1, 3*stripe + 5} {
			body := randomBody(max(1, size))
			for _, announced := range []int64{int64(len(body)), -1} {
				o, err := s.putCold(bg, "k", announced, newPayload(body))
				if err != nil {
					t.Fatal(err)
				}
				if announced < 0 && len(body) < volume.BlockSize {
					s.wantPieces(o, code.Parity+1) // it turned out to be short
				} else {
					s.wantShards(o, code, body, 0)
				}
				s.wantBody("k", body)
			}
		}
		for _, announced := range []int64{0, -1} {
			o, err := s.putCold(bg, "empty", announced, newPayload(""))
			if err != nil || o.Extents[0].Code != (meta.Code{}) {
				t.Fatalf("a body of nothing: %+v, %v", o, err)
			}
			s.wantPieces(o, code.Parity+1)
		}
		if n := s.count('q'); n != 0 {
			t.Errorf("%d repairs are queued", n)
		}
		s.collect()
	}
}

// TestShardsWithFaults: 4+2 on six volumes needs five of them.
func TestShardsWithFaults(t *testing.T) {
	t.Parallel()
	code := meta.Code{Data: 4, Parity: 2}
	for _, f := range faults {
		for failing := 1; failing <= 2; failing++ {
			t.Run(fmt.Sprintf("%s on %d", f.name, failing), func(t *testing.T) {
				t.Parallel()
				s := newShards(t, 6, code)
				s.impatient()
				for _, v := range s.volumes[:failing] {
					v.failPuts(f.fault)
				}
				for _, size := range []int{1, 5, 9*erasure.Unit + 1} {
					s.putColdWithFaults(code, randomBody(size), failing)
				}
			})
		}
	}
}

func (s *store) putColdWithFaults(code meta.Code, body string, failing int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	if failing > 1 {
		ctx, cancel = context.WithTimeout(bg, 150*time.Millisecond)
		defer cancel()
	}
	before, repairs := s.blobs(), s.count('q')
	o, err := s.putCold(ctx, "k", int64(len(body)), newPayload(body))
	if failing == 1 {
		if err != nil {
			s.t.Fatalf("%d bytes: %v", len(body), err)
		}
		s.wantShards(o, code, body, 1)
		if n := s.count('q'); n != repairs+1 {
			s.t.Errorf("%d repairs were queued, want 1", n-repairs)
		}
		return
	}
	if err == nil {
		s.t.Fatalf("%d bytes: written with %v", len(body), o.Extents[0].Pieces)
	}
	s.quiet()
	s.clock.advance(time.Hour)
	s.collect()
	if n := s.blobs(); n != before || s.count('q') != repairs {
		s.t.Errorf("%d blobs and %d repairs of a write that failed are left", n-before, s.count('q')-repairs)
	}
}

// TestShardsElsewhere: a volume that refuses is replaced by another while there
// is one.
func TestShardsElsewhere(t *testing.T) {
	t.Parallel()
	code := meta.Code{Data: 4, Parity: 2}
	s := newShards(t, 8, code)
	for _, v := range s.volumes[:2] {
		v.failPuts(refuses)
	}
	for i := range 10 {
		body := randomBody(i*100_000 + 1)
		o, err := s.putCold(bg, "k", int64(len(body)), newPayload(body))
		if err != nil {
			t.Fatal(err)
		}
		s.wantShards(o, code, body, 0)
	}
}

// TestShardsAsCopies: where not enough volumes take data, copies that survive as
// much are written instead.
func TestShardsAsCopies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ volumes, down, copies int }{{6, 2, 3}, {6, 3, 3}, {6, 4, 2}} {
		s := newShards(t, c.volumes, meta.Code{Data: 4, Parity: 2})
		for _, v := range s.volumes[:c.down] {
			v.down.Store(true)
		}
		for range 3 {
			s.ProbeRound(bg)
		}
		for i, announced := range []int64{300_000, -1} {
			body := randomBody(300_000)
			o, err := s.putCold(bg, fmt.Sprint(i), announced, newPayload(body))
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			if o.Extents[0].Code != (meta.Code{}) {
				t.Errorf("%+v: shards on %v", c, o.Extents[0].Pieces)
			}
			s.wantPieces(o, c.copies)
			s.wantBody(o.Key, body)
		}
		for _, v := range s.volumes {
			v.down.Store(false)
		}
		s.ProbeRound(bg)
	}
}

// TestShardsOfBrokenBodies: a body that breaks leaves nothing, also where it
// breaks with what looks like its end.
func TestShardsOfBrokenBodies(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, meta.Code{Data: 4, Parity: 2})
	for _, size := range []int{3, 4 * erasure.Unit, 9 * erasure.Unit} {
		for _, broken := range []error{errors.New("client went away"), io.ErrUnexpectedEOF} {
			for _, announced := range []int64{int64(size), -1} {
				p := newPayload(randomBody(size))
				p.fail = broken
				if _, err := s.putCold(bg, "k", announced, p); !errors.Is(err, broken) {
					t.Errorf("%d bytes: %v, want %v", size, err, broken)
				}
			}
		}
		if _, err := s.putCold(bg, "k", int64(size)+1, newPayload(randomBody(size))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a short body: %v", err)
		}
		if _, err := s.putCold(bg, "k", int64(size)-1, newPayload(randomBody(size))); err == nil {
			t.Error("a long body: no error")
		}
	}
	if n, g := s.blobs(), s.count('g'); n != 0 || g != 0 {
		t.Errorf("%d blobs and %d garbage entries of broken bodies", n, g)
	}
}

// TestStalledShardIsDropped: the others go on.
func TestStalledShardIsDropped(t *testing.T) {
	t.Parallel()
	code := meta.Code{Data: 4, Parity: 2}
	s := newShards(t, 6, code)
	s.impatient()
	s.volumes[3].failPuts(stopsReading)
	body := randomBody(20*erasure.Unit + 7)
	o, err := s.putCold(bg, "k", int64(len(body)), newPayload(body))
	if err != nil {
		t.Fatal(err)
	}
	s.wantShards(o, code, body, 1)
	s.wantBody("k", body)
}
