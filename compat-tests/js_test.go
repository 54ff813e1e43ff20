package compattests

import (
	"os"
	"path/filepath"
	"testing"
)

// jsProgram is a run of a program in the folder js with the packages that install-tools.sh installed.
func (d *deployment) jsProgram(t testing.TB, name string) tool {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("js", name))
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("../.cache/js/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("the AWS SDK for JavaScript is not installed; compat-tests/install-tools.sh installs it: %v", err)
	}
	return tool{name: "node", args: []string{program}, env: append(d.programEnv(t), "NODE_PATH="+modules), dir: t.TempDir()}
}

// TestJavaScriptSDK runs the program in the folder js.
//
// Covers: CreateBucket, HeadBucket, GetBucketLocation, ListBuckets, DeleteBucket, PutObject, GetObject, HeadObject.
// Covers: DeleteObject, DeleteObjects, CopyObject, ListObjects, ListObjectsV2, CreateMultipartUpload, UploadPart.
// Covers: UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload, ListParts, ListMultipartUploads.
// Covers: PutBucketVersioning, GetBucketVersioning, ListObjectVersions, PutObjectTagging, GetObjectTagging.
// Covers: DeleteObjectTagging, PutBucketTagging, GetBucketTagging, PutObjectLockConfiguration.
// Covers: GetObjectLockConfiguration, PutObjectRetention, GetObjectRetention, PutObjectLegalHold, GetObjectLegalHold.
// Covers: GetObjectAttributes, PutBucketCors, GetBucketCors, PreflightObject, PostObject.
func TestJavaScriptSDK(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		runCases(t, d.jsProgram(t, "run.js"))
	})
}
