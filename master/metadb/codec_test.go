package metadb_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

var update = flag.Bool("update", false, "rewrite the golden records")

var (
	at     = time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	digest = meta.Digests{
		ETag:     "9e107d9d372bb6826bd81d3542a419d6",
		Checksum: meta.Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT", Value: "rosUhgp5mIg="},
	}
	piece   = meta.Piece{Volume: 3, Blob: meta.BlobID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}}
	extents = []meta.Extent{{Size: 5 << 30, Pieces: []meta.Piece{piece, {Volume: 1 << 31}}}, {}}
	attrs   = meta.Attributes{
		Headers: meta.Headers{
			ContentType: "image/jpeg", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "gzip",
			ContentLanguage: "de", Expires: "never", WebsiteRedirect: "/there", StorageClass: "STANDARD_IA",
		},
		UserMeta: map[string]string{"b": "2", "a": "1", "": "\x00\xff", "empty": ""},
		Tags:     map[string]string{"z": "26", "y": "25"},
	}
	object = meta.Object{
		VersionID: "v1", Modified: at, Size: 5 << 30, Digests: digest, Attributes: attrs, DeleteMarker: true,
		Owner: strings.Repeat("0f", 32), Extents: extents, UploadID: "u", Manifest: "m", Parts: 10000,
	}
	lock = meta.Lock{Retention: meta.Retention{Mode: meta.Compliance, Until: at.AddDate(1, 0, 0)}, LegalHold: meta.LegalHoldOn}
	// What a row adds to an object.
	fullRow = metadb.ObjectRow{Object: locked(object), Seq: 1 << 60, HasNull: true, NullSeq: 1<<60 - 1}
	part    = meta.Part{Number: 10000, Size: 5 << 30, Modified: at, Digests: digest, Extents: extents, Offset: 49 << 40}
)

// locked is an object with a lock, which records of before had not.
func locked(o meta.Object) meta.Object {
	o.Lock = lock
	return o
}

// codec is one record type: a full value, and functions that hide its type.
type codec struct {
	value     any
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte) (any, error)
}

func of[T any](v T, marshal func(*T) ([]byte, error), unmarshal func([]byte) (T, error)) codec {
	return codec{
		v,
		func(x any) ([]byte, error) { t := x.(T); return marshal(&t) },
		func(b []byte) (any, error) { return unmarshal(b) },
	}
}

// byValue adapts a marshal function that takes its record by value.
func byValue[T any](f func(T) ([]byte, error)) func(*T) ([]byte, error) {
	return func(t *T) ([]byte, error) { return f(*t) }
}

