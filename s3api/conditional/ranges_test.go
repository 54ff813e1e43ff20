package conditional

import "testing"

func TestParseRange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		size   int64
		want   Range
		result RangeResult
	}{
		{"bytes=0-0", 10, Range{0, 1}, Satisfiable},
		{"bytes=2-5", 10, Range{2, 4}, Satisfiable},
		{"bytes=2-", 10, Range{2, 8}, Satisfiable},
		{"bytes=-3", 10, Range{7, 3}, Satisfiable},
		{"bytes=-30", 10, Range{0, 10}, Satisfiable},
		{"bytes=0-99", 10, Range{0, 10}, Satisfiable},
		{"bytes=9-9", 10, Range{9, 1}, Satisfiable},
		{"BYTES=1-2", 10, Range{1, 2}, Satisfiable},
		{"bytes=00-01", 10, Range{0, 2}, Satisfiable},
		{"bytes=0-99999999999999999999999", 10, Range{0, 10}, Satisfiable},
		{"bytes=-99999999999999999999999", 10, Range{0, 10}, Satisfiable},
		{"bytes=10-", 10, Range{}, Outside},
		{"bytes=10-12", 10, Range{}, Outside},
		{"bytes=99999999999999999999999-", 10, Range{}, Outside},
		{"bytes=-0", 10, Range{}, Outside},
		{"bytes=0-0", 0, Range{}, Outside},
		{"bytes=-0", 0, Range{}, Outside},
		{"bytes=0-", 0, Range{}, Outside},
		{"bytes=-5", 0, Range{}, Ignored},
		{"bytes= -1", 10, Range{}, Ignored},
		{"bytes=0 -1", 10, Range{}, Ignored},
		{"bytes =0-1", 10, Range{}, Ignored},
		{"bytes=0--1", 10, Range{}, Ignored},
		{"bytes=--1", 10, Range{}, Ignored},
		{"bytes=,", 10, Range{}, Ignored},
		{"bytes=0-1,", 10, Range{}, Ignored},
		{"bytes=5-2", 10, Range{}, Ignored},
		{"bytes=0-1,3-4", 10, Range{}, Ignored},
		{"bytes=a-b", 10, Range{}, Ignored},
		{"bytes=-", 10, Range{}, Ignored},
		{"bytes=5", 10, Range{}, Ignored},
		{"bytes=+1-2", 10, Range{}, Ignored},
		{"lines=1-2", 10, Range{}, Ignored},
		{"", 10, Range{}, Ignored},
	}
	for _, tt := range tests {
		got, result := ParseRange(tt.header, tt.size)
		if result != tt.result || got != tt.want {
			t.Errorf("%q of %d: got %v %v, want %v %v", tt.header, tt.size, got, result, tt.want, tt.result)
		}
	}
	if got := (Range{2, 4}).ContentRange(10); got != "bytes 2-5/10" {
		t.Errorf("Content-Range: %s", got)
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-1", "bytes=1-", "bytes=5-2", "bytes=99999999999999999999-", "x", ""} {
		f.Add(s, int64(10))
	}
	f.Add("bytes=9223372036854775807-", int64(1<<62))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		r, result := ParseRange(header, size)
		if result == Satisfiable && (r.Offset < 0 || r.Length <= 0 || r.Offset > size-r.Length) {
			t.Errorf("%q of %d bytes: %+v", header, size, r)
		}
	})
}
