package checksum

import (
	"errors"
	"fmt"
	"testing"

	"tdkvs/master/meta"
)

func TestParseClaims(t *testing.T) {
	t.Parallel()
	const invalid = "InvalidArgument: Invalid Base64 or multiple checksums present in request"
	for _, tt := range []struct {
		name          string
		names, values []string
		want          Claim
		unknown       bool
		err, argument string
	}{
		{name: "one", names: []string{"CRC32"}, values: []string{"y/Q5Jg=="}, want: Claim{CRC32, "y/Q5Jg=="}},
		{name: "unknown", names: []string{"CRC5"}, values: []string{"x"}, unknown: true},
		{name: "stray bits", names: []string{"CRC32"}, values: []string{"y/Q5Jh=="}, err: invalid, argument: "CRC32:y/Q5Jh==;"},
		{name: "of another length", names: []string{"SHA1"}, values: []string{"y/Q5Jg=="}, err: invalid, argument: "SHA1:y/Q5Jg==;"},
		{name: "empty", names: []string{"XXHASH3"}, values: []string{""}, err: invalid, argument: "XXHASH3:;"},
		{name: "two", names: []string{"CRC32", "CRC32C"}, values: []string{"y/Q5Jg==", "4waSgw=="}, err: invalid, argument: "CRC32:y/Q5Jg==;CRC32C:4waSgw==;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok, err := ParseClaims(tt.names, tt.values)
			check(t, err, tt.err)
			if got != tt.want || ok == tt.unknown {
				t.Errorf("got %+v, %t", got, ok)
			}
			var e *Error
			if errors.As(err, &e) && (e.Field("ArgumentName") != "Checksum" || e.Field("ArgumentValue") != tt.argument) {
				t.Errorf("fields %v, want the value %q", e.Fields, tt.argument)
			}
		})
	}
}

func TestCheckClaim(t *testing.T) {
	t.Parallel()
	stored := meta.Part{Number: 3, Digests: meta.Digests{Checksum: meta.Checksum{Algorithm: "CRC32", Value: "y/Q5Jg=="}}}
	for _, tt := range []struct {
		name   string
		upload Upload
		claim  Claim
		same   bool
		err    string
	}{
		{"right", Upload{CRC32, Composite}, Claim{CRC32, "y/Q5Jg=="}, true, ""},
		{"none, full object", Upload{CRC32, FullObject}, Claim{}, true, ""},
		{"none, none", Upload{}, Claim{}, true, ""},
		{"some where the upload has none", Upload{}, Claim{CRC32, "y/Q5Jg=="}, true, ""},
		{"none, composite", Upload{CRC32, Composite}, Claim{}, false, "InvalidRequest: The upload was created using a crc32 checksum. The complete request must include the checksum for each part. It was missing for part 3 in the request."},
		{"other value", Upload{CRC32, Composite}, Claim{CRC32, "AAAAAA=="}, false, ""},
		{"other algorithm", Upload{CRC32, FullObject}, Claim{CRC32C, "y/Q5Jg=="}, false, "BadDigest: The crc32c you specified for part 3 did not match what we received."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			same, err := tt.upload.CheckClaim(3, tt.claim, stored)
			check(t, err, tt.err)
			if same != tt.same {
				t.Errorf("same is %t", same)
			}
		})
	}
}

