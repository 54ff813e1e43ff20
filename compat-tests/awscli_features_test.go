package compattests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fails runs an aws command that must end with the exit code and say the text.
func (a awsCLI) fails(t testing.TB, code int, says string, args ...string) {
	t.Helper()
	if r := a.tool(args...).try(t); r.code != code || !strings.Contains(r.stderr+string(r.stdout), says) {
		t.Errorf("%s: exit code %d, want %d and %q: %s%s", strings.Join(args, " "), r.code, code, says, r.stdout, r.stderr)
	}
}

// api runs an "aws s3api" command and returns what it printed as JSON, or an empty object for nothing.
func (a awsCLI) api(t testing.TB, args ...string) map[string]any {
	t.Helper()
	out := a.tool(append([]string{"s3api", "--output", "json"}, args...)...).run(t)
	answer := map[string]any{}
	if len(strings.TrimSpace(string(out))) == 0 {
		return answer
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return answer
}

// keys lists a bucket's keys.
func (a awsCLI) keys(t testing.TB, uri string) []string {
	t.Helper()
	var keys []string
	for line := range strings.Lines(a.s3(t, "ls", "--recursive", uri)) {
		if len(line) > 31 { // date, time and size take 31 columns
			keys = append(keys, strings.TrimSuffix(line[31:], "\n"))
		}
	}
	return keys
}

// Covers: PutObject, GetObject, CopyObject, ListObjectsV2, HeadObject, DeleteObject.
func TestAWSCLIRecursive(t *testing.T) {
	eachAWSCLI(t, func(t *testing.T, a awsCLI) {
		tree := t.TempDir()
		for _, name := range []string{"page.html", "style.css", "photo.jpg", "noext", "sub/page.html", "sub/deep/notes.txt", "sub/deep/data.json"} {
			contentFile(t, tree, name, 2000)
		}
		a.s3(t, "mb", "s3://recursive")
		// A later filter wins over an earlier one.
		a.s3(t, "cp", "--recursive", "--no-progress", tree, "s3://recursive/a", "--exclude", "*", "--include", "*.html", "--include", "sub/*", "--exclude", "*.json",
			"--metadata", "who=cli,why=test", "--cache-control", "max-age=60")
		if got, want := a.keys(t, "s3://recursive/"), []string{"a/page.html", "a/sub/deep/notes.txt", "a/sub/page.html"}; !slices.Equal(got, want) {
			t.Errorf("filtered copy made %q, want %q", got, want)
		}
		head := a.api(t, "head-object", "--bucket", "recursive", "--key", "a/sub/page.html")
		if fmt.Sprintf("%v %v %v", head["ContentType"], head["CacheControl"], head["Metadata"]) != "text/html max-age=60 map[who:cli why:test]" {
			t.Errorf("head of an uploaded page: %v", head)
		}
		a.s3(t, "cp", "--recursive", "--no-progress", "s3://recursive/a/", "s3://recursive/b/", "--metadata-directive", "REPLACE", "--content-type", "text/x")
		if head := a.api(t, "head-object", "--bucket", "recursive", "--key", "b/page.html"); head["ContentType"] != "text/x" || len(head["Metadata"].(map[string]any)) != 0 {
			t.Errorf("head of a copy with its metadata replaced: %v", head)
		}
		a.s3(t, "mv", "--recursive", "--no-progress", "s3://recursive/b/sub", "s3://recursive/c")
		a.s3(t, "rm", "--recursive", "s3://recursive/a", "--exclude", "*", "--include", "*.txt")
		if got, want := a.keys(t, "s3://recursive/"), []string{"a/page.html", "a/sub/page.html", "b/page.html", "c/deep/notes.txt", "c/page.html"}; !slices.Equal(got, want) {
			t.Errorf("after mv and rm there are %q, want %q", got, want)
		}
		if out := a.s3(t, "ls", "--summarize", "--recursive", "s3://recursive/c/"); !strings.Contains(out, "Total Objects: 2") || !strings.Contains(out, "Total Size: 4000") {
			t.Errorf("ls --summarize: %s", out)
		}
		testCLISyncDelete(t, a, tree)
		a.s3(t, "rb", "--force", "s3://recursive")
	})
}

// testCLISyncDelete syncs in both directions with --delete, filters, and --size-only.
func testCLISyncDelete(t *testing.T, a awsCLI, tree string) {
	t.Helper()
	sync := func(args ...string) string {
		t.Helper()
		return a.s3(t, append([]string{"sync", "--no-progress"}, args...)...)
	}
	sync(tree, "s3://recursive/site", "--exclude", "*.jpg")
	if err := os.Remove(filepath.Join(tree, "style.css")); err != nil {
		t.Fatal(err)
	}
	out := sync(tree, "s3://recursive/site", "--delete", "--exclude", "*.jpg", "--dryrun")
	if !strings.Contains(out, "(dryrun) delete: s3://recursive/site/style.css") {
		t.Errorf("dry run: %q", out)
	}
	out = sync(tree, "s3://recursive/site", "--delete", "--exclude", "*.jpg")
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, "delete: s3://recursive/site/style.css") {
		t.Errorf("sync --delete: %q", out)
	}
	if err := os.Remove(filepath.Join(tree, "photo.jpg")); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(a.dir, "back")
	contentFile(t, back, "surplus", 10)
	sync("s3://recursive/site", back, "--delete")
	sameTree(t, back, tree)
	if err := os.Chtimes(filepath.Join(tree, "noext"), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if out := sync(tree, "s3://recursive/site", "--size-only"); out != "" {
		t.Errorf("sync --size-only transferred %q", out)
	}
}

// TestAWSCLIExitCodes holds the CLI's exit codes against what scripts rely on: 1 for a transfer that failed, 254 for an
// error that the store answered (255 in versions before 2).
//
// Covers: GetObject, HeadObject, ListObjectsV2, PutObject.
func TestAWSCLIExitCodes(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	for version, path := range awsCLIs(t) {
		a := d.awsCLI(t)
		a.path = path
		answered := 254
		if strings.HasPrefix(version, "aws-cli/1.") {
			answered = 255
		}
		bucket := "codes-" + strings.ReplaceAll(strings.TrimPrefix(version, "aws-cli/"), ".", "-")
		a.s3(t, "mb", "s3://"+bucket)
		a.fails(t, 1, "BucketAlreadyOwnedByYou", "s3", "mb", "s3://"+bucket)
		a.fails(t, 1, "404", "s3", "cp", "s3://"+bucket+"/absent", "-")
		a.fails(t, 1, "", "s3", "ls", "s3://"+bucket+"/absent/")
		a.fails(t, answered, "NoSuchBucket", "s3", "ls", "s3://there-is-no-such-bucket/")
		a.fails(t, answered, "NoSuchKey", "s3api", "get-object", "--bucket", bucket, "--key", "absent", "/dev/null")
		a.fails(t, answered, "Not Found", "s3api", "head-object", "--bucket", bucket, "--key", "absent")
		a.fails(t, answered, "NoSuchBucketPolicy", "s3api", "get-bucket-policy", "--bucket", bucket)
		a.api(t, "put-object", "--bucket", bucket, "--key", "k")
		a.fails(t, 1, "BucketNotEmpty", "s3", "rb", "s3://"+bucket)
		a.fails(t, answered, "InvalidRange", "s3api", "get-object", "--bucket", bucket, "--key", "k", "--range", "bytes=10-", "/dev/null")
		forger := a
		forger.env = append(slices.Clone(a.env), "AWS_SECRET_ACCESS_KEY=wrong")
		forger.fails(t, answered, "SignatureDoesNotMatch", "s3", "ls")
	}
}

// TestAWSCLIDocuments keeps versions, locks and tags with s3api commands.
//
// Covers: PutBucketVersioning, GetBucketVersioning, ListObjectVersions, DeleteObject, DeleteObjects, PutObjectTagging.
// Covers: GetObjectTagging, GetObjectAttributes, PutObjectLockConfiguration, GetObjectLockConfiguration.
// Covers: PutObjectRetention, GetObjectRetention, PutObjectLegalHold, PutBucketTagging, PutBucketCors, GetBucketCors.
func TestAWSCLIDocuments(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, serverKind, settings{})
	for version, path := range awsCLIs(t) {
		t.Run(strings.ReplaceAll(version, "/", " "), func(t *testing.T) {
			t.Parallel()
			a := d.awsCLI(t)
			a.path = path
			name := strings.ReplaceAll(strings.TrimPrefix(version, "aws-cli/"), ".", "-")
			testCLIVersions(t, a, "versions-"+name)
			testCLILocks(t, a, "locks-"+name)
			testCLITags(t, a, "tags-"+name)
		})
	}
}

