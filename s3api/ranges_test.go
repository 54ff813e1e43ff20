package s3api

import (
	"testing"

	"tdkvs/s3api/s3err"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		size   int64
		want   byteRange
		ok     bool
		code   string
	}{
		{"bytes=0-0", 10, byteRange{0, 1}, true, ""},
		{"bytes=2-5", 10, byteRange{2, 4}, true, ""},
		{"bytes=2-", 10, byteRange{2, 8}, true, ""},
		{"bytes=-3", 10, byteRange{7, 3}, true, ""},
		{"bytes=-30", 10, byteRange{0, 10}, true, ""},
		{"bytes=0-99", 10, byteRange{0, 10}, true, ""},
		{"bytes=9-9", 10, byteRange{9, 1}, true, ""},
		{"BYTES = 1-2", 10, byteRange{1, 2}, true, ""},
		{"bytes=0-99999999999999999999999", 10, byteRange{0, 10}, true, ""},
		{"bytes=-99999999999999999999999", 10, byteRange{0, 10}, true, ""},
		{"bytes=10-", 10, byteRange{}, false, s3err.InvalidRange},
		{"bytes=10-12", 10, byteRange{}, false, s3err.InvalidRange},
		{"bytes=99999999999999999999999-", 10, byteRange{}, false, s3err.InvalidRange},
		{"bytes=-0", 10, byteRange{}, false, s3err.InvalidRange},
		{"bytes=0-0", 0, byteRange{}, false, s3err.InvalidRange},
		{"bytes=-5", 0, byteRange{}, false, s3err.InvalidRange},
		{"bytes=5-2", 10, byteRange{}, false, ""},
		{"bytes=0-1,3-4", 10, byteRange{}, false, ""},
		{"bytes=a-b", 10, byteRange{}, false, ""},
		{"bytes=-", 10, byteRange{}, false, ""},
		{"bytes=5", 10, byteRange{}, false, ""},
		{"bytes=+1-2", 10, byteRange{}, false, ""},
		{"lines=1-2", 10, byteRange{}, false, ""},
		{"", 10, byteRange{}, false, ""},
	}
	for _, tt := range tests {
		got, ok, err := parseRange(tt.header, tt.size)
		if ok != tt.ok || s3err.CodeOf(err) != tt.code || ok && got != tt.want {
			t.Errorf("%q of %d: got %v %v %v, want %v %v %s", tt.header, tt.size, got, ok, err, tt.want, tt.ok, tt.code)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-1", int64(5))
	f.Add("bytes=-1", int64(5))
	f.Add("bytes=9223372036854775807-", int64(1<<62))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		b, ok, err := parseRange(header, size)
		if ok && (err != nil || b.offset < 0 || b.length <= 0 || b.offset > size-b.length) {
			t.Fatalf("%q of %d: %+v, %v", header, size, b, err)
		}
		if b, err := parseCopyRange(header, size); err == nil && (b.offset < 0 || b.length <= 0 || b.offset > size-b.length) {
			t.Fatalf("copy %q of %d: %+v", header, size, b)
		}
	})
}

func TestParseCopyRange(t *testing.T) {
	t.Parallel()
	const form = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
	tests := []struct {
		header  string
		want    byteRange
		message string
	}{
		{"bytes=0-9", byteRange{0, 10}, ""},
		{"bytes=3-3", byteRange{3, 1}, ""},
		{"bytes=0-10", byteRange{}, "Range specified is not valid for source object of size: 10"},
		{"bytes=12-13", byteRange{}, "Range specified is not valid for source object of size: 10"},
		{"bytes=5-", byteRange{}, form},
		{"bytes=-5", byteRange{}, form},
		{"bytes=5-4", byteRange{}, form},
		{"0-1", byteRange{}, form},
		{"bytes=0-1,2-3", byteRange{}, form},
	}
	for _, tt := range tests {
		got, err := parseCopyRange(tt.header, 10)
		message := ""
		if err != nil {
			e := classify(err, &Request{})
			message = e.Message
			if e.Code != s3err.InvalidArgument || e.Field("ArgumentName") != "x-amz-copy-source-range" || e.Field("ArgumentValue") != tt.header {
				t.Errorf("%q: got %+v", tt.header, e)
			}
		}
		if message != tt.message || got != tt.want {
			t.Errorf("%q: got %v %q", tt.header, got, message)
		}
	}
}