// TestCompleteValue takes the checksum of CompleteMultipartUpload's headers
// through its checks, in the order of the handler.
func TestCompleteValue(t *testing.T) {
	t.Parallel()
	const (
		mode     = "InvalidRequest: The upload was created using the %s checksum mode. The complete request must use the same checksum mode."
		badCRC   = "BadDigest: The crc32 you specified did not match the calculated checksum."
		body     = "y/Q5Jg==" // CRC32 of "123456789"
		compound = "7kxlUA==" // CRC32 of the four bytes of that CRC32
	)
	composite := meta.Checksum{Algorithm: "CRC32", Type: "COMPOSITE", Value: compound + "-1"}
	full := meta.Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT", Value: "rosUhgp5mIg="}
	right, wrong := []Claim{{CRC32, body}}, []Claim{{CRC32, "z/Q5Jg=="}}
	for _, tt := range []struct {
		name     string
		lines    []string
		upload   Upload
		claims   []Claim
		computed meta.Checksum
		err      string
	}{
		{"nothing said", nil, Upload{CRC32, Composite}, right, composite, ""},
		{"composite with number", []string{"x-amz-checksum-crc32: " + compound + "-1"}, Upload{CRC32, Composite}, right, composite, ""},
		{"composite without number", []string{"x-amz-checksum-crc32: " + compound, "x-amz-checksum-type: COMPOSITE"}, Upload{CRC32, Composite}, right, composite, ""},
		{"composite with another number", []string{"x-amz-checksum-crc32: " + compound + "-2"}, Upload{CRC32, Composite}, right, composite, badCRC},
		{"composite of other parts", []string{"x-amz-checksum-crc32: " + compound}, Upload{CRC32, Composite}, wrong, composite, badCRC},
		{"composite of parts that are not claimed", []string{"x-amz-checksum-crc32: " + compound}, Upload{CRC32, Composite}, []Claim{{}}, composite, ""},
		{"other composite", []string{"x-amz-checksum-crc32: " + body}, Upload{CRC32, Composite}, []Claim{{}}, composite, badCRC},
		{"number no number", []string{"x-amz-checksum-crc32: " + compound + "-a"}, Upload{CRC32, Composite}, right, composite, badCRC32},
		{"number behind a number", []string{"x-amz-checksum-crc32: " + compound + "-1-1"}, Upload{CRC32, Composite}, right, composite, badCRC32},
		{"number negative", []string{"x-amz-checksum-crc32: " + compound + "--1"}, Upload{CRC32, Composite}, right, composite, badCRC32},
		{"number zero", []string{"x-amz-checksum-crc32: " + compound + "-0"}, Upload{CRC32, Composite}, right, composite, badCRC32},
		{"full object", []string{"x-amz-checksum-crc64nvme: rosUhgp5mIg=", "x-amz-checksum-type: FULL_OBJECT"}, Upload{CRC64NVME, FullObject}, nil, full, ""},
		{"full object with a number", []string{"x-amz-checksum-crc64nvme: rosUhgp5mIg=-1"}, Upload{CRC64NVME, FullObject}, nil, full,
			"BadDigest: The crc64nvme you specified did not match the calculated checksum."},
		{"of an upload without", []string{"x-amz-checksum-crc64nvme: AAAAAAAAAAA="}, Upload{}, nil, full, ""},
		{"of an upload without, other algorithm", []string{"x-amz-checksum-crc32: " + compound + "-1"}, Upload{}, nil, full, ""},
		{"type of an upload without", []string{"x-amz-checksum-type: COMPOSITE"}, Upload{}, nil, full, fmt.Sprintf(mode, "FULL_OBJECT")},
		{"other value", []string{"x-amz-checksum-crc64nvme: AAAAAAAAAAA="}, Upload{CRC64NVME, FullObject}, nil, full,
			"BadDigest: The crc64nvme you specified did not match the calculated checksum."},
		{"other type", []string{"x-amz-checksum-type: FULL_OBJECT"}, Upload{CRC32, Composite}, right, composite, fmt.Sprintf(mode, "COMPOSITE")},
		{"other algorithm", []string{"x-amz-checksum-crc32c: y/Q5Jg=="}, Upload{CRC32, Composite}, right, composite,
			"InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: crc32c"},
		{"two", []string{"x-amz-checksum-crc32c: y/Q5Jg==", "x-amz-checksum-crc32: y/Q5Jg=="}, Upload{CRC32, Composite}, right, composite, multiple},
		{"bad value", []string{"x-amz-checksum-crc32: x"}, Upload{CRC32, Composite}, right, composite, badCRC32},
		{"bad type", []string{"x-amz-checksum-type: x"}, Upload{CRC32, Composite}, right, composite, "InvalidRequest: Value for x-amz-checksum-type header is invalid."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := ParseComplete(headers(tt.lines...))
			for _, next := range []func() error{
				func() error { return v.Check(tt.upload) },
				func() error { return v.CheckClaims(tt.upload, tt.claims) },
				func() error { return v.Compare(tt.upload, tt.computed) },
			} {
				if err == nil {
					err = next()
				}
			}
			check(t, err, tt.err)
		})
	}
}
