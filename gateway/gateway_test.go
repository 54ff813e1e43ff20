package gateway

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/s3api"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Domains = []string{"s3.example.com"} })
	for _, c := range []struct{ host, path, by string }{
		{"127.0.0.1:3000", "/", "s3"},
		{"127.0.0.1:3000", "/bucket/key", "s3"},
		{"127.0.0.1:3000", "/bucket//a/../b%2Fc", "s3"},
		{"127.0.0.1:3000", "/get", "s3"},
		{"127.0.0.1:3000", "/getter/x", "s3"},
		{"127.0.0.1:3000", "//get/x", "s3"},
		{"127.0.0.1:3000", "/kv/x", "s3"},
		{"127.0.0.1:3000", "/-/", "s3"},
		{"127.0.0.1:3000", "/-/healthz/x", "s3"},
		{"127.0.0.1:3000", "/get/x", ""},
		{"127.0.0.1:3000", "/-/healthz", ""},
		{"s3.example.com", "/get/x", ""},
		{"photos.s3.example.com", "/get/x", "s3"},
		{"Photos.S3.example.com.:3000", "/-/healthz", "s3"},
		{"other.example.com", "/get/x", ""},
	} {
		w := b.do("GET", c.path, "", "Host", c.host)
		if got := w.Header().Get("X-Served-By"); got != c.by {
			t.Errorf("%s%s was served by %q, want %q", c.host, c.path, got, c.by)
		}
		if c.by == "s3" && w.Body.String() != c.path {
			t.Errorf("%s%s reached S3 as %q", c.host, c.path, w.Body)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("an empty Config makes a gateway")
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	form := regexp.MustCompile(`^[0-9A-F]{16}$`)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/get/none", "/set/x", "/-/healthz", "/-/readyz", "/bucket/key"} {
		w := b.do("GET", path, "")
		id := w.Header().Get("X-Amz-Request-Id")
		if !form.MatchString(id) || seen[id] || hostID(w.Header()) != "test-host" || w.Header().Get("Server") != "tdkvs" {
			t.Errorf("GET %s: headers %v", path, w.Header())
		}
		seen[id] = true
		if !strings.Contains(b.log.String(), "request_id="+id) {
			t.Errorf("GET %s: %s is not in the log", path, id)
		}
	}
}

// hostID returns x-amz-id-2, however it is spelled.
func hostID(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, hostIDHeader) {
			return strings.Join(values, ", ")
		}
	}
	return ""
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, authorization := range map[string]string{
		"none":             "",
		"wrong password":   basicHeader(testKey, "wrong"),
		"empty password":   basicHeader(testKey, ""),
		"unknown user":     basicHeader("nobody", testSecret),
		"nobody":           basicHeader("", ""),
		"no base64":        "Basic !!!",
		"no colon":         "Basic Zm9v",
		"no credentials":   "Basic",
		"secret as prefix": basicHeader(testKey, testSecret+"x"),
	} {
		for _, r := range [][2]string{{"GET", "/get/k"}, {"PUT", "/set/k"}, {"DELETE", "/delete/k"}} {
			w := b.do(r[0], r[1], "", "Authorization", authorization)
			wantText(t, w, 401, "")
			if got := w.Header().Get("Www-Authenticate"); !strings.HasPrefix(got, "Basic realm=") {
				t.Errorf("%s: WWW-Authenticate %q", name, got)
			}
		}
	}
	if w := b.do("PUT", "/set/k", "v", "Authorization", strings.Replace(basicHeader(testKey, testSecret), "Basic", "basic", 1)); w.Code != 200 {
		t.Errorf("right credentials: %d %s", w.Code, w.Body)
	}
	if len(b.store.objects) != 1 {
		t.Errorf("stored: %v", b.store.objects)
	}
	if strings.Contains(b.log.String(), testSecret) {
		t.Error("the secret is in the log")
	}
}

