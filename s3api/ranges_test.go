package s3api

import (
	"testing"

	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

func FuzzParseCopyRange(f *testing.F) {
	f.Add("bytes=0-1", int64(5))
	f.Add("bytes=9223372036854775807-", int64(1<<62))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		if b, err := parseCopyRange(header, size); err == nil && (b.Offset < 0 || b.Length <= 0 || b.Offset > size-b.Length) {
			t.Fatalf("copy %q of %d: %+v", header, size, b)
		}
	})
}

func TestParseCopyRange(t *testing.T) {
	t.Parallel()
	const form = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
	tests := []struct {
		header  string
		want    conditional.Range
		message string
	}{
		{"bytes=0-9", conditional.Range{Offset: 0, Length: 10}, ""},
		{"bytes=3-3", conditional.Range{Offset: 3, Length: 1}, ""},
		{"bytes=0-10", conditional.Range{}, "Range specified is not valid for source object of size: 10"},
		{"bytes=12-13", conditional.Range{}, "Range specified is not valid for source object of size: 10"},
		{"bytes=5-", conditional.Range{}, form},
		{"bytes=-5", conditional.Range{}, form},
		{"bytes=5-4", conditional.Range{}, form},
		{"0-1", conditional.Range{}, form},
		{"bytes=0-1,2-3", conditional.Range{}, form},
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
