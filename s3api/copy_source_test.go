package s3api

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

func TestParseCopySource(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		want   copySource
		code   string
	}{
		{"bkt/key", copySource{"bkt", "key", ""}, ""},
		{"/bkt/key", copySource{"bkt", "key", ""}, ""},
		{"bkt%2Fa%2Fb", copySource{"bkt", "a/b", ""}, ""},
		{"%2Fbkt%2Fa", copySource{"bkt", "a", ""}, ""},
		{"/bkt//a//b/", copySource{"bkt", "/a//b/", ""}, ""},
		{"bkt/a+b%20c%2B", copySource{"bkt", "a b c+", ""}, ""},
		{"bkt/%E2%82%AC", copySource{"bkt", "€", ""}, ""},
		{"bkt/€ raw", copySource{"bkt", "€ raw", ""}, ""},
		{"bkt/a?b", copySource{"bkt", "a?b", ""}, ""},
		{"bkt/key?versionId=null", copySource{"bkt", "key", "null"}, ""},
		{"bkt/key?versionId=0123456789abcdefghijklmnopqrstuv", copySource{"bkt", "key", "0123456789abcdefghijklmnopqrstuv"}, ""},
		{"bkt/key%3FversionId=x", copySource{"bkt", "key?versionId=x", ""}, ""},
		{"bkt/key?versionId=abc", copySource{}, s3err.InvalidArgument},
		{"bkt/key?versionId=", copySource{}, s3err.InvalidArgument},
		{"bkt/a%zz", copySource{}, s3err.InvalidArgument},
		{"bkt/%ff", copySource{}, s3err.InvalidArgument},
		{"bkt", copySource{}, s3err.InvalidArgument},
		{"bkt/", copySource{}, s3err.InvalidArgument},
		{"/", copySource{}, s3err.InvalidArgument},
		{"", copySource{}, s3err.InvalidArgument},
		{"b kt/key", copySource{}, s3err.InvalidArgument},
		{"192.168.1.1/key", copySource{}, s3err.InvalidArgument},
		{"arn:aws:s3:eu-1:123:accesspoint/x/object/k", copySource{}, s3err.InvalidArgument},
		{"bkt/" + strings.Repeat("k", 1025), copySource{}, s3err.KeyTooLongError},
	}
	for _, tt := range tests {
		got, err := parseCopySource(tt.header)
		if s3err.CodeOf(err) != tt.code || err == nil && got != tt.want {
			t.Errorf("%q: got %+v, %v", tt.header, got, err)
		}
	}
}

func FuzzParseCopySource(f *testing.F) {
	for _, s := range []string{"b/k", "/b/k", "b%2Fk", "b/k?versionId=null", "b/%", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseCopySource(s)
		if err != nil {
			if s3err.CodeOf(err) == "" {
				t.Fatalf("%q: %v is not for clients", s, err)
			}
			return
		}
		if got.bucket == "" || got.key == "" || len(got.key) > meta.MaxKeyLen || !utf8.ValidString(got.key) || strings.Contains(got.bucket, "/") {
			t.Fatalf("%q: got %+v", s, got)
		}
	})
}