func codecs() map[string]codec {
	object := locked(object)
	attrs := object.Attributes
	descriptor := metadb.Descriptor{Bucket: "photos", Key: "a/b\x00", VersionID: "v1", UploadID: "u", PartNumber: 7, Object: object}
	descriptor.Object.Extents = nil
	descriptor.Object.Bucket, descriptor.Object.Key = descriptor.Bucket, descriptor.Key
	done := metadb.Completed{Object: object, Completed: at}
	done.Object.Bucket, done.Object.Key = "photos", "a/b\x00"
	upload := meta.Upload{
		Initiated: at, Owner: "me", Attributes: attrs,
		ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE", Revision: 1 << 60,
	}
	return map[string]codec{
		"bucket": of(meta.Bucket{
			Created: at, Owner: "me", Region: "eu-central-1", Versioning: meta.VersioningEnabled,
			Lock: meta.BucketLock{Enabled: true, Mode: meta.Governance, Days: 30, Years: 1},
		}, byValue(metadb.MarshalBucket), metadb.UnmarshalBucket),
		"usage": of(meta.Usage{
			Objects: 1_000_000, Bytes: 1 << 60, Noncurrent: 3, NoncurrentBytes: 1 << 61, DeleteMarkers: 7,
		}, byValue(metadb.MarshalUsage), metadb.UnmarshalUsage),
		"object":     of(fullRow, metadb.MarshalObject, metadb.UnmarshalObject),
		"upload":     of(upload, metadb.MarshalUpload, metadb.UnmarshalUpload),
		"part":       of(part, metadb.MarshalPart, metadb.UnmarshalPart),
		"completed":  of(done, metadb.MarshalCompleted, metadb.UnmarshalCompleted),
		"descriptor": of(descriptor, metadb.MarshalDescriptor, metadb.UnmarshalDescriptor),
		"manifest index": of(metadb.ManifestIndex{Chunks: []metadb.ChunkStart{{Part: 1}, {Part: 9000, Offset: 49 << 40}}},
			byValue(metadb.MarshalManifestIndex), metadb.UnmarshalManifestIndex),
		"manifest chunk": of([]meta.Part{part, {Number: 1}}, byValue(marshalChunk), metadb.UnmarshalManifestChunk),
		"garbage": of(metadb.Garbage{
			Kind: metadb.GarbageManifest, Queued: at, Pieces: []meta.Piece{piece, {}}, UploadID: "u", Manifest: "m", Attempts: 3,
		}, metadb.MarshalGarbage, metadb.UnmarshalGarbage),
		"identity": of(metadb.Identity{Schema: 1, Cluster: "c", Created: at}, byValue(metadb.MarshalIdentity), metadb.UnmarshalIdentity),
		"topology": of(metadb.Topology{
			Version: 2, Epoch: 1, Cluster: "c", Ready: true, Placement: 1, NextVolume: 3,
			Volumes: []metadb.Volume{{Number: 1, UUID: "u1", Name: "/disk1"}, {Number: 2, UUID: "u2", Name: "http://h:1"}},
			Slots:   []metadb.Slot{{Volume: 1}, {Volume: 2, State: 1}},
		}, metadb.MarshalTopology, metadb.UnmarshalTopology),
		"grown topology": of(metadb.Topology{
			Version: 9, Epoch: 4, Cluster: "c", Ready: true, Placement: 1, NextVolume: 4,
			Volumes: []metadb.Volume{
				{Number: 1, UUID: "u1", Name: "/disk1", State: metadb.VolumeRemoved},
				{Number: 2, UUID: "u2", Name: "/disk2", State: metadb.VolumeDraining, Zone: "z1"},
				{Number: 3, UUID: "u3", Name: "/disk3", Zone: "z2"},
			},
			Slots: []metadb.Slot{{Volume: 1, State: 2}, {Volume: 2, State: 1}, {Volume: 3}},
		}, metadb.MarshalTopology, metadb.UnmarshalTopology),
		"rebalance": of(metadb.Rebalance{
			Epoch: 4, Active: true, Paused: true, Pass: 2, Cursor: []byte("\x00\x00\x00\x00\x05ob\x00k"), Again: true, Scanned: 7, Moved: 8,
			MovedBytes: 1 << 40, Failed: 3, Started: at, Finished: at, Concurrency: 9, Rate: -1, LastError: "no",
		}, metadb.MarshalRebalance, metadb.UnmarshalRebalance),
		"stuck rebalance": of(metadb.Rebalance{
			Epoch: 5, Short: 6, Repaired: 7, Stuck: []metadb.Stuck{{Volume: 3, Damaged: 1 << 40, Parts: 2, Short: 3}},
			StuckNow: []metadb.Stuck{{Volume: 4}, {Volume: 5, Short: 1}},
		}, metadb.MarshalRebalance, metadb.UnmarshalRebalance),
		"intent": of(metadb.Garbage{
			Kind: metadb.GarbageIntent, Queued: at, Pieces: []meta.Piece{{Volume: 3, Blob: meta.BlobID{1, 2, 3}}},
		}, metadb.MarshalGarbage, metadb.UnmarshalGarbage),
		"replicated bucket": of(meta.Bucket{Created: at, Replicas: 3}, byValue(metadb.MarshalBucket), metadb.UnmarshalBucket),
		"replicated topology": of(metadb.Topology{
			Version: 1, Cluster: "c", Ready: true, Replicas: 3, ReplicasConfigured: 2,
			Volumes: []metadb.Volume{{Number: 1, UUID: "u1", State: metadb.VolumeLost}},
		}, metadb.MarshalTopology, metadb.UnmarshalTopology),
		"coded object": of(metadb.ObjectRow{Object: meta.Object{Size: 9, Modified: at, Extents: []meta.Extent{{
			Size: 9, Code: meta.Code{Data: 2, Parity: 1}, Pieces: []meta.Piece{{Volume: 3, Blob: meta.BlobID{1}}, {}, {Volume: 5, Blob: meta.BlobID{2}}},
		}}}}, metadb.MarshalObject, metadb.UnmarshalObject),
		"shard descriptor": of(metadb.Descriptor{
			Bucket: "b", Key: "k", Object: meta.Object{Bucket: "b", Key: "k", Size: 9, Modified: at}, Code: meta.Code{Data: 4, Parity: 2}, Shard: 5,
		}, metadb.MarshalDescriptor, metadb.UnmarshalDescriptor),
		"repair": of(metadb.Repair{
			Bucket: "b", Key: "k", Seq: 1 << 60, UploadID: "u", Part: 10000, Suspects: []meta.Piece{{Volume: 3, Blob: meta.BlobID{1}}},
			Queued: at, Attempts: 2,
		}, metadb.MarshalRepair, metadb.UnmarshalRepair),
		"leftovers": of(metadb.Leftovers{
			Alive: at, Clean: true, Unsure: at, From: at, Until: at, Volumes: []meta.Piece{piece, {Volume: 4}}, Looked: at, Found: 5, Bytes: 1 << 40, Excess: 6, Asked: 3,
			Returned: []meta.Piece{{Volume: 4}}, Awaited: 2, Again: at,
		}, metadb.MarshalLeftovers, metadb.UnmarshalLeftovers),
		"restore": of(metadb.Restore{Backup: "20260102T030405Z-0a1b2c3d", Rows: 7, Started: at}, metadb.MarshalRestore, metadb.UnmarshalRestore),
		"damage":  of(metadb.Damage{Found: at, Cause: "gone", VersionID: "null", Size: 5}, metadb.MarshalDamage, metadb.UnmarshalDamage),
	}
}

