package metadb

import (
	"strings"

	"tdkvs/master/meta"
)

// Listing decodes rows of current versions for a page of a listing, a thousand at a
// time: their texts share memory, and rows next to each other have much in common.
// The zero value is ready. It is not copied once it is used.
type Listing struct {
	texts texts
	was   meta.Listed // what the row before held of what rows have in common
}

// Row decodes what a listing shows of the current version of key. shown is false
// where that is a delete marker, which shows nothing.
func (l *Listing) Row(key, row []byte) (o meta.Listed, shown bool, err error) {
	shown = true
	d := openRecord(row)
	for d.next() && d.num <= lastListingField {
		switch d.num {
		case 1:
			o.Size = d.size()
		case 2:
			o.Modified = d.time()
		case 3:
			o.ETag = l.texts.keep(d.bytes())
		case 4:
			o.ChecksumAlgorithm = again(&l.was.ChecksumAlgorithm, d.bytes())
		case 5:
			o.ChecksumType = again(&l.was.ChecksumType, d.bytes())
		case 6:
			o.StorageClass = again(&l.was.StorageClass, d.bytes())
		case 7:
			o.Owner = again(&l.was.Owner, d.bytes())
		case 8:
			shown = !d.bool()
		}
	}
	if d.err != nil || !shown {
		return meta.Listed{}, false, d.err
	}
	o.Key = l.texts.keep(key)
	return o, true, nil
}

// again returns v as a string: the one it was the last time, where it is the same.
func again(was *string, v []byte) string {
	if *was != string(v) {
		*was = string(v)
	}
	return *was
}

// The runs of memory that texts are kept in, in bytes: the first one, and the most.
const (
	minTexts = 1 << 10
	maxTexts = 16 << 10
)

// texts makes strings of which many share an allocation, which stays as long as
// one of them does.
type texts struct{ run strings.Builder }

func (t *texts) keep(v []byte) string {
	if len(v) > t.run.Cap()-t.run.Len() {
		size := max(len(v), min(max(minTexts, 2*t.run.Cap()), maxTexts))
		t.run.Reset()
		t.run.Grow(size)
	}
	from := t.run.Len()
	t.run.Write(v)
	return t.run.String()[from:]
}
