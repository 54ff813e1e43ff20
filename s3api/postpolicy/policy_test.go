package postpolicy

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api/s3err"
)

func encode(doc string) string { return base64.StdEncoding.EncodeToString([]byte(doc)) }

// conditions is a policy of these conditions that ends in 2030.
func conditions(list string) string {
	return `{"expiration": "2030-01-01T00:00:00Z", "conditions": [` + list + `]}`
}

// wantError fails unless err is this one.
func wantError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	var e *s3err.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want %s %q", err, code, message)
	}
	if e.Code != code || e.Message != message || e.Status != status {
		t.Errorf("got  %d %s %q\nwant %d %s %q", e.Status, e.Code, e.Message, status, code, message)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const noJSON = "Invalid JSON."
	for _, tt := range []struct{ doc, want string }{
		{``, "Expecting '{' but found End-of-Input"},
		{`invalid json`, noJSON},
		{`[]`, noJSON},
		{`"text"`, noJSON},
		{`null`, noJSON},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": []} {}`, noJSON},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": [],}`, noJSON},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"bucket": "b"},]}`, noJSON},
		{`{'expiration': "2030-01-01T00:00:00Z"}`, noJSON},
		{`{"conditions": []}`, "Policy missing expiration."},
		{`{}`, "Policy missing expiration."},
		{`{"expiration": "2030-01-01T00:00:00Z"}`, "Policy missing conditions."},
		{`{"EXPIRATION": "2030-01-01T00:00:00Z", "conditions": []}`, "Unexpected: 'expiration'"},
		{`{"expiration": "2030-01-01T00:00:00Z", "CONDITIONS": []}`, "Unexpected: 'conditions'"},
		{`{"Statement": [], "conditions": []}`, "Unexpected: 'statement'"},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": [], "extra": 1}`, "Unexpected: 'extra'"},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": [], "conditions": []}`, "Unexpected: 'conditions'"},
		{`{"expiration": true, "conditions": []}`, noJSON},
		{`{"expiration": null, "conditions": []}`, noJSON},
		{`{"expiration": 1893456000, "conditions": []}`, noJSON},
		{`{"expiration": "soon", "conditions": []}`, "Invalid 'expiration' value: 'soon'"},
		{`{"expiration": "", "conditions": []}`, "Invalid 'expiration' value: ''"},
		{`{"expiration": "2030-01-01T00:00:00+02:00", "conditions": []}`, "Invalid 'expiration' value: '2030-01-01T00:00:00+02:00'"},
		{`{"expiration": "2030-01-01 00:00:00Z", "conditions": []}`, "Invalid 'expiration' value: '2030-01-01 00:00:00Z'"},
		{`{"expiration": "2030-01-01T00:00:00,5Z", "conditions": []}`, "Invalid 'expiration' value: '2030-01-01T00:00:00,5Z'"},
		{`{"expiration": "2030-01-01", "conditions": []}`, "Invalid 'expiration' value: '2030-01-01'"},
		{`{"expiration": "2030-02-30T00:00:00Z", "conditions": []}`, "Invalid 'expiration' value: '2030-02-30T00:00:00Z'"},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": true}`, "Invalid 'conditions' value: must be a List."},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": {}}`, "Invalid 'conditions' value: must be a List."},
		{`{"expiration": "2030-01-01T00:00:00Z", "conditions": null}`, "Invalid 'conditions' value: must be a List."},
		{conditions(`true`), "Invalid condition test: must be a List or Object."},
		{conditions(`"eq"`), "Invalid condition test: must be a List or Object."},
		{conditions(`null`), "Invalid condition test: must be a List or Object."},
		{conditions(`[]`), "Invalid Condition: missing operation identifier."},
		{conditions(`[1, "$key", "x"]`), noJSON},
		{conditions(`["in", "$key", "x"]`), "Invalid Condition: unknown operation 'in'."},
		{conditions(`["eq", "$key"]`), "Invalid eq: wrong number of arguments."},
		{conditions(`["eq", "$key", "a", "b"]`), "Invalid eq: wrong number of arguments."},
		{conditions(`["starts-with", "$key"]`), "Invalid starts-with: wrong number of arguments."},
		{conditions(`["content-length-range", 0]`), "Invalid content-length-range: wrong number of arguments."},
		{conditions(`["eq", false, "x"]`), noJSON},
		{conditions(`["eq", "$key", true]`), noJSON},
		{conditions(`["eq", "$key", null]`), noJSON},
		{conditions(`["eq", "$key", ["x"]]`), noJSON},
		{conditions(`["content-length-range", 12, false]`), noJSON},
		{conditions(`["content-length-range", 0, 512.0]`), noJSON},
		{conditions(`["content-length-range", 0, 1e3]`), noJSON},
		{conditions(`["content-length-range", 0, 9223372036854775808]`), noJSON},
		{conditions(`{}`), "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		{conditions(`{"a": "b", "c": "d"}`), "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		{conditions(`{"a": "b", "a": "b"}`), "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		{conditions(`{"a": 1}`), "Invalid Simple-Condition: value must be a string."},
		{conditions(`{"a": true}`), "Invalid Simple-Condition: value must be a string."},
		{conditions(`{"a": null}`), noJSON},
	} {
		_, err := Parse(encode(tt.doc))
		wantError(t, err, 400, "InvalidPolicyDocument", "Invalid Policy: "+tt.want)
	}
	for _, encoded := range []string{"invalid_base64", "e", "e30=e30=", "{}"} {
		_, err := Parse(encoded)
		wantError(t, err, 400, "InvalidPolicyDocument", "Invalid Policy: invalid Base64 encoding.")
	}
	for _, tt := range []struct{ doc, want string }{
		{`["eq", "key", "x"]`, `["eq", "key", "x"]`},
		{`["starts-with","$","x"]`, `["starts-with", "$", "x"]`},
		{`["content-length-range", "test", "10"]`, `["content-length-range", "test", "10"]`},
		{`{"": "x"}`, `["eq", "$", "x"]`},
	} {
		_, err := Parse(encode(conditions(tt.doc)))
		wantError(t, err, 403, "AccessDenied", "Invalid according to Policy: Policy Condition failed: "+tt.want)
	}
}

