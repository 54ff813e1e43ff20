package compattests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// s3cmd returns what runs an s3cmd command, in a folder of its own, which it returns too.
func (d *deployment) s3cmd(t testing.TB) (func(args ...string) tool, string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nbucket_location = %s\n"+
		"use_https = False\nsignature_v2 = False\nmultipart_chunk_size_mb = 5\nmax_retries = 1\n", d.accessKey, d.secretKey, d.addr, d.addr, region)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) tool {
		return tool{name: "s3cmd", args: append([]string{"-c", config, "--no-progress"}, args...), dir: dir}
	}, dir
}

// Covers: CreateBucket, ListBuckets, PutObject, GetObject, ListObjects, DeleteObjects.
func TestS3cmd(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		command, dir := d.s3cmd(t)
		s3cmd := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
		s3cmd("mb", "s3://commanded")
		if out := s3cmd("ls"); !strings.Contains(out, "s3://commanded") {
			t.Errorf("ls: %q", out)
		}
		for _, size := range []int64{0, 1000, 17 << 20} {
			path, back := contentFile(t, dir, fmt.Sprintf("f %d", size), size), filepath.Join(dir, "back")
			s3cmd("put", path, "s3://commanded/dir/f+%")
			s3cmd("get", "--force", "s3://commanded/dir/f+%", back)
			if got, want := shaOfFile(t, back), shaOfFile(t, path); got != want {
				t.Errorf("%d bytes: SHA-256 %s, want %s", size, got, want)
			}
		}
		if out := s3cmd("info", "s3://commanded/dir/f+%"); !strings.Contains(out, fmt.Sprint(17<<20)) {
			t.Errorf("info: %q", out)
		}
		s3cmd("cp", "s3://commanded/dir/f+%", "s3://commanded/copy")
		s3cmd("mv", "s3://commanded/copy", "s3://commanded/moved")
		if out := s3cmd("ls", "s3://commanded"); !strings.Contains(out, "s3://commanded/moved") || !strings.Contains(out, "DIR") || strings.Contains(out, "copy") {
			t.Errorf("ls: %q", out)
		}
		tree, back := sampleTree(t), filepath.Join(dir, "tree")
		s3cmd("sync", tree+"/", "s3://commanded/tree/")
		if err := os.Mkdir(back, 0o700); err != nil {
			t.Fatal(err)
		}
		s3cmd("sync", "s3://commanded/tree/", back+"/")
		sameTree(t, back, tree)
		s3cmd("del", "s3://commanded/moved")
		s3cmd("del", "--recursive", "--force", "s3://commanded/")
		s3cmd("rb", "s3://commanded")
	})
}

