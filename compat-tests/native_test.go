package compattests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// curl runs curl on the native API with its own idea of headers and paths, and returns the whole answer.
func (d *deployment) curl(t testing.TB, path string, args ...string) answer {
	t.Helper()
	dir := t.TempDir()
	headers, body := filepath.Join(dir, "headers"), filepath.Join(dir, "body")
	// --path-as-is keeps ../ in the path; --globoff keeps brackets.
	args = append([]string{"-q", "-sS", "--path-as-is", "--globoff", "-D", headers, "-o", body, "-w", "%{http_code}"}, args...)
	status, err := strconv.Atoi(string(tool{name: "curl", args: append(args, d.url()+path)}.run(t)))
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: status, header: http.Header{}}
	if got.body, err = os.ReadFile(body); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(headers)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			got.header.Add(name, value)
		}
	}
	return got
}

// user is the root credentials as curl takes them.
func (d *deployment) user() string { return d.accessKey + ":" + d.secretKey }

func TestNativeWithCurl(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		dir, c := t.TempDir(), d.sdk(t)
		for _, size := range []int64{0, 1, 5000, 1<<20 + 1, 20 << 20} {
			name := fmt.Sprintf("value of %d", size)
			path, body := contentFile(t, dir, name, size), content(name, int(size))
			key := "some/dir/" + fmt.Sprint(size)
			if a := d.curl(t, "/set/"+key, "-u", d.user(), "-T", path); a.status/100 != 2 {
				t.Errorf("PUT of %d bytes: %v", size, a)
			}
			a := d.curl(t, "/get/"+key, "-u", d.user())
			sameBytes(t, key, a.body, body)
			if a.status != 200 || a.header.Get("ETag") != etagOf(body) || a.header.Get("Content-Length") != fmt.Sprint(size) {
				t.Errorf("GET of %s: status %d, %v", key, a.status, a.header)
			}
			sameBytes(t, "by S3", get(t, c, "kv", key), body)
			head := d.curl(t, "/get/"+key, "-u", d.user(), "--head")
			if head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(size) || head.header.Get("ETag") != etagOf(body) {
				t.Errorf("HEAD of %s: %d, %v", key, head.status, head.header)
			}
			if a := d.curl(t, "/get/"+key, "-u", d.user(), "-H", "If-None-Match: "+etagOf(body)); a.status != 304 || len(a.body) != 0 {
				t.Errorf("If-None-Match: %v", a)
			}
			if size > 1000 {
				a := d.curl(t, "/get/"+key, "-u", d.user(), "-r", "100-2099")
				sameBytes(t, "range", a.body, body[100:2100])
				if want := fmt.Sprintf("bytes 100-2099/%d", size); a.status != 206 || a.header.Get("Content-Range") != want {
					t.Errorf("range: status %d, Content-Range %q, want %q", a.status, a.header.Get("Content-Range"), want)
				}
			}
			if a := d.curl(t, "/delete/"+key, "-u", d.user(), "-X", "DELETE"); a.status/100 != 2 {
				t.Errorf("DELETE of %s: %v", key, a)
			}
			wantText(t, "GET of a deleted key", d.curl(t, "/get/"+key, "-u", d.user()), 404)
		}
		for _, key := range []string{"a//b", "../x", ".", "100%", "a+b c", "ü/😀", "a?b#c", "a\nb", "[a-z]{1,2}"} {
			if a := d.curl(t, "/set/"+escape(key), "-u", d.user(), "-X", "PUT", "--data-binary", "value of "+key); a.status/100 != 2 {
				t.Errorf("PUT of %q: %v", key, a)
			}
			sameBytes(t, fmt.Sprintf("%q", key), d.curl(t, "/get/"+escape(key), "-u", d.user()).body, []byte("value of "+key))
			sameBytes(t, fmt.Sprintf("%q by S3", key), get(t, c, "kv", key), []byte("value of "+key))
		}
		// A pipe has no length: curl sends chunks.
		up := tool{name: "curl", args: []string{"-q", "-sS", "--fail", "-u", d.user(), "-T", "-", d.url() + "/set/piped"}, stdin: contentReader("piped", 3<<20)}
		up.run(t)
		sameBytes(t, "piped", d.curl(t, "/get/piped", "-u", d.user()).body, content("piped", 3<<20))
		put(t, c, "kv", "by/s3", []byte("put by S3"))
		sameBytes(t, "put by S3", d.curl(t, "/get/by/s3", "-u", d.user()).body, []byte("put by S3"))
	})
}

