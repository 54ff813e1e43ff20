package compattests

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// awsCLI runs one aws CLI, of version 1 or 2, with nothing of the user's own configuration: what it does with checksums is
// what it does by itself.
type awsCLI struct {
	path string // of the program
	d    *deployment
	env  []string
	dir  string
}

// awsCLIs returns the aws programs on PATH, one of each version, by version.
func awsCLIs(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, "aws")
		if _, err := exec.LookPath(path); err != nil {
			continue
		}
		version, _, _ := strings.Cut(string(tool{name: path, args: []string{"--version"}}.run(t)), " ")
		if found[version] == "" {
			found[version] = path
		}
	}
	if len(found) == 0 {
		t.Fatal("no aws CLI; compat-tests/install-tools.sh installs it (Debian: apt-get install awscli)")
	}
	return found
}

// eachAWSCLI runs a test against one process and against a cluster, with each version of the aws CLI in one of the two, and
// with the only one in both.
func eachAWSCLI(t *testing.T, test func(t *testing.T, a awsCLI)) {
	t.Helper()
	programs := awsCLIs(t)
	versions := slices.Sorted(maps.Keys(programs))
	eachDeployment(t, func(t *testing.T, d *deployment) {
		for i, version := range versions {
			if here := d.kind == serverKind == (i%2 == 0); !here && len(versions) > 1 {
				continue
			}
			t.Run(strings.ReplaceAll(version, "/", " "), func(t *testing.T) {
				a := d.awsCLI(t)
				a.path = programs[version]
				test(t, a)
			})
		}
	})
}

func (d *deployment) awsCLI(t testing.TB) awsCLI {
	t.Helper()
	dir := t.TempDir()
	return awsCLI{path: "aws", d: d, dir: dir, env: []string{
		"AWS_ACCESS_KEY_ID=" + d.accessKey, "AWS_SECRET_ACCESS_KEY=" + d.secretKey, "AWS_DEFAULT_REGION=" + region,
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
	}}
}

func (a awsCLI) tool(args ...string) tool {
	return tool{name: a.path, args: append([]string{"--endpoint-url", a.d.url()}, args...), env: a.env, dir: a.dir}
}

// s3 runs an "aws s3" command and returns its standard output.
func (a awsCLI) s3(t testing.TB, args ...string) string {
	t.Helper()
	return string(a.tool(append([]string{"s3"}, args...)...).run(t))
}

// Covers: PutObject, GetObject, ListObjectsV2, DeleteObject, CreateMultipartUpload, UploadPart.
// Covers: CompleteMultipartUpload.
func TestAWSCLI(t *testing.T) {
	eachAWSCLI(t, func(t *testing.T, a awsCLI) {
		a.s3(t, "mb", "s3://cli")
		if out := a.s3(t, "ls"); !strings.Contains(out, " cli\n") {
			t.Errorf("ls: %q", out)
		}
		for _, size := range []int64{8 << 20, 64 << 20} {
			name := fmt.Sprintf("file %d.bin", size)
			path := contentFile(t, a.dir, name, size)
			a.s3(t, "cp", "--no-progress", path, "s3://cli/dir/")
			if out := a.s3(t, "ls", "s3://cli/dir/"+name); !strings.Contains(out, fmt.Sprint(size)) {
				t.Errorf("ls: %q", out)
			}
			back := filepath.Join(a.dir, "back")
			a.s3(t, "cp", "--no-progress", "s3://cli/dir/"+name, back)
			if got, want := shaOfFile(t, back), shaOfFile(t, path); got != want {
				t.Errorf("%s: SHA-256 %s, want %s", name, got, want)
			}
		}
		a.s3(t, "cp", "s3://cli/dir/file 8388608.bin", "s3://cli/copied")
		a.s3(t, "mv", "s3://cli/copied", "s3://cli/moved")
		if out := a.s3(t, "ls", "s3://cli/"); strings.Contains(out, "copied") || !strings.Contains(out, "moved") || !strings.Contains(out, "PRE dir/") {
			t.Errorf("ls after mv: %q", out)
		}
		testCLIStreams(t, a)
		testCLIPresign(t, a)
		a.s3(t, "rm", "s3://cli/moved")
		if r := a.tool("s3", "cp", "s3://cli/moved", "-").try(t); r.code == 0 || !strings.Contains(r.stderr, "404") {
			t.Errorf("cp of a removed object: exit code %d, %s", r.code, r.stderr)
		}
		a.s3(t, "rm", "--recursive", "s3://cli/")
		a.s3(t, "rb", "s3://cli")
		if out := a.s3(t, "ls"); strings.Contains(out, " cli\n") {
			t.Errorf("ls after rb: %q", out)
		}
	})
}