func testCLIVersions(t *testing.T, a awsCLI, bucket string) {
	t.Helper()
	a.s3(t, "mb", "s3://"+bucket)
	a.api(t, "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
	if v := a.api(t, "get-bucket-versioning", "--bucket", bucket); v["Status"] != "Enabled" {
		t.Errorf("versioning: %v", v)
	}
	old := contentFile(t, a.dir, "old", 9<<20)
	first := a.api(t, "put-object", "--bucket", bucket, "--key", "k", "--body", old)
	a.s3(t, "cp", "--no-progress", contentFile(t, a.dir, "new", 9<<20), "s3://"+bucket+"/k") // in parts
	a.s3(t, "rm", "s3://"+bucket+"/k")
	listed := a.api(t, "list-object-versions", "--bucket", bucket)
	versions, markers := listed["Versions"].([]any), listed["DeleteMarkers"].([]any)
	if len(versions) != 2 || len(markers) != 1 {
		t.Fatalf("listed %v", listed)
	}
	back := filepath.Join(a.dir, "back")
	a.api(t, "get-object", "--bucket", bucket, "--key", "k", "--version-id", fmt.Sprint(first["VersionId"]), back)
	if got, want := shaOfFile(t, back), shaOfFile(t, old); got != want {
		t.Errorf("the first version has SHA-256 %s, want %s", got, want)
	}
	marker := markers[0].(map[string]any)
	a.api(t, "delete-object", "--bucket", bucket, "--key", "k", "--version-id", fmt.Sprint(marker["VersionId"]))
	a.s3(t, "cp", "--no-progress", "s3://"+bucket+"/k", back)
	if got, want := shaOfFile(t, back), shaOfFile(t, filepath.Join(a.dir, "new")); got != want {
		t.Errorf("after the marker went: SHA-256 %s, want %s", got, want)
	}
	var items []string
	for _, v := range versions {
		items = append(items, fmt.Sprintf("{Key=k,VersionId=%v}", v.(map[string]any)["VersionId"]))
	}
	a.api(t, "delete-objects", "--bucket", bucket, "--delete", "Quiet=true,Objects=["+strings.Join(items, ",")+"]")
	a.s3(t, "rb", "s3://"+bucket)
}

func testCLILocks(t *testing.T, a awsCLI, bucket string) {
	t.Helper()
	a.api(t, "create-bucket", "--bucket", bucket, "--object-lock-enabled-for-bucket", "--create-bucket-configuration", "LocationConstraint="+region)
	rule := `{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"GOVERNANCE","Days":1}}}`
	a.api(t, "put-object-lock-configuration", "--bucket", bucket, "--object-lock-configuration", rule)
	if got := fmt.Sprint(a.api(t, "get-object-lock-configuration", "--bucket", bucket)); !strings.Contains(got, "Days:1 Mode:GOVERNANCE") {
		t.Errorf("lock configuration: %s", got)
	}
	a.s3(t, "cp", "--no-progress", contentFile(t, a.dir, "locked", 9<<20), "s3://"+bucket+"/k") // in parts
	put := a.api(t, "head-object", "--bucket", bucket, "--key", "k")
	if put["ObjectLockMode"] != "GOVERNANCE" {
		t.Errorf("head: %v", put)
	}
	id := fmt.Sprint(put["VersionId"])
	a.fails(t, exitOfAnswer(a, t), "AccessDenied", "s3api", "delete-object", "--bucket", bucket, "--key", "k", "--version-id", id)
	a.api(t, "put-object-legal-hold", "--bucket", bucket, "--key", "k", "--legal-hold", "Status=ON")
	a.fails(t, exitOfAnswer(a, t), "AccessDenied", "s3api", "delete-object", "--bucket", bucket, "--key", "k", "--version-id", id, "--bypass-governance-retention")
	a.api(t, "put-object-legal-hold", "--bucket", bucket, "--key", "k", "--legal-hold", "Status=OFF")
	until := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	a.api(t, "put-object-retention", "--bucket", bucket, "--key", "k", "--retention", "Mode=GOVERNANCE,RetainUntilDate="+until)
	if got := fmt.Sprint(a.api(t, "get-object-retention", "--bucket", bucket, "--key", "k")); !strings.Contains(got, until[:16]) {
		t.Errorf("retention: %s, want until %s", got, until)
	}
	a.api(t, "delete-object", "--bucket", bucket, "--key", "k", "--version-id", id, "--bypass-governance-retention")
	a.s3(t, "rb", "s3://"+bucket)
}

// exitOfAnswer is the exit code of an s3api command that the store refused.
func exitOfAnswer(a awsCLI, t testing.TB) int {
	t.Helper()
	if strings.HasPrefix(string(tool{name: a.path, args: []string{"--version"}}.run(t)), "aws-cli/1.") {
		return 255
	}
	return 254
}

func testCLITags(t *testing.T, a awsCLI, bucket string) {
	t.Helper()
	a.s3(t, "mb", "s3://"+bucket)
	path := contentFile(t, a.dir, "tagged", 100)
	a.api(t, "put-object", "--bucket", bucket, "--key", "k", "--body", path, "--tagging", "a=1&b%20c=d", "--checksum-algorithm", "SHA256")
	a.api(t, "put-object-tagging", "--bucket", bucket, "--key", "k", "--tagging", "TagSet=[{Key=x,Value=y z}]")
	if got := fmt.Sprint(a.api(t, "get-object-tagging", "--bucket", bucket, "--key", "k")); got != "map[TagSet:[map[Key:x Value:y z]]]" {
		t.Errorf("tags: %s", got)
	}
	a.api(t, "put-bucket-tagging", "--bucket", bucket, "--tagging", "TagSet=[{Key=team,Value=cli}]")
	a.fails(t, exitOfAnswer(a, t), "InvalidTag", "s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", "TagSet=[{Key=a,Value=1},{Key=a,Value=2}]")
	got := a.api(t, "get-object-attributes", "--bucket", bucket, "--key", "k", "--object-attributes", "ETag", "Checksum", "ObjectSize")
	if got["ObjectSize"] != 100.0 || got["ETag"] != strings.Trim(etagOf(content("tagged", 100)), `"`) || !strings.Contains(fmt.Sprint(got["Checksum"]), "ChecksumSHA256") {
		t.Errorf("attributes: %v", got)
	}
	rules := `{"CORSRules":[{"AllowedOrigins":["*"],"AllowedMethods":["GET"]}]}`
	a.api(t, "put-bucket-cors", "--bucket", bucket, "--cors-configuration", rules)
	if got := fmt.Sprint(a.api(t, "get-bucket-cors", "--bucket", bucket)); !strings.Contains(got, "AllowedOrigins:[*]") {
		t.Errorf("CORS: %s", got)
	}
}