// wantText checks an error of the native API: its status, and a line of plain text for a person.
func wantText(t testing.TB, what string, a answer, status int) {
	t.Helper()
	ct := a.header.Get("Content-Type")
	if a.status != status || !strings.HasPrefix(ct, "text/plain") || len(strings.TrimSpace(string(a.body))) < 5 || strings.Contains(string(a.body), "<") {
		t.Errorf("%s: status %d, type %q, %q; want %d in plain text", what, a.status, ct, a.body, status)
	}
}

func TestNativeKeys(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, web, auth := d.sdk(t), d.httpClient(t, 4), basicAuth(d.accessKey, d.secretKey)
		keys := append(awkwardKeys(), controlKeys()...)
		for _, key := range keys {
			body := []byte("native " + key)
			if a := call(t, web, "PUT", d.url()+"/set/"+escape(key), body, "Authorization", auth); a.status/100 != 2 {
				t.Errorf("PUT of %q: %v", key, a)
				continue
			}
			sameBytes(t, fmt.Sprintf("%q", key), call(t, web, "GET", d.url()+"/get/"+escape(key), nil, "Authorization", auth).body, body)
			sameBytes(t, fmt.Sprintf("%q by S3", key), get(t, c, "kv", key), body)
			// An encoded slash is the same key.
			slashed := strings.ReplaceAll(escape(key), "/", "%2F")
			sameBytes(t, fmt.Sprintf("%q with encoded slashes", key), call(t, web, "GET", d.url()+"/get/"+slashed, nil, "Authorization", auth).body, body)
		}
		slices.Sort(keys)
		if got := listAll(t, c, "kv"); !slices.Equal(got, keys) {
			t.Errorf("listed %d keys, want %d:\n%q\n%q", len(got), len(keys), got, keys)
		}
		for _, key := range keys {
			if a := call(t, web, "DELETE", d.url()+"/delete/"+escape(key), nil, "Authorization", auth); a.status/100 != 2 {
				t.Errorf("DELETE of %q: %v", key, a)
			}
		}
		if rest := listAll(t, c, "kv"); len(rest) > 0 {
			t.Errorf("left after all was deleted: %q", rest)
		}
	})
}

func TestNativeRefusals(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		user := []string{"-u", d.user()}
		with := func(args ...string) []string { return append(append([]string{}, user...), args...) }
		for _, tc := range []struct {
			what   string
			path   string
			args   []string
			status int
		}{
			{"no credentials", "/get/x", nil, 401},
			{"a wrong password", "/get/x", []string{"-u", d.accessKey + ":wrong"}, 401},
			{"an unknown user", "/get/x", []string{"-u", "nobody:" + d.secretKey}, 401},
			{"a forged signature", "/get/x", signArgs(d.accessKey + ":wrong"), 403},
			{"a write without credentials", "/set/x", []string{"-X", "PUT", "-d", "x"}, 401},
			{"a delete without credentials", "/delete/x", []string{"-X", "DELETE"}, 401},
			{"a missing key", "/get/none", user, 404},
			{"deleting a missing key", "/delete/none", with("-X", "DELETE"), 404},
			{"no key", "/get/", user, 400},
			{"no key to set", "/set/", with("-X", "PUT", "-d", "x"), 400},
			{"a key that is too long", "/set/" + strings.Repeat("k", 1025), with("-X", "PUT", "-d", "x"), 400},
			{"a key that is no UTF-8", "/set/a%ff", with("-X", "PUT", "-d", "x"), 400},
			{"a body that is too large", "/set/x", with("-X", "PUT", "-H", "Content-Length: 999999999999999", "-H", "Expect: 100-continue", "-d", "x"), 413},
		} {
			wantText(t, tc.what, d.curl(t, tc.path, tc.args...), tc.status)
		}
		for _, tc := range [][2]string{{"POST", "/set/x"}, {"PUT", "/get/x"}, {"GET", "/set/x"}, {"GET", "/delete/x"}, {"POST", "/delete/x"}} {
			a := call(t, d.httpClient(t, 1), tc[0], d.url()+tc[1], nil, "Authorization", basicAuth(d.accessKey, d.secretKey))
			if wantText(t, tc[0]+" "+tc[1], a, 405); a.header.Get("Allow") == "" {
				t.Errorf("%s %s: 405 without Allow", tc[0], tc[1])
			}
		}
		if a := d.curl(t, "/get/x"); !strings.Contains(a.header.Get("Www-Authenticate"), "Basic") {
			t.Errorf("401 without a challenge: %v", a.header)
		}
		if a := d.curl(t, "/set/ranged", with("-X", "PUT", "-d", "0123456789")...); a.status/100 != 2 {
			t.Errorf("PUT: %v", a)
		}
		wantText(t, "a new key that is there", d.curl(t, "/set/ranged", with("-X", "PUT", "-d", "x", "-H", "If-None-Match: *")...), 412)
		wantText(t, "another version replaced", d.curl(t, "/set/ranged", with("-X", "PUT", "-d", "x", "-H", `If-Match: "abc"`)...), 412)
		wantText(t, "a range beyond the end", d.curl(t, "/get/ranged", with("-r", "10-")...), 416)
	})
}