// testCLIStreams copies from standard input and to standard output, in one piece and in parts.
func testCLIStreams(t *testing.T, a awsCLI) {
	t.Helper()
	for _, size := range []int{0, 5, 20<<20 + 1} {
		body := content(fmt.Sprint("stdin", size), size)
		up := a.tool("s3", "cp", "-", "s3://cli/stream")
		up.stdin = bytes.NewReader(body)
		up.run(t)
		sameBytes(t, "from standard input to standard output", []byte(a.s3(t, "cp", "s3://cli/stream", "-")), body)
	}
}

func testCLIPresign(t *testing.T, a awsCLI) {
	t.Helper()
	url := strings.TrimSpace(a.s3(t, "presign", "s3://cli/moved", "--expires-in", "60"))
	got := call(t, a.d.httpClient(t, 1), "GET", url, nil)
	if got.status != 200 {
		t.Errorf("the presigned URL: %v", got)
	}
	sameBytes(t, "the presigned URL", got.body, content("file 8388608.bin", 8<<20))
}

// Covers: PutObject, GetObject, ListObjectsV2, DeleteObject.
func TestAWSCLISync(t *testing.T) {
	eachAWSCLI(t, func(t *testing.T, a awsCLI) {
		tree := sampleTree(t)
		a.s3(t, "mb", "s3://synced")
		a.s3(t, "sync", "--no-progress", tree, "s3://synced/tree")
		if out := a.s3(t, "sync", "--no-progress", tree, "s3://synced/tree"); out != "" {
			t.Errorf("a second sync transferred: %s", out)
		}
		back := filepath.Join(a.dir, "back")
		a.s3(t, "sync", "--no-progress", "s3://synced/tree", back)
		sameTree(t, back, tree)
		// A change, a new file and a removal travel; nothing else does.
		contentFile(t, tree, "notes.txt", 2000)
		contentFile(t, tree, "new/file", 100)
		if err := os.Remove(filepath.Join(tree, "one")); err != nil {
			t.Fatal(err)
		}
		out := a.s3(t, "sync", "--no-progress", "--delete", tree, "s3://synced/tree")
		if n := strings.Count(out, "\n"); n != 3 {
			t.Errorf("three changes made %d transfers:\n%s", n, out)
		}
		a.s3(t, "sync", "--no-progress", "s3://synced/tree", "s3://synced/second")
		a.s3(t, "sync", "--no-progress", "--delete", "s3://synced/second", back)
		sameTree(t, back, tree)
		a.s3(t, "rb", "--force", "s3://synced")
	})
}

// TestAWSCLIAPI uses commands that the s3 commands above do not reach.
func TestAWSCLIAPI(t *testing.T) {
	eachAWSCLI(t, func(t *testing.T, a awsCLI) {
		api := func(args ...string) string { return string(a.tool(append([]string{"s3api"}, args...)...).run(t)) }
		api("create-bucket", "--bucket", "api", "--create-bucket-configuration", "LocationConstraint="+region)
		if out := api("get-bucket-location", "--bucket", "api"); !strings.Contains(out, region) {
			t.Errorf("location %s", out)
		}
		path := contentFile(t, a.dir, "f", 300_000)
		api("put-object", "--bucket", "api", "--key", "../odd key+%", "--body", path, "--metadata", "a=b", "--content-type", "text/x-cli")
		head := api("head-object", "--bucket", "api", "--key", "../odd key+%")
		for _, want := range []string{`"a": "b"`, `"text/x-cli"`, "300000", strings.Trim(etagOf(content("f", 300_000)), `"`)} {
			if !strings.Contains(head, want) {
				t.Errorf("head-object lacks %s: %s", want, head)
			}
		}
		back := filepath.Join(a.dir, "back")
		api("get-object", "--bucket", "api", "--key", "../odd key+%", "--range", "bytes=1000-200999", back)
		got, err := os.ReadFile(back)
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "a range", got, content("f", 300_000)[1000:201_000])
		if out := api("list-objects-v2", "--bucket", "api", "--query", "Contents[].Key", "--output", "text"); strings.TrimSpace(out) != "../odd key+%" {
			t.Errorf("listed %q", out)
		}
		r := a.tool("s3api", "put-bucket-acl", "--bucket", "api", "--acl", "public-read").try(t)
		if r.code == 0 || !strings.Contains(r.stderr, "NotImplemented") {
			t.Errorf("an operation that is not built: exit code %d, %s", r.code, r.stderr)
		}
		a.s3(t, "rb", "--force", "s3://api")
	})
}