func basicHeader(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// TestForeignSchemes: what is neither basic nor a signature is an error in text.
func TestForeignSchemes(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for authorization, status := range map[string]int{
		"Bearer token": 400,
		"AWS4-HMAC-SHA256 Credential=" + testKey + "/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00": 403,
	} {
		if w := b.do("GET", "/get/k", "", "Authorization", authorization); w.Code/100 != 4 {
			t.Errorf("%s: %d, want about %d", authorization, w.Code, status)
		} else {
			wantText(t, w, w.Code, "")
		}
	}
	failing := newBench(t, func(c *Config) {
		c.Credentials = func(context.Context, string) (s3api.Credential, error) { return s3api.Credential{}, errSecretCause }
	})
	w := failing.do("GET", "/get/k", "")
	wantText(t, w, 500, "internal error")
}

type authorizer func(a s3api.Access) error

func (f authorizer) Authorize(_ context.Context, a s3api.Access) error { return f(a) }

func TestPermissions(t *testing.T) {
	t.Parallel()
	user := func(context.Context, string) (s3api.Credential, error) {
		return s3api.Credential{Secret: testSecret, Identity: s3api.Identity{UserID: "u1"}}, nil
	}
	requests := [][3]string{{"GET", "/get/k", "s3:GetObject"}, {"PUT", "/set/k", "s3:PutObject"}, {"DELETE", "/delete/k", "s3:DeleteObject"}}
	nobody := newBench(t, func(c *Config) { c.Credentials = user })
	for _, r := range requests {
		wantText(t, nobody.do(r[0], r[1], ""), 403, "access denied")
	}
	for _, r := range requests {
		b := newBench(t, func(c *Config) {
			c.Credentials = user
			c.Authorizer = authorizer(func(a s3api.Access) error {
				if a.Permission == r[2] && a.Bucket == Bucket && a.Key == "k" && a.Identity.AccessKey == testKey {
					return nil
				}
				return s3api.ErrDenied
			})
		})
		for _, other := range requests {
			w := b.do(other[0], other[1], "")
			if allowed := other == r; allowed == (w.Code == 403) {
				t.Errorf("with %s: %s %s gives %d", r[2], other[0], other[1], w.Code)
			}
		}
	}
	broken := newBench(t, func(c *Config) {
		c.Credentials = user
		c.Authorizer = authorizer(func(s3api.Access) error { return errors.New("out of order") })
	})
	wantText(t, broken.do("GET", "/get/k", ""), 500, "internal error")
}

func TestProtectedMode(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Credentials, c.Domains = nil, []string{"s3.example.com"} })
	remotes := map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"10.0.0.1:1": false, "192.168.1.9:5": false, "[fe80::1%eth0]:1": false, "[2001:db8::1]:1": false, "0.0.0.0:1": false, "": false, "@": false,
	}
	for remote, served := range remotes {
		for _, path := range []string{"/get/none", "/kv/x", "/", "/set/x", "/delete/x", "/-/metrics"} {
			w := b.do("GET", path, "", "Remote", remote, "Authorization", "", "X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1", "Forwarded", "for=127.0.0.1")
			switch {
			case served && w.Code == 403:
				t.Errorf("%s from %s: refused", path, remote)
			case !served && (w.Code != 403 || !strings.Contains(w.Body.String(), "TDKVS_ACCESS_KEY")):
				t.Errorf("%s from %s: %d %q", path, remote, w.Code, w.Body)
			}
		}
		if w := b.do("GET", "/-/healthz", "", "Remote", remote); w.Code != 200 {
			t.Errorf("healthz from %s: %d", remote, w.Code)
		}
	}

	w := b.do("GET", "/photos/a%3Cb%3E", "", "Remote", "10.0.0.1:1")
	var doc struct {
		XMLName                                    xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId, HostId string
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Code != "AccessDenied" || doc.Resource != "/photos/a<b>" ||
		doc.RequestId != w.Header().Get("X-Amz-Request-Id") || doc.HostId != "test-host" || w.Header().Get("Content-Type") != "application/xml" {
		t.Errorf("S3 path: %v %s", err, w.Body)
	}
	if w := b.do("HEAD", "/photos/x", "", "Remote", "10.0.0.1:1"); w.Code != 403 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
	wantText(t, b.do("GET", "/get/x", "", "Remote", "10.0.0.1:1"), 403, "credentials")

	// With or without credentials, right or wrong: on this machine it is open.
	for _, authorization := range []string{"", basicHeader("any", "thing"), "AWS4-HMAC-SHA256 Credential=x"} {
		if w := b.do("PUT", "/set/k", "v", "Authorization", authorization); w.Code != 200 {
			t.Errorf("PUT with %q: %d %s", authorization, w.Code, w.Body)
		}
	}
	if owner := b.store.objects["k"].Owner; owner != s3api.DefaultUserID {
		t.Errorf("owner %q", owner)
	}
}

