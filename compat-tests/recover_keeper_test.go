package compattests

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// keeper writes, one after the other, what only versions, tags and uploads show, and remembers what was acknowledged. While
// work runs, its goroutine owns it.
type keeper struct {
	c       *s3.Client
	bucket  string
	prefix  string
	choices *rand.Rand

	versions map[string]keptVersion      // by id
	latest   map[string]string           // id of the newest version of each key
	uploads  map[string]map[int32]string // parts, by the id of the upload
	acks     int
	cut      *keptAct // what was under way when the store was killed
	refused  error    // an answer that blames the request
}

// keptVersion is a version that was acknowledged.
type keptVersion struct {
	key, etag string // no ETag: a delete marker
	tag       string
}

// keptAct is one thing that a keeper does: which, and to what.
type keptAct struct {
	name string // put, mark, copy, remove, tag, begin, part, abort
	key  string
	id   string // of a version or an upload
	part int32
	tag  string
	etag string
}

func newKeeper(d *deployment, t *testing.T, bucket string, number int, choices *rand.Rand) *keeper {
	return &keeper{c: d.sdk(t), bucket: bucket, prefix: fmt.Sprintf("keeper %d/", number), choices: choices,
		versions: map[string]keptVersion{}, latest: map[string]string{}, uploads: map[string]map[int32]string{}}
}

// work lets the keeper write until an error stops it, or stop is called.
func (k *keeper) work() (stop func()) {
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !over.Load() && k.cut == nil {
			k.step(context.Background())
		}
	}()
	return func() {
		over.Store(true)
		<-done
	}
}

// step does one thing at random.
func (k *keeper) step(ctx context.Context) {
	act := k.choose()
	err := k.do(ctx, &act)
	if err != nil {
		if status := statusOf(err); status >= 400 && status < 500 {
			k.refused = fmt.Errorf("%+v: %w", act, err)
		}
		k.cut = &act
		return
	}
	k.acks++
}

// choose draws what to do; what there is nothing for is a put instead.
func (k *keeper) choose() keptAct {
	key := fmt.Sprint(k.prefix, k.choices.IntN(5))
	name := []string{"put", "put", "put", "mark", "copy", "remove", "remove", "tag", "begin", "part", "part", "abort"}[k.choices.IntN(12)]
	act := keptAct{name: name, key: key, tag: fmt.Sprint(k.choices.IntN(1000)), part: int32(1 + k.choices.IntN(3))}
	ids := slices.Sorted(maps.Keys(k.versions))
	if name == "part" || name == "abort" {
		ids = slices.Sorted(maps.Keys(k.uploads))
	}
	if len(ids) > 0 {
		act.id = ids[k.choices.IntN(len(ids))]
	}
	v := k.versions[act.id]
	switch name {
	case "remove", "part", "abort":
	case "tag", "copy":
		if v.etag == "" {
			act.id = ""
		}
	default:
		return act
	}
	if act.id == "" {
		act.name = "put"
	}
	return act
}

// do does it, and remembers what was acknowledged.
func (k *keeper) do(ctx context.Context, act *keptAct) error {
	b, key, id := &k.bucket, &act.key, &act.id
	switch act.name {
	case "put":
		body := content(k.prefix+act.tag, 100+k.choices.IntN(20<<10))
		act.etag = etagOf(body)
		out, err := k.c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: key, Body: bytes.NewReader(body), Tagging: aws.String("t=" + act.tag)})
		if err == nil {
			k.made(*out.VersionId, keptVersion{act.key, act.etag, act.tag})
		}
		return err
	case "copy":
		source := k.versions[act.id]
		act.etag, act.tag = source.etag, source.tag
		out, err := k.c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: key, CopySource: aws.String(k.bucket + "/" + escape(source.key) + "?versionId=" + act.id)})
		if err == nil {
			k.made(*out.VersionId, keptVersion{act.key, act.etag, act.tag})
		}
		return err
	case "mark":
		out, err := k.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key})
		if err == nil {
			k.made(*out.VersionId, keptVersion{key: act.key})
		}
		return err
	case "remove":
		act.key = k.versions[act.id].key
		_, err := k.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key, VersionId: id})
		if err == nil {
			delete(k.versions, act.id)
			delete(k.latest, act.key) // whichever it is now
		}
		return err
	case "tag":
		v := k.versions[act.id]
		_, err := k.c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: &v.key, VersionId: id,
			Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("t"), Value: &act.tag}}}})
		if err == nil {
			v.tag = act.tag
			k.versions[act.id] = v
		}
		return err
	}
	return k.doUpload(ctx, act)
}

// doUpload is do for what is done to uploads. An upload is always of the same key.
func (k *keeper) doUpload(ctx context.Context, act *keptAct) error {
	act.key = k.prefix + "upload"
	b, key, id := &k.bucket, &act.key, &act.id
	switch act.name {
	case "begin":
		out, err := k.c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: key})
		if err == nil {
			k.uploads[*out.UploadId] = map[int32]string{}
		}
		return err
	case "part":
		body := content(k.prefix+act.tag, 500)
		act.etag = etagOf(body)
		_, err := k.c.UploadPart(ctx, &s3.UploadPartInput{Bucket: b, Key: key, UploadId: id, PartNumber: &act.part, Body: bytes.NewReader(body)})
		if err == nil {
			k.uploads[act.id][act.part] = act.etag
		}
		return err
	default:
		_, err := k.c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: key, UploadId: id})
		if err == nil {
			delete(k.uploads, act.id)
		}
		return err
	}
}