// fields makes fields of names and values in turn.
func fields(pairs ...string) []Field {
	var list []Field
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, Field{pairs[i], pairs[i+1]})
	}
	return list
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const failed, extra = "Policy Condition failed: ", "Extra input fields: "
	const b = `{"bucket": "bkt"}, `
	for _, tt := range []struct {
		conditions string
		fields     []Field
		want       string // "" is kept
	}{
		{b + `{"key": "a"}`, fields("key", "a"), ""},
		{b + `{"key": "a"}`, fields("key", "A"), failed + `["eq", "$key", "a"]`},
		{b + `{"key": "a\"<b>"}`, fields("key", "A"), failed + `["eq", "$key", "a\"<b>"]`},
		{b + `{"KEY": "a"}`, fields("kEy", "a"), ""},
		{b + `{"KEY": "a"}`, fields("kEy", "b"), failed + `["eq", "$KEY", "a"]`},
		{`{"bUcKeT": "bkt"}, ["StArTs-WiTh", "$KeY", "foo"], {"AcL": "private"}`, fields("kEy", "foo.txt", "aCl", "private", "pOLICy", "x"), ""},
		{b + `["eq", "$key", "a"]`, fields("key", "a"), ""},
		{b + `["eq","$key","a"]`, fields("key", "ab"), failed + `["eq", "$key", "a"]`},
		{b + `["eq", "$key", 5]`, fields("key", "5"), ""},
		{b + `["eq", "$key", 5]`, fields("key", "6"), failed + `["eq", "$key", 5]`},
		{b + `["starts-with", "$key", "a/"]`, fields("key", "a/b"), ""},
		{b + `["starts-with", "$key", "a/"]`, fields("key", "A/b"), failed + `["starts-with", "$key", "a/"]`},
		{b + `["starts-with", "$key", "a/"]`, fields("key", "a"), failed + `["starts-with", "$key", "a/"]`},
		{b + `["starts-with", "$key", ""]`, fields("key", ""), ""},
		{b + `["starts-with", "$key", "\\$foo"]`, fields("key", `\$foo.txt`), ""},
		{b + `["starts-with", "$key", "\$\v\\v\u00fc"]`, fields("key", "$\v\\vü!"), ""},
		{b + `{"key": "a"}, ["starts-with", "$acl", ""]`, fields("key", "a"), failed + `["starts-with", "$acl", ""]`}, // absent is not empty
		{b + `{"key": "a"}, ["eq", "$acl", ""]`, fields("key", "a", "acl", ""), ""},
		// The bucket is where the form was sent, whatever a field says.
		{`["starts-with", "$bucket", "b"], {"key": "a"}`, fields("key", "a", "bucket", "other"), ""},
		{`{"bucket": "other"}, {"key": "a"}`, fields("key", "a", "bucket", "other"), failed + `["eq", "$bucket", "other"]`},
		{`{"key": "a"}`, fields("key", "a", "bucket", "bkt"), extra + "bucket"},
		{``, fields("key", "a"), extra + "bucket"},
		{b + `["starts-with", "$x", ""]`, fields("key", "a", "x", ""), extra + "key"},
		// Every field is covered, but for those that need not be.
		{b + `{"key": "a"}`, fields("key", "a", "X-Amz-Meta-Foo", "b"), extra + "X-Amz-Meta-Foo"},
		{b + `{"key": "a"}`, fields("key", "a", "x-amz-security-token", "b"), extra + "x-amz-security-token"},
		{b + `{"key": "a"}`, fields("key", "a", "x-amz-credential", "b"), extra + "x-amz-credential"},
		{b + `{"key": "a"}`, fields("key", "a", "success_action_status", "201"), extra + "success_action_status"},
		{b + `{"key": "a"}`, fields("key", "a", "Policy", "", "X-Amz-Signature", "", "AWSAccessKeyId", "", "Signature", "", "X-Ignore-Foo", "", "x-ignore-", ""), ""},
		{b + `{"key": "a"}`, fields("key", "a", "x-amz-checksum-sha256", "x", "Content-MD5", "y"), ""},
		{b + `{"key": "a"}, {"Content-MD5": "z"}`, fields("key", "a", "Content-MD5", "y"), failed + `["eq", "$Content-MD5", "z"]`},
		{b + `{"key": "a"}, {"x-ignore-a": "z"}`, fields("key", "a"), failed + `["eq", "$x-ignore-a", "z"]`},
		{b + `{"key": "a"}`, fields("key", "a", "x-ignor", ""), extra + "x-ignor"},
		// Several conditions for one field must all hold.
		{b + `["starts-with", "$key", "a"], ["eq", "$key", "ab"]`, fields("key", "ab"), ""},
		{b + `["starts-with", "$key", "a"], ["starts-with", "$key", "b"]`, fields("key", "ab"), failed + `["starts-with", "$key", "b"]`},
		// A content type with commas is a list, for starts-with only, and only there.
		{b + `{"key": "a"}, ["starts-with", "$Content-Type", "image/"]`, fields("key", "a", "content-type", "image/jpg,image/png, image/gif"), ""},
		{b + `{"key": "a"}, ["starts-with", "$Content-Type", "image/"]`, fields("key", "a", "Content-Type", "image/jpg,text/plain"), failed + `["starts-with", "$Content-Type", "image/"]`},
		{b + `{"key": "a"}, ["starts-with", "$Content-Type", "image/"]`, fields("key", "a", "Content-Type", "image/jpg,"), failed + `["starts-with", "$Content-Type", "image/"]`},
		{b + `{"key": "a"}, {"content-type": "a,b"}`, fields("key", "a", "Content-Type", "a,b"), ""},
		{b + `{"key": "a"}, ["starts-with", "$x-amz-meta-t", "n"]`, fields("key", "a", "x-amz-meta-t", "n,s"), ""},
	} {
		p, err := Parse(encode(conditions(tt.conditions)))
		if err != nil {
			t.Errorf("%s: %v", tt.conditions, err)
			continue
		}
		err = p.Check("bkt", tt.fields, time.Date(2029, 12, 31, 23, 59, 59, 0, time.UTC))
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s, %v: %v", tt.conditions, tt.fields, err)
			}
			continue
		}
		wantError(t, err, 403, "AccessDenied", "Invalid according to Policy: "+tt.want)
	}
}