// Covers: PutObject, GetObject, CopyObject, HeadObject, ListMultipartUploads, ListParts, AbortMultipartUpload.
// Covers: PutObjectAcl, PutBucketAcl, PutBucketCors, DeleteBucketCors, DeleteObjects.
// Covers: PutBucketPolicy, DeleteBucketPolicy.
func TestS3cmdAdministration(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		command, dir := d.s3cmd(t)
		s3cmd := func(args ...string) string { t.Helper(); return string(command(args...).run(t)) }
		says := func(out, what string) {
			t.Helper()
			if !strings.Contains(out, what) {
				t.Errorf("%q is not in %q", what, out)
			}
		}
		s3cmd("mb", "s3://administered", "s3://second")
		path := contentFile(t, dir, "f", 12<<20+5)
		s3cmd("put", "--multipart-chunk-size-mb=6", "--mime-type=text/x", "--add-header=Cache-Control:max-age=5", "--add-header=x-amz-meta-who:s3cmd", path, "s3://administered/a/f")
		s3cmd("modify", "--add-header=Cache-Control:no-store", "--remove-header=x-amz-meta-who", "s3://administered/a/f")
		c := d.sdk(t)
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("administered"), Key: aws.String("a/f")})
		if err != nil || aws.ToString(head.CacheControl) != "no-store" || aws.ToString(head.ContentType) != "text/x" || head.Metadata["who"] != "" {
			t.Errorf("after modify: %v %v %v, %v", aws.ToString(head.CacheControl), aws.ToString(head.ContentType), head.Metadata, err)
		}
		s3cmd("cp", "s3://administered/a/f", "s3://second/copied")
		s3cmd("mv", "s3://second/copied", "s3://second/moved")
		says(s3cmd("la"), "s3://second/moved")
		says(s3cmd("du", "s3://administered/a"), fmt.Sprint(12<<20+5, " "))
		says(s3cmd("info", "s3://administered"), "Location:  "+region)
		s3cmd("setacl", "--acl-private", "s3://administered", "s3://administered/a/f")
		if r := command("setacl", "--acl-public", "s3://administered/a/f").try(t); r.code == 0 {
			t.Errorf("an object was made public: %s%s", r.stdout, r.stderr)
		}
		testS3cmdSync(t, s3cmd, dir)
		testS3cmdStreams(t, d, command)
		testS3cmdUploads(t, c, s3cmd)
		rules := filepath.Join(dir, "cors.xml")
		text := "<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s3cmd("setcors", rules, "s3://administered")
		says(s3cmd("info", "s3://administered"), "https://app.example")
		s3cmd("delcors", "s3://administered")
		policy := filepath.Join(dir, "policy.json")
		text = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::administered/a/*"}]}`
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s3cmd("setpolicy", policy, "s3://administered")
		says(s3cmd("info", "s3://administered"), "s3:GetObject")
		sameBytes(t, "an object open to all", call(t, d.httpClient(t, 1), "GET", d.url()+"/administered/a/f", nil).body, content("f", 12<<20+5))
		s3cmd("delpolicy", "s3://administered")
		if a := call(t, d.httpClient(t, 1), "GET", d.url()+"/administered/a/f", nil); a.status != 403 {
			t.Errorf("after delpolicy: %v", a)
		}
		s3cmd("rb", "--recursive", "--force", "s3://administered", "s3://second")
	})
}

// testS3cmdSync syncs with filters and removals, and from bucket to bucket.
func testS3cmdSync(t *testing.T, s3cmd func(args ...string) string, dir string) {
	t.Helper()
	tree := sampleTree(t)
	s3cmd("sync", "--exclude", "large/*", tree+"/", "s3://administered/tree/")
	if out := s3cmd("sync", "--exclude", "large/*", tree+"/", "s3://administered/tree/"); strings.Contains(out, "upload:") {
		t.Errorf("a second sync uploaded: %s", out)
	}
	for _, name := range []string{"large/three.bin", "one"} {
		if err := os.Remove(filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	s3cmd("sync", "--delete-removed", tree+"/", "s3://administered/tree/")
	s3cmd("sync", "s3://administered/tree/", "s3://second/tree/")
	back := filepath.Join(dir, "synced back")
	if err := os.Mkdir(back, 0o700); err != nil {
		t.Fatal(err)
	}
	s3cmd("get", "--recursive", "s3://second/tree/", back+"/")
	sameTree(t, back, tree)
}

// testS3cmdStreams puts standard input, gets to standard output, and reads through a signed address.
func testS3cmdStreams(t *testing.T, d *deployment, command func(args ...string) tool) {
	t.Helper()
	for _, size := range []int{1000, 11 << 20} {
		body := content("s3cmd stream", size)
		up := command("put", "-", "s3://administered/stream")
		up.stdin = bytes.NewReader(body)
		up.run(t)
		sameBytes(t, "to standard output", command("get", "--quiet", "s3://administered/stream", "-").run(t), body)
		url := strings.TrimSpace(string(command("signurl", "s3://administered/stream", "+60").run(t)))
		sameBytes(t, "by a signed address", call(t, d.httpClient(t, 1), "GET", url, nil).body, body)
	}
}

// testS3cmdUploads finds an upload that somebody left, and ends it.
func testS3cmdUploads(t *testing.T, c *s3.Client, s3cmd func(args ...string) string) {
	t.Helper()
	u := beginUpload(t, c, "administered", "left/behind")
	u.put(t, 1, content("part", 1000))
	if out := s3cmd("multipart", "s3://administered"); !strings.Contains(out, u.id) {
		t.Errorf("multipart: %s", out)
	}
	if out := s3cmd("listmp", "s3://administered/left/behind", u.id); !strings.Contains(out, "1000") {
		t.Errorf("listmp: %s", out)
	}
	s3cmd("abortmp", "s3://administered/left/behind", u.id)
	if out := s3cmd("multipart", "s3://administered"); strings.Contains(out, u.id) {
		t.Errorf("multipart after abortmp: %s", out)
	}
}