// signArgs makes curl sign its requests as for AWS. Curl does not send the header by itself before version 8.
func signArgs(user string) []string {
	return []string{"--aws-sigv4", "aws:amz:" + region + ":s3", "-u", user, "-H", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"}
}

// TestNativeSignedByCurl uses curl's own implementation of AWS signatures.
func TestNativeSignedByCurl(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		sign := signArgs(d.user())
		with := func(args ...string) []string { return append(append([]string{}, sign...), args...) }
		if a := d.curl(t, "/set/signed/by-curl", with("-X", "PUT", "--data-binary", "signed value", "-H", "Content-Type: text/plain")...); a.status/100 != 2 {
			t.Fatalf("signed PUT: %v", a)
		}
		a := d.curl(t, "/get/signed/by-curl", sign...)
		sameBytes(t, "signed GET", a.body, []byte("signed value"))
		if a := d.curl(t, "/kv/signed/by-curl", sign...); a.status != 200 || string(a.body) != "signed value" {
			t.Errorf("signed S3 GET: %v", a)
		}
		if a := d.curl(t, "/delete/signed/by-curl", with("-X", "DELETE")...); a.status/100 != 2 {
			t.Errorf("signed DELETE: %v", a)
		}
		wantText(t, "after the signed DELETE", d.curl(t, "/get/signed/by-curl", sign...), 404)

		// As a person types it, without the header that only newer releases of curl add.
		plain := []string{"--aws-sigv4", "aws:amz:" + region + ":s3", "-u", d.user()}
		path, body := contentFile(t, t.TempDir(), "signed", 5000), content("signed", 5000)
		if a := d.curl(t, "/set/signed/plainly", append(plain, "-T", path)...); a.status/100 != 2 {
			t.Fatalf("signed upload: %v", a)
		}
		sameBytes(t, "plainly signed GET", d.curl(t, "/get/signed/plainly", plain...).body, body)
		if a := d.curl(t, "/delete/signed/plainly", append(plain, "-X", "DELETE")...); a.status/100 != 2 {
			t.Errorf("plainly signed DELETE: %v", a)
		}
		wrong := []string{"--aws-sigv4", "aws:amz:" + region + ":s3", "-u", d.accessKey + ":wrong-secret"}
		wantText(t, "plainly signed with a wrong secret", d.curl(t, "/get/signed/plainly", wrong...), 403)
	})
}

// TestNativeBucketByS3 makes the bucket of the native API by S3, before the native API has.
func TestNativeBucketByS3(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		wantText(t, "before there is any value", d.curl(t, "/get/a", "-u", d.user()), 404)
		bucket(t, c, "kv")
		put(t, c, "kv", "a", []byte("by S3"))
		sameBytes(t, "by the native API", d.curl(t, "/get/a", "-u", d.user()).body, []byte("by S3"))
		if a := d.curl(t, "/set/b", "-u", d.user(), "-X", "PUT", "-d", "by curl"); a.status/100 != 2 {
			t.Errorf("PUT: %v", a)
		}
		sameBytes(t, "by S3", get(t, c, "kv", "b"), []byte("by curl"))
	})
}
