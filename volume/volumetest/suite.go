package volumetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"testing"

	"tdkvs/volume"
)

// Factory makes stores for the suite. Only Open is required: tests that need
// another function are left out where it is nil.
type Factory struct {
	// Open returns an empty, unclaimed store. It registers its own cleanup.
	Open func(t *testing.T) volume.Blobs
	// Reopen closes a store that Open or Reopen returned and opens it again
	// over the same data.
	Reopen func(t *testing.T, b volume.Blobs) volume.Blobs
	// Corrupt changes one payload byte of a stored blob behind the store's back.
	Corrupt func(t *testing.T, b volume.Blobs, id volume.BlobID, offset int64)
}

// Run tests what open returns, an empty store each time, against the contract
// of volume.Blobs.
func Run(t *testing.T, open func(t *testing.T) volume.Blobs) {
	RunFactory(t, Factory{Open: open})
}

// RunFactory is Run with all that a factory can do. Each test ends with a check
// of the whole store: that every listed blob verifies and the counts agree.
func RunFactory(t *testing.T, f Factory) {
	tests := []struct {
		name string
		run  func(*testing.T, *suite)
		can  bool
	}{
		{"RoundTrip", testRoundTrip, true},
		{"SizeMismatch", testSizeMismatch, true},
		{"BodyReaders", testBodyReaders, true},
		{"BodyError", testBodyError, true},
		{"DescriptorError", testDescriptorError, true},
		{"Descriptors", testDescriptors, true},
		{"Exists", testExists, true},
		{"Missing", testMissing, true},
		{"Ranges", testRanges, true},
		{"InvalidRanges", testInvalidRanges, true},
		{"WriterTo", testWriterTo, true},
		{"Open", testOpen, true},
		{"OpenDescriptors", testOpenDescriptors, true},
		{"OpenRefused", testOpenRefused, true},
		{"OpenSurvivesDelete", testOpenSurvivesDelete, true},
		{"Delete", testDelete, true},
		{"DeleteBatch", testDeleteBatch, true},
		{"ReadSurvivesDelete", testReadSurvivesDelete, true},
		{"List", testList, true},
		{"Metadata", testMetadata, true},
		{"MetadataReopen", testMetadataReopen, f.Reopen != nil},
		{"Verify", testVerify, true},
		{"Status", testStatus, true},
		{"Claim", testClaim, true},
		{"CanceledBefore", testCanceledBefore, true},
		{"CanceledMidBody", testCanceledMidBody, true},
		{"CanceledMidRead", testCanceledMidRead, true},
		{"OneWinner", testOneWinner, true},
		{"Concurrent", testConcurrent, true},
		{"Reopen", testReopen, f.Reopen != nil},
		{"Corrupt", testCorrupt, f.Corrupt != nil},
		{"DamagedNothing", testDamagedNothing, true},
		{"Damaged", testDamaged, f.Corrupt != nil},
		{"OpenCorrupt", testOpenCorrupt, f.Corrupt != nil},
	}
	for _, test := range tests {
		if !test.can {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &suite{Factory: f, Blobs: f.Open(t)}
			test.run(t, s)
			if !t.Failed() {
				s.check(t)
			}
		})
	}
}

// suite is one test's store.
type suite struct {
	Factory
	volume.Blobs
	damaged bool // blobs were made corrupt on purpose
}

// check is the invariant that every test leaves behind.
func (s *suite) check(t *testing.T) {
	t.Helper()
	data := s.checkList(t, volume.BlobID{})
	metadata := s.checkList(t, volume.MetadataStart())
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	if got := (volume.Held{Blobs: status.Blobs, Bytes: status.Bytes}); got != data {
		t.Errorf("status says %+v; the list has %+v", got, data)
	}
	if status.Metadata != metadata {
		t.Errorf("status says %+v of metadata; the list has %+v", status.Metadata, metadata)
	}
}

// checkList verifies what a list from an id on gives, and counts it.
func (s *suite) checkList(t *testing.T, after volume.BlobID) (held volume.Held) {
	t.Helper()
	infos, err := s.List(t.Context(), after, 1<<20)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for i, info := range infos {
		held.Blobs++
		held.Bytes += info.Size
		if info.ID.Metadata() != after.Metadata() {
			t.Errorf("list after %s holds %s", after, info.ID)
		}
		if i > 0 && bytes.Compare(infos[i-1].ID[:], info.ID[:]) >= 0 {
			t.Errorf("list out of order at %d: %s, %s", i, infos[i-1].ID, info.ID)
		}
		if err := s.Verify(t.Context(), info.ID); err != nil && !s.damaged {
			t.Errorf("verify %s: %v", info.ID, err)
		}
	}
	return held
}

// put stores a payload with a descriptor made from its id, or fails the test.
func (s *suite) put(t *testing.T, id volume.BlobID, data []byte) {
	t.Helper()
	err := s.Put(t.Context(), id, int64(len(data)), bytes.NewReader(data), describe(id))
	if err != nil {
		t.Fatalf("put %s of %d bytes: %v", id, len(data), err)
	}
}

func describe(id volume.BlobID) volume.Descriptor {
	return func() ([]byte, error) { return []byte("descriptor of " + id.String()), nil }
}

func noDescriptor() ([]byte, error) { return nil, nil }

// read returns a range of a blob and how reading it ended.
func (s *suite) read(ctx context.Context, id volume.BlobID, offset, length int64) ([]byte, error) {
	r, err := s.Get(ctx, id, offset, length)
	if err != nil {
		return nil, err
	}
	data, err := readAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return data, err
}

// readAll reads by Read alone; io.ReadAll does so too, but in growing steps.
func readAll(r io.Reader) ([]byte, error) {
	var data []byte
	buf := make([]byte, 10_007) // crosses block edges at odd places
	for {
		n, err := r.Read(buf)
		data = append(data, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

// expect fails the test unless the blob holds exactly data.
func (s *suite) expect(t *testing.T, id volume.BlobID, data []byte) {
	t.Helper()
	got, err := s.read(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatalf("get %s of %d bytes: %v", id, len(data), err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("get %s: %d bytes, not the %d that were put", id, len(got), len(data))
	}
}

// expectMissing fails the test unless nothing at all is stored under id.
func (s *suite) expectMissing(t *testing.T, id volume.BlobID) {
	t.Helper()
	if _, err := s.read(t.Context(), id, 0, -1); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("get %s: %v, want ErrNotFound", id, err)
	}
	if _, err := s.Stat(t.Context(), id); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("stat %s: %v, want ErrNotFound", id, err)
	}
	infos, err := s.List(t.Context(), volume.BlobID{}, 1<<20)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, info := range infos {
		if info.ID == id {
			t.Errorf("%s is listed, and should not exist", id)
		}
	}
}

// payload returns n bytes that are the same in every run.
func payload(n int) []byte {
	data := make([]byte, n)
	rng := mathrand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	_, _ = rng.Read(data) // never fails
	return data
}

// newID returns a random id.
func newID() volume.BlobID {
	var id volume.BlobID
	_, _ = rand.Read(id[:]) // never fails
	id[15] |= 1             // so that the id before it differs in one byte
	return id
}

func randomUUID() string {
	u := newID()
	u[6] = u[6]&0x0f | 0x40 // version 4, RFC 9562
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
