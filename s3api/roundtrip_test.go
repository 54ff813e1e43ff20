package s3api

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"tdkvs/s3api/s3err"
)

// canonical reads a document of a bucket and writes it as it is kept; ok is false
// where it is refused.
func canonical[T any](t *testing.T, d bucketXML[T], body []byte) (kept []byte, ok bool) {
	t.Helper()
	var v T
	x := newReader(bytes.NewReader(body))
	empty, err := x.document(d.root, func() (err error) { v, err = d.read(x); return err })
	if err == nil && d.check != nil && !empty {
		err = d.check(v)
	}
	if err != nil && s3err.CodeOf(err) == "" {
		t.Errorf("%s %q: %v is not for clients", d.root, body, err)
	}
	if err != nil || empty {
		return nil, false
	}
	doc := new(document)
	doc.root(d.root)
	d.write(doc, v)
	doc.close(d.root)
	return doc.b, true
}

// kept checks that what is kept of a document is read back as what it was.
func kept[T any](t *testing.T, d bucketXML[T], body []byte) {
	t.Helper()
	first, ok := canonical(t, d, body)
	if !ok {
		return
	}
	if again, ok := canonical(t, d, first); !ok || !bytes.Equal(first, again) {
		t.Errorf("%s %q is kept as %q, which is read as %q, %v", d.root, body, first, again, ok)
	}
}

// FuzzBucketDocuments reads arbitrary bytes as each document that buckets carry.
// What is accepted is kept in a form that is read back as the same.
func FuzzBucketDocuments(f *testing.F) {
	f.Add([]byte("<Tagging><TagSet><Tag><Key>k</Key><Value>v&#13;</Value></Tag></TagSet></Tagging>"))
	f.Add([]byte("<CORSConfiguration><CORSRule><ID>1</ID><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>"))
	f.Add([]byte("<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"))
	f.Add([]byte("<PublicAccessBlockConfiguration><BlockPublicAcls>TRUE</BlockPublicAcls></PublicAccessBlockConfiguration>"))
	f.Add([]byte("<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		kept(t, bucketTags(), body)
		kept(t, corsConfig(), body)
		kept(t, ownershipControls(), body)
		kept(t, publicAccessBlock(), body)
		kept(t, acceleration(), body)
	})
}

// FuzzRequestDocuments reads arbitrary bytes as what a DeleteObjects and a
// CompleteMultipartUpload ask for: what is accepted names something.
func FuzzRequestDocuments(f *testing.F) {
	f.Add([]byte(`<Object><Key>a</Key><VersionId>null</VersionId><ETag>"x"</ETag><Size>5</Size><LastModifiedTime>2026-01-02T03:04:05Z</LastModifiedTime></Object>`))
	f.Add([]byte(`<Object><PartNumber>1</PartNumber><ETag>"00112233445566778899aabbccddeeff"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Object>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d deletion
		x := newReader(bytes.NewReader(body))
		empty, err := x.document("Object", func() (err error) { d, err = readDeletion(x); return err })
		switch {
		case err != nil && s3err.CodeOf(err) == "":
			t.Errorf("%q: %v is not for clients", body, err)
		case err == nil && !empty && (d.item.Key == "" || d.result.Err == nil && d.version != "" && d.item.VersionID != d.version):
			t.Errorf("%q deletes %+v", body, d)
		}
		var p completedPart
		x = newReader(bytes.NewReader(body))
		empty, err = x.document("Object", func() (err error) { p, err = readPart(x); return err })
		switch {
		case err != nil && s3err.CodeOf(err) == "":
			t.Errorf("%q: %v is not for clients", body, err)
		case err == nil && !empty && (p.number < 1 || p.number > 10000 || p.etag == ""):
			t.Errorf("%q completes %+v", body, p)
		}
	})
}

// FuzzUserMeta: a value of metadata that is shown in a header is read back from it
// as what it was, and is one line of ASCII there.
func FuzzUserMeta(f *testing.F) {
	f.Add("plain")
	f.Add("grün, 😀")
	f.Add("=?UTF-8?B?w7w=?=")
	f.Add("a\tb")
	f.Fuzz(func(t *testing.T, sent string) {
		value := decodeMeta(sent)
		shown := encodeMeta(value)
		for i := range len(shown) {
			if c := shown[i]; (c < ' ' || c > '~') && c != '\t' {
				t.Fatalf("%q is shown as %q", value, shown)
			}
		}
		if again := decodeMeta(shown); utf8.ValidString(value) && again != value {
			t.Errorf("%q was sent, %q kept, %q shown, and %q read from that", sent, value, shown, again)
		}
	})
}
