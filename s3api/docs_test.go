package s3api

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the compatibility page")

// TestCompatibilityPage keeps docs/s3-compatibility.md in step with the table.
// "go test ./s3api -run CompatibilityPage -update" writes it.
func TestCompatibilityPage(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "docs", "s3-compatibility.md")
	want := compatibilityPage(coverage(t))
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says; run: go test ./s3api -run CompatibilityPage -update", page)
	}
}

const pageHead = `# S3 compatibility

<!-- Generated from the operation table in s3api/ops.go: go test ./s3api -run CompatibilityPage -update -->

Every operation of the S3 API, and what this store makes of it. An operation that is not implemented answers
` + "`501 NotImplemented`" + ` in S3's XML; it never falls through to another. The permission is the IAM action that the operation
asks for; where a version is named, it is the one after the slash. The tests named are those that say so themselves.

Implemented: %d of %d.

## General

- Path-style and, for configured domains, virtual-host style addresses. A key is the path behind the bucket,
  percent-decoded, byte for byte: ` + "`a//b`, `../x` and `.`" + ` are keys, ` + "`+`" + ` is a plus. Keys are UTF-8 of at most 1,024 bytes.
- Signature Version 4 in header or query, with hashed, unsigned and chunked payloads and trailers. Presigned URLs of
  Version 2 are taken as well, because the aws CLI and boto3 still make them for us-east-1; requests signed so are not.
- Upload forms of browsers (POST) with policies signed in Version 4 or 2. The file is streamed; the fields before it take up to 20 KB.
  Every field must be covered by a condition, but for those that sign, ` + "`x-ignore-*`" + ` and checksums. A second file is refused, not
  ignored; what else follows the file is ignored.
- CORS rules answer preflights, and pages of the origins that they allow read every answer, errors too.
- Checksums CRC32, CRC32C, CRC64NVME, SHA1 and SHA256, and Content-MD5, are verified before anything is stored. Without
  one, CRC64NVME is computed and kept, as on AWS.
- Conditional writes: ` + "`If-None-Match: *` and `If-Match`" + ` with one ETag, on PutObject, CopyObject and CompleteMultipartUpload.
- Conditional deletes: ` + "`If-Match`" + ` with one ETag or ` + "`*`" + `, on DeleteObject and for each key of DeleteObjects; a key that is not there, or
  whose last version is a delete marker, is then ` + "`NoSuchKey`" + `. Size and time as conditions, which AWS takes in directory buckets only, and
  conditions on a named version, which AWS does not take, are checked as well.
- In ` + "`x-amz-copy-source`" + `, ` + "`+`" + ` is a space, as on AWS; a plus is ` + "`%%2B`" + `.
- ` + "`encoding-type=url`" + ` writes a space as ` + "`%%20`" + `, which every decoder reads, where AWS writes ` + "`+`" + `.
- Long copies and completions keep their connection awake with white space, and may report an error within a 200, as on AWS.
- Versioning as on AWS, without MFA delete. Writes to a suspended bucket do not name the null version that they make; reads do.
  A completion whose answer is late does not name its version: the headers have gone before there is one.
- Object lock as on AWS: GOVERNANCE and COMPLIANCE retentions, legal holds, default retention; also for a bucket that exists,
  once its versioning is enabled. A COMPLIANCE version is removed by nobody, root included. ` + "`x-amz-bypass-governance-retention`" + ` is
  let pass for a bucket without object lock, where it changes nothing and AWS refuses it. A default retention asks for no digest of the body.
- Tags as on AWS: 10 for an object or version, 50 for a bucket. An object's come in the order of their keys, a bucket's as they were set.
- GetObjectAttributes shows the parts of every assembled object with their checksums; AWS leaves them out where the checksum
  is of the full object.
- An ACL can be set where it says what holds anyway: full control for the owner, nothing for others.
- Server-side encryption and grants to others are refused, not ignored. A canned ACL that comes with a new bucket or object is
  checked and not applied, and storage classes are accepted: objects are private, but for what a bucket's policy allows, and stored alike.
- Root is never bound by a bucket's policy.
- An upload whose length is not announced, in HTTP chunks, is taken; AWS refuses it.
- A full disk is ` + "`507 InsufficientStorage`" + `.

## Operations

| operation | method | selected by | status | permission | notes | tests |
| --- | --- | --- | --- | --- | --- | --- |
`

// compatibilityPage writes the page.
func compatibilityPage(tests map[string][]string) string {
	ops := operations()
	slices.SortFunc(ops, func(a, b operation) int { return cmp.Compare(a.name, b.name) })
	done := 0
	var rows strings.Builder
	for _, op := range ops {
		status := "not implemented"
		if op.handle != nil {
			done++
			status = fmt.Sprintf("implemented, %d", cmp.Or(op.status, http.StatusOK))
		}
		permission := "`" + op.permission + "`"
		if op.auth == authNobody {
			permission = "none"
		}
		if op.versionPermission != "" {
			permission += " / `" + op.versionPermission + "`"
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s | %s |\n",
			op.name, op.method, selectedBy(op), status, permission, op.note, testList(tests[op.name]))
	}
	return fmt.Sprintf(pageHead, done, len(ops)) + rows.String()
}

// testList writes the tests of an operation: a few names, and how many more.
func testList(tests []string) string {
	const shown = 6
	more := ""
	if len(tests) > shown {
		more = fmt.Sprintf(" and %d more", len(tests)-shown)
		tests = tests[:shown]
	}
	quoted := make([]string, len(tests))
	for i, name := range tests {
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, ", ") + more
}

// selectedBy writes path and conditions of a row.
func selectedBy(op operation) string {
	s := [...]string{"/", "/bucket", "/bucket/key"}[op.scope]
	if len(op.query) > 0 {
		s += "?" + strings.ReplaceAll(strings.Join(op.query, "&"), "|", "&")
	}
	s = "`" + s + "`"
	for _, h := range op.header {
		s += ", `" + strings.Replace(strings.ToLower(h), "=", ": ", 1) + "`"
	}
	return s
}
