package master_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// newCrowded returns a store with memory for one read and one write at a time: so
// each takes all there is, and the next only begins when everything was given back.
func newCrowded(t testing.TB) *store {
	t.Helper()
	s := newBareStore(t, 6)
	cfg := s.config()
	cfg.Replicas, cfg.Classes = 3, map[string]master.Class{"COLD": {Code: code42, MinSize: volume.BlockSize}}
	cfg.WriteMemory, cfg.ReadMemory = 1, 1
	s.openWith(cfg)
	s.SetWriteLimits(time.Minute, time.Minute)
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

// limited is a context that ends a test which hangs.
func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// heldPayload waits before its first byte.
type heldPayload struct {
	*payload
	ctx   context.Context
	once  sync.Once
	begun chan struct{}
	goOn  chan struct{}
}

func newHeldPayload(ctx context.Context, body string) *heldPayload {
	return &heldPayload{payload: newPayload(body), ctx: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
}

func (p *heldPayload) Read(b []byte) (int, error) {
	p.once.Do(func() { close(p.begun) })
	select {
	case <-p.goOn:
		return p.payload.Read(b)
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
}

// putAs puts a body in a storage class.
func (s *store) putAs(ctx context.Context, key, class string, size int64, p meta.Payload) error {
	req := meta.PutRequest{Bucket: bucket, Key: key, Owner: "me", Size: size}
	req.Headers.StorageClass = class
	_, err := s.PutObject(ctx, req, p)
	return err
}

// copyTo copies an object as a front end does: a read feeds a write.
func (s *store) copyTo(ctx context.Context, from, to, class string) error {
	r, err := s.OpenObject(ctx, bucket, from, "")
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	body, err := r.Range(ctx, 0, r.Object().Size)
	if err != nil {
		return err
	}
	err = s.putAs(ctx, to, class, r.Object().Size, &payload{r: body, sum: md5.New()})
	return errors.Join(err, body.Close())
}

// A write waits for memory before it touches its body; one that waits too long, or
// whose client leaves, fails and takes nothing with it.
func TestWritesWaitForMemory(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"", "COLD"} {
		for _, size := range []int{5, 3 * volume.BlockSize} {
			s, ctx, body := newCrowded(t), limited(t), randomBody(size)
			first, second := newHeldPayload(ctx, body), newHeldPayload(ctx, body)
			s.SetSharePatience(time.Millisecond)
			done := make(chan error, 2)
			go func() { done <- s.putAs(ctx, "first", class, int64(size), first) }()
			<-first.begun
			late := newHeldPayload(ctx, body)
			wantKind(t, s.putAs(ctx, "late", class, int64(size), late), meta.KindBusy)
			gone, cancel := context.WithCancel(ctx)
			cancel()
			wantKind(t, s.putAs(gone, "gone", class, int64(size), late), meta.KindCanceled)
			s.SetSharePatience(time.Minute)
			go func() { done <- s.putAs(ctx, "second", class, -1, second) }()
			select {
			case <-second.begun:
				t.Error("the second body is read while the first has the memory")
			case <-late.begun:
				t.Error("a body that was refused is read")
			case <-time.After(20 * time.Millisecond):
			}
			close(first.goOn)
			close(second.goOn)
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			s.wantBody("second", body)
			s.wantBody("first", body)
			if n := s.count('g'); n != 0 {
				t.Errorf("%d garbage entries", n)
			}
		}
	}
}

// What fails gives its memory back: writes whose body breaks or whose volumes
// refuse, reads of what is gone, and reads that are closed early.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	s, ctx, body := newCrowded(t), limited(t), randomBody(5*volume.BlockSize)
	s.SetSharePatience(10 * time.Millisecond)
	for _, class := range []string{"", "COLD"} {
		for _, size := range []int64{int64(len(body)), -1} {
			broken := newPayload(body)
			broken.fail = errBroken
			if err := s.putAs(ctx, "k", class, size, broken); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			for _, v := range s.volumes {
				v.failPuts(refuses)
			}
			if err := s.putAs(ctx, "k", class, size, newPayload(body)); meta.KindOf(err) != meta.KindUnavailable {
				t.Fatal(err)
			}
			for _, v := range s.volumes {
				v.fault.Store(nil)
			}
			if err := s.putAs(ctx, "k", class, size, newPayload(body)); err != nil {
				t.Fatal(err)
			}
			for _, v := range s.volumes {
				v.failGets(fails(failing(errReset)))
			}
			_, err := s.readRange(ctx, "k", 0, int64(len(body)), false)
			wantKind(t, err, meta.KindUnavailable)
			for _, v := range s.volumes {
				v.healGets()
			}
			if got, err := s.readRange(ctx, "k", 1, 10, false); err != nil || string(got) != body[1:11] {
				t.Fatal(len(got), err)
			}
			s.closeEarly(ctx, "k")
		}
	}
	if got, err := s.readRange(ctx, "k", 0, int64(len(body)), true); err != nil || string(got) != body {
		t.Fatal(len(got), err)
	}
}

// closeEarly reads a byte of an object, finds that another read has to wait
// meanwhile, and closes it twice.
func (s *store) closeEarly(ctx context.Context, key string) {
	s.t.Helper()
	r, err := s.OpenObject(ctx, bucket, key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	rc, err := r.Range(ctx, 0, r.Object().Size)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := rc.Read(make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	_, err = r.Range(ctx, 0, 1)
	wantKind(s.t, err, meta.KindBusy)
	if rest, err := r.Range(ctx, 3, 0); err != nil || rest.Close() != nil {
		s.t.Errorf("a read of nothing needs memory: %v", err)
	}
	if err := errors.Join(rc.Close(), rc.Close(), r.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// Whatever waits for whatever, all of it comes to its end: reads, writes, and
// copies, which need memory of both kinds, also of objects whose parts are kept in
// several ways.
func TestCrowdComesToItsEnd(t *testing.T) {
	t.Parallel()
	s, ctx := newCrowded(t), limited(t)
	s.SetSharePatience(time.Minute)
	bodies := map[string]string{"short": randomBody(10), "long": randomBody(7*volume.BlockSize + 1), "coded": randomBody(9*volume.BlockSize + 2)}
	s.put("short", bodies["short"])
	s.put("long", bodies["long"])
	s.putClass("coded", bodies["coded"], "COLD")
	parts := []string{randomBody(10), randomBody(3 * volume.BlockSize), randomBody(11)}
	bodies["parts"] = strings.Join(parts, "")
	up, err := s.CreateUpload(ctx, meta.Upload{
		Bucket: bucket, Key: "parts", Owner: "me", ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE",
		Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: "COLD"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range parts {
		s.putPart(up, i+1, part)
	}
	s.complete(up)
	var crowd sync.WaitGroup
	for from, body := range bodies {
		for _, class := range []string{"", "COLD"} {
			for i := range 4 {
				crowd.Go(func() {
					to := fmt.Sprint(from, class, i)
					err := s.copyTo(ctx, from, to, class)
					if got, readErr := s.readRange(ctx, to, 0, int64(len(body)), i%2 == 0); err != nil || readErr != nil || string(got) != body {
						t.Errorf("%s: %v, %v, %d bytes", to, err, readErr, len(got))
					}
				})
				crowd.Go(func() {
					if err := s.putAs(ctx, fmt.Sprint("put", from, class, i), class, int64(len(body)), newPayload(body)); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	crowd.Wait()
}