func TestExpiration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stamp string
		at    time.Time
		kept  bool
	}{
		{"2030-01-01T00:00:00Z", time.Date(2029, 12, 31, 23, 59, 59, 999, time.UTC), true},
		{"2030-01-01T00:00:00Z", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"2030-01-01T00:00:00.500Z", time.Date(2030, 1, 1, 0, 0, 0, 499_999_999, time.UTC), true},
		{"2030-01-01T00:00:00.500Z", time.Date(2030, 1, 1, 0, 0, 0, 500_000_000, time.UTC), false},
		{"2020-01-01T00:00:00.000Z", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), false},
	} {
		p, err := Parse(encode(`{"conditions": [{"bucket": "b"}], "expiration": "` + tt.stamp + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		err = p.Check("b", nil, tt.at)
		if tt.kept && err != nil {
			t.Errorf("%s at %v: %v", tt.stamp, tt.at, err)
		}
		if !tt.kept {
			wantError(t, err, 403, "AccessDenied", "Invalid according to Policy: Policy expired.")
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		conditions  string
		size        int64
		code, bound string // "" is allowed
		max         int64
	}{
		{``, 1000, "", "", 1000},
		{`["content-length-range", 5, 10]`, 5, "", "", 10},
		{`["content-length-range", 5, 10]`, 10, "", "", 10},
		{`["content-length-range", 5, 10]`, 12, "EntityTooLarge", "10", 10},
		{`["content-length-range", 5, 10]`, 1, "EntityTooSmall", "5", 10},
		{`["content-length-range", "5", "10"]`, 11, "EntityTooLarge", "10", 10},
		{`["Content-Length-Range", "5", 10]`, 4, "EntityTooSmall", "5", 10},
		{`["content-length-range", 0, 0]`, 0, "", "", 0},
		{`["content-length-range", 0, 0]`, 3, "EntityTooLarge", "0", 0},
		{`["content-length-range", -1, 0]`, 3, "EntityTooLarge", "0", 0},
		{`["content-length-range", -2, -1]`, 0, "EntityTooLarge", "-1", 0},
		{`["content-length-range", 10, 5]`, 7, "EntityTooLarge", "5", 5},
		{`["content-length-range", 0, 100], ["content-length-range", 20, 50]`, 60, "EntityTooLarge", "50", 50},
		{`["content-length-range", 0, 5000]`, 1, "", "", 1000},
	} {
		p, err := Parse(encode(conditions(tt.conditions)))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.MaxSize(1000); got != tt.max {
			t.Errorf("%s: maximum %d, want %d", tt.conditions, got, tt.max)
		}
		err = p.CheckSize(tt.size)
		var e *s3err.Error
		if !errors.As(err, &e) {
			if tt.code != "" {
				t.Errorf("%s: %d bytes are allowed", tt.conditions, tt.size)
			}
			continue
		}
		bound := e.Field("MaxSizeAllowed") + e.Field("MinSizeAllowed")
		if e.Code != tt.code || e.Status != 400 || bound != tt.bound || e.Field("ProposedSize") == "" || !strings.HasSuffix(e.Message, "allowed size") {
			t.Errorf("%s, %d bytes: %+v", tt.conditions, tt.size, e)
		}
	}
}

// FuzzParse: whatever is parsed, no form slips through that the conditions do
// not name, and nothing panics.
func FuzzParse(f *testing.F) {
	f.Add(conditions(`{"bucket": "b"}, ["starts-with", "$key", "a"], ["content-length-range", 1, 2]`))
	f.Add(conditions(`["eq", "$key", 5], {"a": "\$\v"}`))
	f.Add(`{"expiration": "2030-01-01T00:00:00.5Z", "conditions": [[], {}, null]}`)
	f.Add("{\"\\")
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Parse(encode(doc))
		if err != nil {
			if code := s3err.CodeOf(err); code != s3err.InvalidPolicyDocument && code != s3err.AccessDenied {
				t.Fatalf("%q: %v", doc, err)
			}
			return
		}
		const unlikely = "x-no-policy-of-the-fuzzer-names-this"
		if p.covers(unlikely) {
			return
		}
		at := p.expiration.Add(-time.Second)
		if err := p.Check("b", fields(unlikely, ""), at); s3err.CodeOf(err) != s3err.AccessDenied {
			t.Fatalf("%q lets an uncovered field pass: %v", doc, err)
		}
		if err := p.Check("b", nil, p.expiration); err == nil {
			t.Fatalf("%q: holds after its end", doc)
		}
		_ = p.CheckSize(p.MaxSize(1 << 20))
	})
}
