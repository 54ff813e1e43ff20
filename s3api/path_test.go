package s3api

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	domains := []string{"s3.example.com", "example.com", "localhost"}
	long := strings.Repeat("k", meta.MaxKeyLen)
	tests := []struct {
		host, path string
		scope      scope
		bucket     string
		key        string
		code       string
	}{
		{"h", "/", scopeService, "", "", ""},
		{"h", "", scopeService, "", "", ""},
		{"h", "/b", scopeBucket, "b", "", ""},
		{"h", "/b/", scopeBucket, "b", "", ""},
		{"h", "/kv/a", scopeObject, "kv", "a", ""},
		{"h", "/b//", scopeObject, "b", "/", ""},
		{"h", "/b//a", scopeObject, "b", "/a", ""},
		{"h", "/b/a//b", scopeObject, "b", "a//b", ""},
		{"h", "/b/../x", scopeObject, "b", "../x", ""},
		{"h", "/b/.", scopeObject, "b", ".", ""},
		{"h", "/b/a/", scopeObject, "b", "a/", ""},
		{"h", "/b/a+b%20c", scopeObject, "b", "a+b c", ""},
		{"h", "/b/%25%2F%3F%23", scopeObject, "b", "%/?#", ""},
		{"h", "/b/%F0%9F%98%80", scopeObject, "b", "😀", ""},
		{"h", "/b/%00%01%7F", scopeObject, "b", "\x00\x01\x7f", ""},
		{"h", "/b/" + long, scopeObject, "b", long, ""},
		{"h", "/b/" + long + "k", 0, "", "", s3err.KeyTooLongError},
		{"h", "/b/%ff", 0, "", "", s3err.InvalidURI},
		{"h", "/b/%zz", 0, "", "", s3err.InvalidURI},
		{"h", "/%ff/a", 0, "", "", s3err.InvalidURI},
		{"h", "//a", 0, "", "", s3err.InvalidBucketName},
		{"h", "/a%2Fb/c", 0, "", "", s3err.InvalidBucketName},
		{"h", "/a%00/c", 0, "", "", s3err.InvalidBucketName},
		{"h", "/a b", 0, "", "", s3err.InvalidBucketName},
		{"bkt.s3.example.com", "/", scopeBucket, "bkt", "", ""},
		{"bkt.s3.example.com:3000", "/a", scopeObject, "bkt", "a", ""},
		{"BKT.S3.example.com.", "/a", scopeObject, "bkt", "a", ""},
		{"my.bkt.s3.example.com", "//a", scopeObject, "my.bkt", "/a", ""},
		{"s3.example.com", "/b/k", scopeObject, "b", "k", ""},
		{"s3.example.com:80", "/", scopeService, "", "", ""},
		{"b.localhost:3000", "/b/k", scopeObject, "b", "b/k", ""},
		{"other.org", "/b/k", scopeObject, "b", "k", ""},
		{"[::1]:3000", "/b/k", scopeObject, "b", "k", ""},
		{"127.0.0.1", "/b/k", scopeObject, "b", "k", ""},
		{".example.com", "/b/k", scopeObject, "b", "k", ""},
	}
	for _, tt := range tests {
		got, err := parseTarget(tt.host, tt.path, domains)
		want := target{tt.scope, tt.bucket, tt.key, got.virtual}
		if s3err.CodeOf(err) != tt.code || err == nil && got != want {
			t.Errorf("%s %.60s: got %+v, %v; want %+v %s", tt.host, tt.path, got, err, want, tt.code)
		}
	}
}

func TestKeyTooLongSaysHowLong(t *testing.T) {
	t.Parallel()
	_, err := parseTarget("h", "/b/"+strings.Repeat("%C3%A9", 513), nil)
	e := classify(err, &Request{})
	if e.Field("Size") != "1026" || e.Field("MaxSizeAllowed") != "1024" || e.Message != "Your key is too long" {
		t.Errorf("got %+v", e)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"/", "/b", "/b/k", "//", "/b//k", "/%2F", "/b/%ff", "/b/a%", "/get/x", "x"} {
		f.Add("b.s3.example.com", s)
		f.Add("h", s)
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		got, err := parseTarget(host, path, []string{"s3.example.com"})
		if err != nil {
			if s3err.CodeOf(err) == "" {
				t.Fatalf("%q %q: %v is not for clients", host, path, err)
			}
			return
		}
		if len(got.key) > meta.MaxKeyLen || !utf8.ValidString(got.key) || !utf8.ValidString(got.bucket) {
			t.Fatalf("%q %q: got %+v", host, path, got)
		}
		if (got.scope == scopeObject) != (got.key != "") || (got.scope == scopeService) != (got.bucket == "") {
			t.Fatalf("%q %q: scope of %+v", host, path, got)
		}
		if got.scope == scopeObject { // the way back
			again, err := parseTarget("h", "/"+got.bucket+"/"+url.PathEscape(got.key), nil)
			got.virtual = false
			if err != nil || again != got {
				t.Fatalf("%+v came back as %+v, %v", got, again, err)
			}
		}
	})
}

func TestBucketNames(t *testing.T) {
	t.Parallel()
	good := []string{"abc", "a-b", "a.b", "123", "my.bucket-1", strings.Repeat("a", 63), "get1", "1.2.3", "a.b.c.d", "kv"}
	bad := []string{"", "a", "ab", strings.Repeat("a", 64), "ABC", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b", "a.-b", "a-.b",
		"192.168.1.1", "999.999.999.999", "xn--abc", "sthree-abc", "amzn-s3-demo-x", "abc-s3alias", "abc--ol-s3", "abc.mrap",
		"abc--x-s3", "abc--table-s3", "get", "set", "delete", "a b", "a/b", "é12"}
	for _, name := range good {
		if !validBucketName(name) {
			t.Errorf("%q should be allowed", name)
		}
	}
	for _, name := range bad {
		if validBucketName(name) {
			t.Errorf("%q should be refused", name)
		}
	}
}
