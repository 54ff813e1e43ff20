package modeltest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// operation is one kind of step.
type operation struct {
	weight int
	do     func(x *run)
}

// operations are the kinds of steps, each with its share.
func operations() []operation {
	return []operation{
		{14, (*run).putObject},
		{12, (*run).getObject},
		{4, (*run).objectAttributes},
		{8, (*run).deleteObject},
		{5, (*run).deleteObjects},
		{8, (*run).copyObject},
		{4, (*run).createUpload},
		{6, (*run).uploadPart},
		{2, (*run).copyPart},
		{6, (*run).completeUpload},
		{1, (*run).abortUpload},
		{2, (*run).listParts},
		{2, (*run).listUploads},
		{4, (*run).listObjects},
		{3, (*run).listVersions},
		{1, (*run).listBuckets},
		{2, (*run).createBucket},
		{1, (*run).deleteBucket},
		{2, (*run).putVersioning},
		{3, (*run).bucketDocument},
		{2, (*run).putLock},
		{3, (*run).objectTagging},
		{3, (*run).retention},
		{2, (*run).legalHold},
		{3, (*run).nativeSet},
		{3, (*run).nativeGet},
		{2, (*run).nativeDelete},
		{1, (*run).restart},
		{4, (*run).change},
	}
}

// begin makes the buckets that most steps are about.
func (x *run) begin() {
	x.g = rand.New(rand.NewPCG(1, 2))
	x.pass(time.Millisecond)
	for _, name := range []string{"plain", "kept", "locked"} {
		x.create(name, name == "locked")
	}
	x.version("kept", enabled)
}

// step does the operation that a seed stands for.
func (x *run) step(seed uint32) {
	x.g = rand.New(rand.NewPCG(uint64(seed), 11))
	x.pass(time.Duration(1+x.g.IntN(2500)) * time.Millisecond)
	if x.chance(2) {
		x.pass(time.Duration(x.g.IntN(300)) * time.Minute)
	}
	all := operations()
	total := 0
	for _, o := range all {
		total += o.weight
	}
	n := x.g.IntN(total)
	for _, o := range all {
		if n -= o.weight; n < 0 {
			o.do(x)
			return
		}
	}
}

// restart ends the store and starts it again.
func (x *run) restart() {
	kill := x.chance(50)
	x.note("restart, killed: %v", kill)
	if err := x.store.Restart(kill); err != nil {
		x.failf("restart (killed: %v): %v", kill, err)
	}
	if x.chance(30) {
		x.verify()
	}
}

// change does something that no client sees.
func (x *run) change() {
	what, err := x.store.Change(x.g.Uint64())
	x.note("%s", what)
	if err != nil {
		x.failf("%s: %v", what, err)
	}
}

// verify reads all that there should be.
func (x *run) verify() {
	for _, name := range x.m.names() {
		b := x.m.buckets[name]
		x.allVersions(b, 1000)
		x.allUploads(b)
		for _, key := range b.sorted() {
			for i, v := range b.keys[key] {
				id := ""
				if i > 0 {
					id = b.shown(v)
				}
				r := object(http.MethodGet, name, key).version(id)
				x.ask(r, b.readAnswer(v, id, r))
				if !v.marker && len(v.tags) > 0 {
					x.readTags(b, key, id)
				}
			}
		}
		for _, up := range b.uploads {
			x.partsOf(b, up, 0, 1000)
		}
		for _, kind := range documents() {
			x.readDocument(b, kind)
		}
	}
}

func (x *run) chance(percent int) bool { return x.g.IntN(100) < percent }

// one returns one of several.
func one[T any](x *run, of ...T) T { return of[x.g.IntN(len(of))] }

// bucket picks a bucket, mostly one that there is. Where there is none of the name
// the model's is nil.
func (x *run) bucket() (string, *bucket) {
	if names := x.m.names(); x.chance(97) && len(names) > 0 {
		name := one(x, names...)
		return name, x.m.buckets[name]
	}
	name := one(x, "gone", "plain", "fourth")
	return name, x.m.buckets[name]
}

// keyNames are the keys that streams use.
func keyNames() []string {
	return []string{"a", "a/b", "a/b/c", "a//", "b", "b c+d&e=f", "ü/😀", "../x", "z<>\"'", "%41", "a/b/c/d", "B"}
}

// key picks a key, mostly one that there is.
func (x *run) key(b *bucket) string {
	if b != nil && len(b.keys) > 0 && x.chance(75) {
		return one(x, b.sorted()...)
	}
	return one(x, keyNames()...)
}

// versionOf picks an id to ask for: none, mostly, or that of a version that is
// there, or is not, or can not be.
func (x *run) versionOf(b *bucket, key string) string {
	switch {
	case x.chance(60) || b == nil:
		return ""
	case x.chance(10):
		return null
	case x.chance(5):
		return "no-version-id"
	case x.chance(10) && len(x.m.order) > 0:
		return one(x, x.m.order...)
	case x.chance(10) || len(b.keys[key]) == 0:
		return "00000000000000000000000000000000"
	}
	if id := b.shown(one(x, b.keys[key]...)); id != "" {
		return id
	}
	return null
}

// badVersion is the refusal of an id that no version can have; nil: it can.
func badVersion(id string) *want {
	if id == "no-version-id" {
		return refused(http.StatusBadRequest, "InvalidArgument")
	}
	return nil
}

// absent is the refusal of a read of a version that is not there, or is a delete
// marker; nil: it can be read. Source: AWS "Working with delete markers".
func (b *bucket) absent(v *version, id, method string) *want {
	switch {
	case v == nil && id == "":
		return refused(http.StatusNotFound, "NoSuchKey")
	case v == nil:
		return refused(http.StatusNotFound, "NoSuchVersion")
	case !v.marker:
		return nil
	}
	reads := method == http.MethodGet || method == http.MethodHead
	w := refused(http.StatusMethodNotAllowed, "MethodNotAllowed")
	switch {
	case id == "" && reads:
		w = refused(http.StatusNotFound, "NoSuchKey")
	case id == "":
		return w.with("allow", http.MethodDelete)
	default:
		w.with("allow", http.MethodDelete).with("last-modified", httpTime(v.modified))
	}
	return w.with("x-amz-delete-marker", "true").with("x-amz-version-id", b.shown(v))
}

func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// content makes a body: small, mostly.
func (x *run) content() []byte {
	size := x.g.IntN(200)
	switch n := x.g.IntN(40); {
	case n == 0:
		size = 0
	case n < 4:
		size = one(x, 64<<10-1, 64<<10, 64<<10+1, 128<<10)
	case n == 4:
		size = one(x, 1<<20, 1<<20+1)
	case n < 9:
		size = x.g.IntN(20 << 10)
	}
	return x.bytes(size)
}

// bytes makes bytes with a period that no block has.
func (x *run) bytes(size int) []byte {
	period := make([]byte, 97)
	for i := range period {
		period[i] = byte(x.g.Uint32())
	}
	return slices.Repeat(period, size/len(period)+1)[:size]
}