func marshalChunk(parts []meta.Part) ([]byte, error) {
	row, n, err := metadb.MarshalManifestChunk(parts)
	if err == nil && n != len(parts) {
		return nil, fmt.Errorf("%d of %d parts encoded", n, len(parts))
	}
	return row, err
}

func TestRecordsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, c := range codecs() {
		for _, v := range []any{c.value, reflect.Zero(reflect.TypeOf(c.value)).Interface()} {
			b, err := c.marshal(v)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			back, err := c.unmarshal(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(back, v) {
				t.Errorf("%s: came back as\n%+v, was\n%+v", name, back, v)
			}
			if again, _ := c.marshal(v); !bytes.Equal(again, b) {
				t.Errorf("%s: encodes differently the second time", name)
			}
		}
	}
}

// TestGolden holds the encodings to those recorded: a record on disk must stay
// readable for ever. A new field may be added to the values here only together
// with a new line.
func TestGolden(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "records.txt")
	var now strings.Builder
	for _, name := range []string{
		"bucket", "usage", "object", "upload", "part", "manifest index", "manifest chunk",
		"completed", "descriptor", "garbage", "identity", "topology",
		"grown topology", "rebalance", "intent",
		"replicated bucket", "replicated topology", "coded object", "shard descriptor", "repair", "damage",
		"stuck rebalance", "leftovers", "restore",
	} {
		b, err := codecs()[name].marshal(codecs()[name].value)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&now, "%s: %x\n", name, b)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != now.String() {
		t.Errorf("encodings differ from %s; now:\n%s", file, now.String())
	}
}

// A newer program may have added fields, also inside nested messages: all known
// ones are still read.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	for name, c := range codecs() {
		b, err := c.marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		b = protowire.AppendTag(b, 900, protowire.BytesType)
		b = protowire.AppendString(b, "later")
		b = protowire.AppendTag(b, 901, protowire.VarintType)
		b = protowire.AppendVarint(b, 1<<40)
		b = protowire.AppendTag(b, 902, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, 7)
		b = protowire.AppendTag(b, 903, protowire.StartGroupType)
		b = protowire.AppendTag(b, 903, protowire.EndGroupType)
		back, err := c.unmarshal(b)
		if err != nil || !reflect.DeepEqual(back, c.value) {
			t.Errorf("%s: %+v, %v", name, back, err)
		}
	}
}

