package checksum

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// headers makes a header from "Name: value" lines.
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// check compares an error with "Code: Message", "" for none, and its status.
func check(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	var e *Error
	if errors.As(err, &e) && e.Status != 400 {
		t.Errorf("status %d, want 400", e.Status)
	}
}

const (
	multiple     = "InvalidRequest: Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
	badMD5       = "InvalidDigest: The Content-MD5 you specified was invalid."
	badTrailer   = "InvalidRequest: The value specified in the x-amz-trailer header is not supported"
	badSDK       = "InvalidRequest: Value for x-amz-sdk-checksum-algorithm header is invalid."
	unsupported  = "InvalidRequest: Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]"
	badCRC32     = "InvalidRequest: Value for x-amz-checksum-crc32 header is invalid."
	badAlgorithm = "InvalidRequest: The algorithm type you specified in x-amz-checksum- header is invalid."
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lines []string
		want  Spec
		err   string
	}{
		{name: "nothing"},
		{name: "crc32", lines: []string{"x-amz-checksum-crc32: y/Q5Jg=="}, want: Spec{Algorithm: CRC32, Value: "y/Q5Jg=="}},
		{name: "crc64nvme", lines: []string{"x-amz-checksum-crc64nvme: rosUhgp5mIg="}, want: Spec{Algorithm: CRC64NVME, Value: "rosUhgp5mIg="}},
		{name: "with the SDK's name of it", lines: []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-sdk-checksum-algorithm: CRC32"}, want: Spec{Algorithm: CRC32, Value: "y/Q5Jg=="}},
		{name: "in lower case", lines: []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-sdk-checksum-algorithm: crc32"}, want: Spec{Algorithm: CRC32, Value: "y/Q5Jg=="}},
		{name: "trailer", lines: []string{"x-amz-trailer: x-amz-checksum-crc64nvme", "x-amz-sdk-checksum-algorithm: CRC64NVME"}, want: Spec{Algorithm: CRC64NVME, Trailer: true}},
		{name: "mode, type and algorithm are no values", lines: []string{"x-amz-checksum-mode: ENABLED", "x-amz-checksum-type: FULL_OBJECT", "x-amz-checksum-algorithm: CRC32"}},
		{name: "content-md5", lines: []string{"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="}, want: Spec{MD5: "1B2M2Y8AsgTpgAmY7PhCfg=="}},
		{name: "content-md5 instead of a checksum", lines: []string{"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", "x-amz-sdk-checksum-algorithm: CRC32"}, want: Spec{MD5: "1B2M2Y8AsgTpgAmY7PhCfg=="}},

		{name: "md5 is a checksum of its own", lines: []string{"x-amz-checksum-md5: 1B2M2Y8AsgTpgAmY7PhCfg==", "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="},
			want: Spec{Algorithm: MD5, Value: "1B2M2Y8AsgTpgAmY7PhCfg==", MD5: "1B2M2Y8AsgTpgAmY7PhCfg=="}},
		{name: "xxhash64", lines: []string{"x-amz-checksum-xxhash64: 70bbN1HY6Zk="}, want: Spec{Algorithm: XXHASH64, Value: "70bbN1HY6Zk="}},
		{name: "trailer xxhash128", lines: []string{"x-amz-trailer: X-Amz-Checksum-XXHash128"}, want: Spec{Algorithm: XXHASH128, Trailer: true}},

		{name: "a trailer that only begins so", lines: []string{"x-amz-trailer: x-amz-checksum-"}, err: badTrailer},
		{name: "two checksums", lines: []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-checksum-crc32c: y/Q5Jg=="}, err: multiple},
		{name: "one twice", lines: []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-checksum-crc32: y/Q5Jg=="}, err: multiple},
		{name: "header and trailer", lines: []string{"x-amz-checksum-crc32: y/Q5Jg==", "x-amz-trailer: x-amz-checksum-crc32"}, err: multiple},
		{name: "two trailers", lines: []string{"x-amz-trailer: x-amz-checksum-crc32, x-amz-checksum-sha1"}, err: multiple},
		{name: "unknown algorithm", lines: []string{"x-amz-checksum-crc16: AAA="}, err: badAlgorithm},
		{name: "unknown trailer", lines: []string{"x-amz-trailer: x-amz-meta-a"}, err: badTrailer},
		{name: "value not base64", lines: []string{"x-amz-checksum-crc32: !!!!!!=="}, err: badCRC32},
		{name: "value of another length", lines: []string{"x-amz-checksum-crc32: rosUhgp5mIg="}, err: badCRC32},
		{name: "value empty", lines: []string{"x-amz-checksum-crc32: "}, err: badCRC32},
		{name: "value with stray bits", lines: []string{"x-amz-checksum-crc32: y/Q5Jh=="}, err: badCRC32},
		{name: "value sha256", lines: []string{"x-amz-checksum-sha256: abc"}, err: "InvalidRequest: Value for x-amz-checksum-sha256 header is invalid."},
		{name: "sdk algorithm without a checksum", lines: []string{"x-amz-sdk-checksum-algorithm: CRC32"},
			err: "InvalidRequest: x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."},
		{name: "sdk algorithm unknown", lines: []string{"x-amz-sdk-checksum-algorithm: CRC16", "x-amz-checksum-crc32: y/Q5Jg=="}, err: badSDK},
		{name: "sdk algorithm of another checksum", lines: []string{"x-amz-sdk-checksum-algorithm: SHA1", "x-amz-checksum-crc32: y/Q5Jg=="}, err: badSDK},
		{name: "content-md5 empty", lines: []string{"Content-MD5: "}, err: badMD5},
		{name: "content-md5 in hex", lines: []string{"Content-MD5: d41d8cd98f00b204e9800998ecf8427e"}, err: badMD5},
		{name: "content-md5 short", lines: []string{"Content-MD5: AAAA"}, err: badMD5},
		{name: "content-md5 twice", lines: []string{"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="}, err: badMD5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseHeader(headers(tt.lines...))
			check(t, err, tt.err)
			if err == nil && got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	check(t, Spec{}.Required(), "InvalidRequest: Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	check(t, Spec{MD5: "x"}.Required(), "")
	check(t, Spec{Algorithm: CRC32, Trailer: true}.Required(), "")
}

// FuzzParseHeader feeds header lines to every parser of the package: they must
// not panic, and what they accept must be well-formed.
func FuzzParseHeader(f *testing.F) {
	f.Add("x-amz-checksum-crc32: y/Q5Jg==\nx-amz-sdk-checksum-algorithm: CRC32")
	f.Add("x-amz-trailer: x-amz-checksum-sha256,\nContent-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==")
	f.Add("x-amz-checksum-algorithm: SHA256\nx-amz-checksum-type: COMPOSITE\nx-amz-checksum-sha1: A-2")
	f.Fuzz(func(t *testing.T, text string) {
		h := headers(strings.Split(text, "\n")...)
		if s, err := ParseHeader(h); err == nil {
			if s.Value != "" && !s.Algorithm.valid(s.Value) || s.Value != "" && s.Trailer {
				t.Errorf("accepted %+v", s)
			}
			if (s.Algorithm == None) != (s.Value == "" && !s.Trailer) {
				t.Errorf("accepted %+v", s)
			}
		}
		if u, err := ParseUpload(h); err == nil {
			if (u.Algorithm == None) != (u.Type == "") || u.kind() == FullObject && !u.Store().Linear() {
				t.Errorf("accepted %+v", u)
			}
		}
		if v, err := ParseComplete(h); err == nil && v.Algorithm != None && !v.Algorithm.valid(v.Value) {
			t.Errorf("accepted %+v", v)
		}
		if _, err := ParseCopy(h); err != nil {
			check(t, err, unsupported)
		}
	})
}