func (k *keeper) made(id string, v keptVersion) {
	k.versions[id], k.latest[v.key] = v, id
}

// check compares the store with what was acknowledged, and is sure from then on of what was under way.
func (k *keeper) check(t *testing.T) {
	t.Helper()
	if k.refused != nil {
		t.Errorf("%s was refused: %v", k.prefix, k.refused)
	}
	cut := keptAct{}
	if k.cut != nil {
		cut = *k.cut
	}
	k.checkVersions(t, cut)
	k.checkTags(t, cut)
	k.checkUploads(t, cut)
	k.cut = nil
}

// checkVersions: one that was not acknowledged may be what was under way; one that is not there may have been about to go.
func (k *keeper) checkVersions(t *testing.T, cut keptAct) {
	t.Helper()
	seen := map[string]bool{}
	one := func(id, key, etag string, latest bool) {
		seen[id] = true
		v, known := k.versions[id]
		makes := cut.name == "put" || cut.name == "copy" || cut.name == "mark"
		switch {
		case !known && makes && cut.key == key && cut.etag == etag:
			k.made(id, keptVersion{key, etag, cut.tag})
			cut.name = "" // that was it
		case !known:
			t.Errorf("version %s of %q is there, with ETag %s, and should not be; under way was %+v", id, key, etag, cut)
		case v.key != key || v.etag != etag:
			t.Errorf("version %s is of %q with ETag %s, want %+v", id, key, etag, v)
		case cut.name == "remove" && cut.id == k.latest[key]:
		case latest && k.latest[key] != "" && k.latest[key] != id:
			t.Errorf("the newest version of %q is %s, want %s", key, id, k.latest[key])
		}
	}
	for pages := s3.NewListObjectVersionsPaginator(k.c, &s3.ListObjectVersionsInput{Bucket: &k.bucket, Prefix: &k.prefix}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.DeleteMarkers { // before what they may hide: one that was under way is the newest
			one(*m.VersionId, *m.Key, "", *m.IsLatest)
		}
		for _, v := range page.Versions {
			one(*v.VersionId, *v.Key, *v.ETag, *v.IsLatest)
		}
	}
	for id, v := range k.versions {
		switch {
		case seen[id]:
		case cut.name == "remove" && cut.id == id:
			delete(k.versions, id)
			delete(k.latest, v.key)
		default:
			t.Errorf("version %s of %q was acknowledged and is not there", id, v.key)
		}
	}
}

// checkTags compares the tags of some versions, and of the one whose were being changed.
func (k *keeper) checkTags(t *testing.T, cut keptAct) {
	t.Helper()
	const most = 100
	n := 0
	for id, v := range k.versions {
		changed := cut.name == "tag" && cut.id == id
		if n++; v.etag == "" || n > most && !changed {
			continue
		}
		out, err := k.c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &k.bucket, Key: &v.key, VersionId: &id})
		if err != nil {
			t.Errorf("tags of %q %s: %v", v.key, id, err)
			continue
		}
		switch got := tagText(out.TagSet); {
		case got == "t="+v.tag+" ":
		case changed && got == "t="+cut.tag+" ":
			v.tag = cut.tag
			k.versions[id] = v
		default:
			t.Errorf("tags of %q %s: %q, want %q", v.key, id, got, v.tag)
		}
	}
}

func (k *keeper) checkUploads(t *testing.T, cut keptAct) {
	t.Helper()
	seen := map[string]bool{}
	for pages := s3.NewListMultipartUploadsPaginator(k.c, &s3.ListMultipartUploadsInput{Bucket: &k.bucket, Prefix: &k.prefix}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			seen[*u.UploadId] = true
			if _, known := k.uploads[*u.UploadId]; !known && cut.name == "begin" {
				k.uploads[*u.UploadId], cut.name = map[int32]string{}, "" // that was it
			} else if !known {
				t.Errorf("upload %s is there, and should not be; under way was %+v", *u.UploadId, cut)
				continue
			}
			k.checkParts(t, *u.UploadId, cut)
		}
	}
	for id := range k.uploads {
		if seen[id] {
			continue
		}
		if cut.name != "abort" || cut.id != id {
			t.Errorf("upload %s was acknowledged and is not there", id)
		}
		delete(k.uploads, id)
	}
}

func (k *keeper) checkParts(t *testing.T, id string, cut keptAct) {
	t.Helper()
	out, err := k.c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &k.bucket, Key: aws.String(k.prefix + "upload"), UploadId: &id})
	if statusOf(err) == http.StatusNotFound {
		t.Errorf("upload %s is listed and not there", id)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]string{}
	for _, p := range out.Parts {
		got[*p.PartNumber] = *p.ETag
	}
	want := maps.Clone(k.uploads[id])
	if cut.name == "part" && cut.id == id && got[cut.part] == cut.etag {
		want[cut.part] = cut.etag
	}
	if !maps.Equal(got, want) {
		t.Errorf("upload %s has parts %v, want %v", id, got, want)
	}
	k.uploads[id] = got
}
