package compattests

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// reading is one request about what is stored, and its answer.
type reading struct {
	Path   string
	Status int
	Header map[string]string `json:",omitempty"` // what is the store's to say
	Text   string            `json:",omitempty"` // of a document, or the code of an error
	Sum    string            `json:",omitempty"` // SHA-256 of any other body
}

func (r reading) equal(o reading) bool {
	return r.Path == o.Path && r.Status == o.Status && r.Text == o.Text && r.Sum == o.Sum && maps.Equal(r.Header, o.Header)
}

// keyPath writes a key into a path as signatures have it.
func keyPath(key string) string { return strings.ReplaceAll(escape(key), "%2E", ".") }

// crawler reads all that a store holds.
type crawler struct {
	t        *testing.T
	d        *deployment
	readings []reading
}

// crawl reads everything, in an order that what is there gives.
func (d *deployment) crawl(t *testing.T) []reading {
	t.Helper()
	c := &crawler{t: t, d: d}
	c.read("/")
	for _, name := range d.bucketNames(t) {
		c.bucket(name)
	}
	for _, path := range []string{"/replicas", "/buckets"} {
		c.add("/-/admin/v1"+path, string(d.signedCall(t, http.MethodGet, "/-/admin/v1"+path, nil, time.Now(), nil).body))
	}
	for _, v := range mustAdminGet[struct {
		Volumes []struct {
			Number            int
			UUID, State, Zone string
			Slots             int
		}
	}](t, d, "/volumes").Volumes {
		c.add(fmt.Sprint("volume ", v.Number), fmt.Sprintf("%+v", v))
	}
	return c.readings
}

func (c *crawler) add(path, text string) {
	c.readings = append(c.readings, reading{Path: path, Status: http.StatusOK, Text: text})
}

// read asks for one thing and notes the answer.
func (c *crawler) read(path string, headers ...string) answer {
	c.t.Helper()
	a := c.d.signedCall(c.t, http.MethodGet, path, nil, time.Now(), nil, headers...)
	r := reading{Path: path, Status: a.status, Header: map[string]string{}}
	for name, values := range a.header {
		switch name {
		case "Date", "Server", "X-Amz-Request-Id", "X-Amz-Id-2", "Connection":
		default:
			r.Header[name] = strings.Join(values, ", ")
		}
	}
	switch {
	case a.status >= 400:
		var e struct{ Code string }
		if err := xml.Unmarshal(a.body, &e); err != nil {
			c.t.Fatalf("%s: %v\n%s", path, err, a)
		}
		r.Text = e.Code
		delete(r.Header, "Content-Length") // of the request id and the like
	case a.header.Get("Content-Type") == "application/xml", a.header.Get("Content-Type") == "application/json":
		r.Text = string(a.body)
	default:
		r.Sum = sha(a.body)
	}
	c.readings = append(c.readings, r)
	return a
}

// bucketNames lists the buckets.
func (d *deployment) bucketNames(t *testing.T) []string {
	t.Helper()
	var list struct {
		Buckets struct {
			Bucket []struct{ Name string }
		}
	}
	d.document(t, "/", &list)
	var names []string
	for _, b := range list.Buckets.Bucket {
		names = append(names, b.Name)
	}
	return names
}

// document asks for a document.
func (d *deployment) document(t *testing.T, path string, into any) {
	t.Helper()
	a := d.signedCall(t, http.MethodGet, path, nil, time.Now(), nil)
	if err := xml.Unmarshal(a.body, into); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %v, %v", path, err, a)
	}
}

// upload of a listing.
type listedUpload struct{ Key, UploadId string }

func (u listedUpload) path(bucket string) string {
	return "/" + bucket + "/" + keyPath(u.Key) + "?uploadId=" + url.QueryEscape(u.UploadId)
}

// uploadsIn lists the uploads in progress in a bucket.
func (d *deployment) uploadsIn(t *testing.T, bucket string) []listedUpload {
	t.Helper()
	var list struct{ Upload []listedUpload }
	d.document(t, "/"+bucket+"?uploads=", &list)
	return list.Upload
}

// bucket reads a bucket: its documents, its uploads, and each version of each key.
func (c *crawler) bucket(name string) {
	c.t.Helper()
	for _, kind := range []string{"location", "versioning", "cors", "tagging", "policy", "publicAccessBlock", "ownershipControls", "object-lock",
		"accelerate", "uploads", "versions", "list-type=2"} {
		query := kind
		if !strings.Contains(kind, "=") {
			query += "="
		}
		c.read("/" + name + "?" + query)
	}
	for _, up := range c.d.uploadsIn(c.t, name) {
		c.read(up.path(name))
	}
	var list struct {
		Version, DeleteMarker []struct {
			Key, VersionId string
			IsLatest       bool
		}
	}
	c.d.document(c.t, "/"+name+"?versions=", &list)
	for _, v := range slices.Concat(list.Version, list.DeleteMarker) {
		path := "/" + name + "/" + keyPath(v.Key)
		if v.IsLatest {
			c.read(path, "x-amz-checksum-mode", "ENABLED")
		}
		path += "?versionId=" + v.VersionId
		a := c.read(path, "x-amz-checksum-mode", "ENABLED")
		if a.status != http.StatusOK {
			continue
		}
		c.read(path+"&attributes=", "x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")
		c.read(path + "&partNumber=2")
		for _, kind := range []string{"tagging=", "retention=", "legal-hold=", "acl="} {
			c.read(path + "&" + kind)
		}
		if name == "kv" && v.IsLatest {
			c.read("/get/" + keyPath(v.Key))
		}
	}
}