func TestMalformedRecords(t *testing.T) {
	t.Parallel()
	for name, c := range codecs() {
		b, err := c.marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, {}, {0}, b[:len(b)-1], append(bytes.Clone(b), 0x0A), append(bytes.Clone(b), 0xFF)} {
			if _, err := c.unmarshal(bad); !errors.Is(err, metadb.ErrBadRecord) {
				t.Errorf("%s: %x: %v, want ErrBadRecord", name, bad, err)
			}
		}
		newer := append([]byte{2}, b[1:]...)
		if _, err := c.unmarshal(newer); !errors.Is(err, metadb.ErrNewerRecord) {
			t.Errorf("%s: version 2: %v, want ErrNewerRecord", name, err)
		}
		// Field 1 with the other wire type.
		num, typ, _ := protowire.ConsumeTag(b[1:])
		other := protowire.AppendTag([]byte{1}, num, protowire.VarintType)
		if typ == protowire.VarintType {
			other = protowire.AppendTag([]byte{1}, num, protowire.BytesType)
		}
		if _, err := c.unmarshal(append(other, 0)); !errors.Is(err, metadb.ErrBadRecord) {
			t.Errorf("%s: wrong wire type: %v, want ErrBadRecord", name, err)
		}
	}
	negative := protowire.AppendVarint([]byte{1, 8}, 1<<63)
	if _, err := metadb.UnmarshalObject(negative); !errors.Is(err, metadb.ErrBadRecord) {
		t.Errorf("a size of 1<<63: %v, want ErrBadRecord", err)
	}
	short := []byte{1, 0x1A, 3, 0x12, 1, 0xAA} // garbage with a blob id of one byte
	if _, err := metadb.UnmarshalGarbage(short); !errors.Is(err, metadb.ErrBadRecord) {
		t.Errorf("a blob id of one byte: %v, want ErrBadRecord", err)
	}
}

// TestRecordsOfBefore reads the records of a store that was made before there
// were versions and locks: what they do not say is nothing.
func TestRecordsOfBefore(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("testdata", "records_unversioned.txt"))
	if err != nil {
		t.Fatal(err)
	}
	descriptor := metadb.Descriptor{Bucket: "photos", Key: "a/b\x00", VersionID: "v1", UploadID: "u", PartNumber: 7, Object: object}
	descriptor.Object.Extents = nil
	descriptor.Object.Bucket, descriptor.Object.Key = descriptor.Bucket, descriptor.Key
	done := metadb.Completed{Object: object, Completed: at}
	done.Object.Bucket, done.Object.Key = "photos", "a/b\x00"
	want := map[string]any{
		"bucket": meta.Bucket{Created: at, Owner: "me", Region: "eu-central-1"},
		"usage":  meta.Usage{Objects: 1_000_000, Bytes: 1 << 60},
		"object": metadb.ObjectRow{Object: object},
		"upload": meta.Upload{
			Initiated: at, Owner: "me", Attributes: attrs,
			ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE", Revision: 1 << 60,
		},
		"completed":  done,
		"descriptor": descriptor,
	}
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		record, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		expected, changed := want[name]
		if !changed {
			expected = codecs()[name].value
		}
		if got, err := codecs()[name].unmarshal(record); err != nil || !reflect.DeepEqual(got, expected) {
			t.Errorf("%s is read as\n%+v, %v, want\n%+v", name, got, err, expected)
		}
	}
}

