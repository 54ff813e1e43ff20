package compattests

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// python is an interpreter that has boto3.
type python struct{ path, version string }

// pythons returns the interpreters of this machine that have boto3, one for each version of boto3, the first on PATH first:
// a newer one where there is one, and Debian's, which sends no checksums of its own accord.
func pythons(t testing.TB) []python {
	t.Helper()
	var found []python
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		r := tool{name: path, args: []string{"-c", "import boto3; print(boto3.__version__)"}}.try(t)
		version := strings.TrimSpace(string(r.stdout))
		if r.code == 0 && !slices.ContainsFunc(found, func(p python) bool { return p.version == version }) {
			found = append(found, python{path, version})
		}
	}
	if len(found) == 0 {
		t.Fatal("no Python has boto3; compat-tests/install-tools.sh installs it (Debian: apt-get install python3-boto3)")
	}
	return found
}

// TestBoto3 runs the program in the folder boto3 with every version of boto3 that there is, against a cluster with the first.
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
		found := pythons(t)
		if d.kind == clusterKind {
			found = found[:1]
		}
		for _, python := range found {
			t.Run(python.version, func(t *testing.T) {
				runCases(t, tool{name: python.path, args: []string{program}, env: d.programEnv(t), dir: t.TempDir()})
			})
		}
	})
}
