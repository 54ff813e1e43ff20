package s3api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// shelf keeps configuration documents of the one bucket that there is.
type shelf struct {
	Backend
	docs map[string][]byte
	err  error
}

func (s *shelf) BucketConfig(_ context.Context, _, kind string) ([]byte, error) {
	return s.docs[kind], s.err
}

func (s *shelf) SetBucketConfig(_ context.Context, _, kind string, doc []byte) error {
	s.docs[kind] = doc
	return s.err
}

// TestBucketXMLRoundTrip: what store keeps, load reads.
func TestBucketXMLRoundTrip(t *testing.T) {
	t.Parallel()
	s := &shelf{docs: map[string][]byte{}}
	h := &handler{cfg: Config{Backend: s}}
	ctx := t.Context()
	d := bucketTags()
	if _, ok, err := d.load(ctx, h, "bkt"); ok || err != nil {
		t.Fatalf("load of none: %v, %v", ok, err)
	}
	want := []tag{{"b", "x y"}, {"a", ""}, {"ä/+", "@"}}
	if err := d.store(ctx, h, "bkt", want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := d.load(ctx, h, "bkt")
	if !ok || err != nil || !slices.Equal(got, want) {
		t.Fatalf("load: %v, %v, %v", got, ok, err)
	}
	if err := d.store(ctx, h, "bkt", []tag{{"", ""}}); s3err.CodeOf(err) != s3err.InvalidTag {
		t.Errorf("a bad document: %v", err)
	}
	d.check = nil
	if err := d.store(ctx, h, "bkt", []tag{{"a", strings.Repeat("x", meta.MaxRecordPayload)}}); s3err.CodeOf(err) != s3err.MaxMessageLengthExceeded {
		t.Errorf("a document too long: %v", err)
	}
	if got, _, _ := d.load(ctx, h, "bkt"); !slices.Equal(got, want) {
		t.Errorf("a refused document was kept: %v", got)
	}
	s.docs["tagging"] = []byte("<Tagging>")
	if _, ok, err := d.load(ctx, h, "bkt"); ok || err == nil {
		t.Errorf("a damaged document: %v, %v", ok, err)
	}
	s.err = errors.New("disk on fire")
	if _, ok, err := d.load(ctx, h, "bkt"); ok || !errors.Is(err, s.err) {
		t.Errorf("a failed read: %v, %v", ok, err)
	}
	if err := d.store(ctx, h, "bkt", want); !errors.Is(err, s.err) {
		t.Errorf("a failed write: %v", err)
	}
}