func TestListingDecode(t *testing.T) {
	t.Parallel()
	b, err := metadb.MarshalObject(&fullRow)
	if err != nil {
		t.Fatal(err)
	}
	got, err := metadb.UnmarshalListing(b)
	if err != nil {
		t.Fatal(err)
	}
	want := meta.Object{Size: object.Size, Modified: at, VersionID: "v1", Owner: object.Owner, DeleteMarker: true}
	want.ETag, want.Headers.StorageClass = object.ETag, "STANDARD_IA"
	want.Checksum = meta.Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMetadataTooLarge(t *testing.T) {
	t.Parallel()
	big := fullRow
	big.UserMeta = map[string]string{"x": strings.Repeat("y", meta.MaxRecordPayload)}
	if _, err := metadb.MarshalObject(&big); !errors.Is(err, &meta.Error{Kind: meta.KindMetadataTooLarge}) {
		t.Errorf("object: %v", err)
	}
	if _, err := metadb.MarshalDescriptor(&metadb.Descriptor{Object: big.Object}); !errors.Is(err, &meta.Error{Kind: meta.KindMetadataTooLarge}) {
		t.Errorf("descriptor: %v", err)
	}
	up := meta.Upload{Attributes: big.Attributes}
	if _, err := metadb.MarshalUpload(&up); !errors.Is(err, &meta.Error{Kind: meta.KindMetadataTooLarge}) {
		t.Errorf("upload: %v", err)
	}
	if meta.MaxRecordPayload >= metadb.MaxValue {
		t.Error("a record of the greatest length does not fit into a value")
	}
}

// A manifest of 10,000 parts is cut into chunks that fit, and the index finds
// every part and every byte.
func TestManifestChunks(t *testing.T) {
	t.Parallel()
	var parts []meta.Part
	var offset int64
	for n := 1; n <= meta.MaxParts; n++ {
		p := part
		p.Number, p.Size, p.Offset = n, int64(n%4), offset // every fourth is empty
		offset += p.Size
		parts = append(parts, p)
	}
	var index metadb.ManifestIndex
	var chunks [][]meta.Part
	for rest := parts; len(rest) > 0; {
		row, n, err := metadb.MarshalManifestChunk(rest)
		if err != nil || n == 0 || n > metadb.MaxChunkParts || len(row) > meta.MaxRecordPayload {
			t.Fatalf("chunk of %d parts, %d bytes: %v", n, len(row), err)
		}
		back, err := metadb.UnmarshalManifestChunk(row)
		if err != nil || !reflect.DeepEqual(back, rest[:n]) {
			t.Fatalf("chunk of %d parts comes back as %d: %v", n, len(back), err)
		}
		index.Chunks = append(index.Chunks, metadb.ChunkStart{Part: rest[0].Number, Offset: rest[0].Offset})
		chunks = append(chunks, rest[:n])
		rest = rest[n:]
	}
	if len(chunks) < 10 {
		t.Fatalf("only %d chunks", len(chunks))
	}
	holds := func(chunk uint32, want func(meta.Part) bool) bool {
		for _, p := range chunks[chunk-1] {
			if want(p) {
				return true
			}
		}
		return false
	}
	for _, p := range parts {
		if !holds(index.ForPart(p.Number), func(q meta.Part) bool { return q.Number == p.Number }) {
			t.Fatalf("part %d is not in chunk %d", p.Number, index.ForPart(p.Number))
		}
		for at := p.Offset; at < p.Offset+p.Size; at++ {
			if !holds(index.ForOffset(at), func(q meta.Part) bool { return q.Offset <= at && at < q.Offset+q.Size }) {
				t.Fatalf("byte %d is not in chunk %d", at, index.ForOffset(at))
			}
		}
	}
	// Chunks of empty parts only share their offset with the chunk behind them.
	empty := metadb.ManifestIndex{Chunks: []metadb.ChunkStart{{Part: 1}, {Part: 2}, {Part: 3, Offset: 5}, {Part: 4, Offset: 5}}}
	for offset, want := range map[int64]uint32{0: 2, 4: 2, 5: 4, 9: 4} {
		if got := empty.ForOffset(offset); got != want {
			t.Errorf("byte %d is in chunk %d, want %d", offset, got, want)
		}
	}
	if none := (metadb.ManifestIndex{}); none.ForPart(1) != 0 || none.ForOffset(0) != 0 {
		t.Error("an empty index leads somewhere")
	}
}

// FuzzRecords decodes arbitrary bytes as every record: none may panic, and what
// is accepted must encode to a record that decodes to the same value.
func FuzzRecords(f *testing.F) {
	for _, c := range codecs() {
		b, err := c.marshal(c.value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{1, 0xA2, 1, 2, 8, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, c := range codecs() {
			v, err := c.unmarshal(b)
			if err != nil {
				if !errors.Is(err, metadb.ErrBadRecord) && !errors.Is(err, metadb.ErrNewerRecord) {
					t.Errorf("%s: %x: unclassified error %v", name, b, err)
				}
				continue
			}
			again, err := c.marshal(v)
			if err != nil {
				continue // longer than a record may be
			}
			back, err := c.unmarshal(again)
			if err != nil || !reflect.DeepEqual(back, v) {
				t.Errorf("%s: %x decodes to\n%+v, which comes back as\n%+v, %v", name, b, v, back, err)
			}
		}
		if _, err := metadb.UnmarshalListing(b); err == nil {
			return
		}
		if _, err := metadb.UnmarshalObject(b); err == nil {
			t.Errorf("%x is an object, but not one that can be listed", b)
		}
	})
}

// TestTextsOfARecord: what is cut of one text is what each has been written as,
// whatever stands between them, and stays when the row is used for something else.
func TestTextsOfARecord(t *testing.T) {
	t.Parallel()
	for _, o := range []metadb.ObjectRow{
		{},
		{Object: meta.Object{Owner: "o"}},
		{Object: meta.Object{VersionID: "v", Attributes: meta.Attributes{UserMeta: map[string]string{"": "", "a": "1", "b": ""}}}},
		{Object: meta.Object{
			Digests:    meta.Digests{ETag: "e"},
			Attributes: meta.Attributes{Headers: meta.Headers{Expires: "never"}, Tags: map[string]string{"tag": "value"}, Lock: meta.Lock{LegalHold: "ON"}},
			Extents:    []meta.Extent{{Size: 1, Pieces: []meta.Piece{{Volume: 1, Blob: meta.BlobID{1}}, {}}}},
			UploadID:   "upload", Manifest: "m",
		}, Seq: 1 << 60},
	} {
		row, err := metadb.MarshalObject(&o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := metadb.UnmarshalObject(row)
		clear(row)
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("read %+v, %v; want %+v", got, err, o)
		}
	}
}

func TestUnmarshalVersioning(t *testing.T) {
	t.Parallel()
	for _, want := range []meta.Versioning{meta.Unversioned, meta.VersioningEnabled, meta.VersioningSuspended} {
		row, err := metadb.MarshalBucket(meta.Bucket{Owner: "o", Region: "r", Versioning: want, Replicas: 3})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := metadb.UnmarshalVersioning(row); err != nil || got != want {
			t.Errorf("versioning is %q, %v; want %q", got, err, want)
		}
		if _, err := metadb.UnmarshalVersioning(row[:len(row)-1]); !errors.Is(err, metadb.ErrBadRecord) {
			t.Errorf("a torn row: %v", err)
		}
	}
	if _, err := metadb.UnmarshalVersioning(nil); !errors.Is(err, metadb.ErrBadRecord) {
		t.Errorf("an empty row: %v", err)
	}
}

// TestListing reads rows one after the other, as a page does: each comes out as it
// was written, and stays when key and row are used for something else.
func TestListing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 40<<10)
	want := []meta.Listed{
		{Key: "a", Modified: at, Size: 1, ETag: "e1", Owner: "o", StorageClass: "GLACIER", ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT"},
		{Key: "b", Modified: at, Size: 2, ETag: "e2", Owner: "o", StorageClass: "GLACIER", ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT"},
		{Key: "c", Modified: at, ETag: "e2", Owner: "another"},
		{Key: long, Modified: at, ETag: strings.Repeat("e", 2000), Owner: "o"},
		{Key: "", Modified: at},
	}
	for i := range 5000 {
		want = append(want, meta.Listed{Key: fmt.Sprint("key ", i), Modified: at, ETag: fmt.Sprint("etag ", i), Owner: fmt.Sprint(i / 100)})
	}
	var l metadb.Listing
	got := make([]meta.Listed, 0, len(want))
	for i, o := range want {
		row, err := metadb.MarshalObject(&metadb.ObjectRow{Object: meta.Object{
			Size: o.Size, Modified: o.Modified, Owner: o.Owner, VersionID: "v", DeleteMarker: i%10 == 7,
			Digests:    meta.Digests{ETag: o.ETag, Checksum: meta.Checksum{Algorithm: o.ChecksumAlgorithm, Type: o.ChecksumType, Value: "x"}},
			Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: o.StorageClass, ContentType: "text/plain"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		key := []byte(o.Key)
		listed, shown, err := l.Row(key, row)
		if err != nil || shown != (i%10 != 7) {
			t.Fatalf("row %d: shown %v, %v", i, shown, err)
		}
		clear(key)
		clear(row)
		if !shown {
			listed = o
		}
		got = append(got, listed)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("row %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	for _, bad := range [][]byte{nil, {0}, {99}, {1, 0x0A, 5, 'x'}, {1, 0x18, 1}} {
		if _, shown, err := l.Row([]byte("k"), bad); err == nil || shown {
			t.Errorf("%x: shown %v, %v", bad, shown, err)
		}
	}
}
