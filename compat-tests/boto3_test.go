package compattests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pythons returns the Python interpreters of this machine that have boto3, one for each version of boto3, by that version:
// Debian's, which sends no checksums of its own accord, and a newer one where there is one.
func pythons(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if r := (tool{name: path, args: []string{"-c", "import boto3; print(boto3.__version__)"}}).try(t); r.code == 0 {
			if version := strings.TrimSpace(string(r.stdout)); found[version] == "" {
				found[version] = path
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no Python has boto3; compat-tests/install-tools.sh installs it (Debian: apt-get install python3-boto3)")
	}
	return found
}

// TestBoto3 runs the program in the folder boto3 with every version of boto3 that there is.
//
// Covers: CreateBucket, HeadBucket, GetBucketLocation, ListBuckets, DeleteBucket, PutObject, GetObject, HeadObject.
// Covers: DeleteObject, DeleteObjects, CopyObject, ListObjects, ListObjectsV2, CreateMultipartUpload, UploadPart.
// Covers: UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload, ListParts, ListMultipartUploads.
// Covers: PutBucketVersioning, GetBucketVersioning, ListObjectVersions, PutObjectTagging, GetObjectTagging.
// Covers: DeleteObjectTagging, PutBucketTagging, GetBucketTagging, PutObjectLockConfiguration.
// Covers: GetObjectLockConfiguration, PutObjectRetention, GetObjectRetention, PutObjectLegalHold, GetObjectLegalHold.
// Covers: GetObjectAttributes, PutBucketCors, GetBucketCors, PreflightObject, PostObject, DeleteBucketCors.
// Covers: DeleteBucketTagging, PutBucketAcl, GetBucketAcl, PutObjectAcl, GetObjectAcl, PutBucketOwnershipControls.
// Covers: PutBucketPolicy, GetBucketPolicy, GetBucketPolicyStatus, DeleteBucketPolicy.
// Covers: GetBucketOwnershipControls, PutPublicAccessBlock, GetPublicAccessBlock, DeletePublicAccessBlock.
func TestBoto3(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		program, err := filepath.Abs("boto3/run.py")
		if err != nil {
			t.Fatal(err)
		}
		for version, python := range pythons(t) {
			t.Run(version, func(t *testing.T) {
				runCases(t, tool{name: python, args: []string{program}, env: d.programEnv(t), dir: t.TempDir()})
			})
		}
	})
}