// TestProtectedModeAgainstPages: a web page must not reach an open store through
// the browser of somebody on its machine.
func TestProtectedModeAgainstPages(t *testing.T) {
	t.Parallel()
	open := newBench(t, func(c *Config) { c.Credentials, c.Domains = nil, []string{"s3.example.com"} })
	for _, c := range []struct {
		header []string
		served bool
	}{
		{nil, true},
		{[]string{"Host", "localhost:3000"}, true},
		{[]string{"Host", "[::1]:3000"}, true},
		{[]string{"Host", "photos.s3.example.com"}, true},
		{[]string{"Host", "s3.localhost"}, true},
		{[]string{"Host", "evil.example"}, false},
		{[]string{"Host", "localhost.evil.example"}, false},
		{[]string{"Origin", "http://127.0.0.1:3000"}, true},
		{[]string{"Origin", "http://127.0.0.1:8080"}, false},
		{[]string{"Origin", "https://evil.example"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Origin", "http://evil.example", "Host", "evil.example"}, false},
	} {
		if w := open.do("PUT", "/set/k", "v", c.header...); (w.Code == 200) != c.served {
			t.Errorf("PUT with %q: %d %s", c.header, w.Code, w.Body)
		}
	}
	// Neither a preflight nor a form gets as far as the rules of a bucket.
	for _, method := range []string{"OPTIONS", "POST", "GET"} {
		w := open.do(method, "/photos/x", "v", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT", "Content-Type", "multipart/form-data; boundary=b")
		if w.Code != 403 || w.Header().Get("X-Served-By") != "" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s of a page: %d %v", method, w.Code, w.Header())
		}
	}
	closed := newBench(t, nil)
	if w := closed.do("OPTIONS", "/photos/x", "", "Authorization", "", "Origin", "https://evil.example"); w.Header().Get("X-Served-By") != "s3" {
		t.Errorf("with credentials, the rules of a bucket decide: %d %v", w.Code, w.Header())
	}
	if w := closed.do("PUT", "/set/k", "v", "Host", "store.example", "Origin", "https://evil.example"); w.Code != 200 {
		t.Errorf("with credentials, names do not matter: %d %s", w.Code, w.Body)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	volumes := []master.VolumeHealth{{Number: 1, UUID: "u1", Name: "http://10.0.0.1:3001"}, {Number: 2, UUID: "u2", Name: "http://10.0.0.2:3001"}}
	b.health.Volumes = volumes
	w := b.do("GET", "/-/healthz", "", "Authorization", "")
	if w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("healthz: %d %q", w.Code, w.Body)
	}
	var got readiness
	w = b.do("GET", "/-/readyz", "", "Authorization", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || !got.Ready || len(got.Volumes) != 2 || got.Metadata.State != "ok" ||
		got.Volumes[0].State != "ok" || got.Volumes[0].Name != volumes[0].Name || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("readyz: %d %s %v", w.Code, w.Body, err)
	}

	b = newBench(t, nil)
	leaving := volumes[1]
	leaving.Draining = true
	b.health.Volumes = []master.VolumeHealth{volumes[0], leaving}
	w = b.do("GET", "/-/readyz", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || !got.Ready || got.Volumes[1].State != "draining" {
		t.Errorf("with a volume that is being deleted: %d %s %v", w.Code, w.Body, err)
	}

	// A volume that is down is in the answer, and no reason not to be asked.
	b = newBench(t, nil)
	broken := volumes[1]
	broken.Err = errors.New("no answer in time")
	b.health.Volumes = []master.VolumeHealth{volumes[0], broken}
	w = b.do("GET", "/-/readyz", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || !got.Ready || got.Volumes[0].State != "ok" || got.Volumes[1].State != "unreachable" {
		t.Errorf("with a volume that is down: %d %s %v", w.Code, w.Body, err)
	}

	sick := newBench(t, nil)
	down, sealed, full := volumes[0], volumes[1], volumes[1]
	down.Err = errors.New("connection refused")
	sealed.Status.ReadOnly, full.Status.Full = "fsync: EIO", true
	sick.health = master.Health{Metadata: "closed", Volumes: []master.VolumeHealth{down, sealed, full}}
	w = sick.do("GET", "/-/readyz", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 503 || got.Ready || got.Metadata.State != "failed" ||
		got.Volumes[0].State != "unreachable" || got.Volumes[1].State != "read-only" || got.Volumes[2].State != "full" ||
		got.Volumes[0].Error != "connection refused" || got.Volumes[1].Error != "fsync: EIO" {
		t.Errorf("readyz: %d %s %v", w.Code, w.Body, err)
	}
	w = sick.do("GET", "/-/readyz", "", "Remote", "10.0.0.7:1")
	for _, inside := range []string{"10.0.0", "refused", "EIO", "closed"} {
		if w.Code != 503 || strings.Contains(w.Body.String(), inside) {
			t.Errorf("readyz tells a stranger: %d %s", w.Code, w.Body)
		}
	}
	empty := newBench(t, nil)
	if w := empty.do("GET", "/-/readyz", ""); !strings.Contains(w.Body.String(), `"volumes": []`) {
		t.Errorf("readyz without volumes: %s", w.Body)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var do func(w http.ResponseWriter)
	b := newBench(t, func(c *Config) {
		c.S3 = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { do(w) })
	})
	do = func(http.ResponseWriter) { panic("oh " + errSecretCause.Error()) }
	w := b.do("GET", "/", "")
	wantText(t, w, 500, "internal error; request id "+w.Header().Get("X-Amz-Request-Id"))
	if log := b.log.String(); !strings.Contains(log, "sdz9") || !strings.Contains(log, "stack=") || !strings.Contains(log, "status=500") {
		t.Errorf("log: %s", log)
	}
	for name, f := range map[string]func(http.ResponseWriter){
		"after the beginning": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "part"); panic("oh") },
		"abort":               func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		do = f
		server := httptest.NewServer(b.handler)
		resp, err := http.Get(server.URL + "/")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close() // it is broken
		}
		if err == nil {
			t.Errorf("%s: the client saw a whole answer", name)
		}
		server.Close()
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.do("PUT", "/set/some/key", "12345")
	b.do("GET", "/get/some/key", "", "User-Agent", "test/1")
	b.do("GET", "/get/none", "")
	b.do("GET", "/bucket/key?prefix=a&X-Amz-Signature=5ec7e7&x-amz-credential=5ec7e7&X-Amz-Security-Token=5ec7e7&Signature=5ec7e7&AWSAccessKeyId=5ec7e7&X%2DAmz-Signature=5ec7e7&bad%zz=5ec7e7", "")
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), b.log)
	}
	for i, want := range [][]string{
		{"level=INFO", "method=PUT", "path=/set/some/key", "operation=NativeSet", "status=200", "bytes_in=5", "bytes_out=0", "duration=", "remote=127.0.0.1:5555", "access_key=" + testKey, "request_id="},
		{"method=GET", "operation=NativeGet", "status=200", "bytes_out=5", "user_agent=test/1"},
		{"status=404", "error="},
		{"path=/bucket/key", "prefix=a", "X-Amz-Signature=REDACTED"},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i, part, lines[i])
			}
		}
	}
	if log := b.log.String(); strings.Contains(log, "5ec7e7") || strings.Contains(log, testSecret) {
		t.Errorf("secrets in the log:\n%s", log)
	}
}
