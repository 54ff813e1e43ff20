package compattests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// codeOf returns the code of an S3 error, "" for none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// TestTerraformReads asks for everything that Terraform's provider reads of a bucket and of an object after it made them,
// in its order. A "not configured" that has another code than AWS's ends an apply.
//
// Covers: HeadBucket, GetBucketPolicy, GetBucketAcl, GetBucketCors, GetBucketWebsite, GetBucketVersioning.
// Covers: GetBucketAccelerateConfiguration, GetBucketRequestPayment, GetBucketLogging, GetBucketLifecycleConfiguration.
// Covers: GetBucketReplication, GetBucketEncryption, GetObjectLockConfiguration, GetBucketTagging, GetBucketLocation.
// Covers: HeadObject, GetObjectTagging, GetObjectAcl, GetObjectRetention, GetObjectLegalHold.
func TestTerraformReads(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		_, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("terraformed")})
		wantCode(t, "before the bucket is made", err, "NoSuchBucket", http.StatusNotFound)
		b := bucket(t, c, "terraformed")
		for _, read := range bucketReads(t, c, b) {
			if got := codeOf(read.err); got != read.code {
				t.Errorf("%s: code %q, want %q (%v)", read.name, got, read.code, read.err)
			}
		}
		body := []byte("content of the aws_s3_object")
		_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: aws.String("etc/a b.conf"), Body: bytes.NewReader(body), Tagging: aws.String("Env=test&Managed=terraform")})
		if err != nil {
			t.Fatal(err)
		}
		head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b, Key: aws.String("etc/a b.conf"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || aws.ToString(head.ETag) != etagOf(body) || aws.ToString(head.ChecksumCRC32) == "" {
			t.Errorf("head: %+v, %v", head, err)
		}
		tags, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &b, Key: aws.String("etc/a b.conf")})
		if err != nil || len(tags.TagSet) != 2 {
			t.Errorf("tags: %+v, %v", tags, err)
		}
		if _, err := c.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &b, Key: aws.String("etc/a b.conf")}); err != nil {
			t.Error(err)
		}
		_, err = c.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &b, Key: aws.String("etc/a b.conf")})
		wantCode(t, "retention", err, "InvalidRequest", http.StatusBadRequest)
		_, err = c.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: &b, Key: aws.String("etc/a b.conf")})
		wantCode(t, "legal hold", err, "InvalidRequest", http.StatusBadRequest)
	})
}

type bucketRead struct {
	name string
	err  error
	code string // "": it must succeed
}

// bucketReads makes the provider's reads of a bucket that nothing is configured of.
func bucketReads(t *testing.T, c *s3.Client, b string) []bucketRead {
	t.Helper()
	ctx := t.Context()
	var reads []bucketRead
	add := func(name, code string, err error) { reads = append(reads, bucketRead{name, err, code}) }
	_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b})
	add("HeadBucket", "", err)
	_, err = c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &b})
	add("GetBucketPolicy", "NoSuchBucketPolicy", err)
	_, err = c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &b})
	add("GetBucketAcl", "", err)
	_, err = c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &b})
	add("GetBucketCors", "NoSuchCORSConfiguration", err)
	_, err = c.GetBucketWebsite(ctx, &s3.GetBucketWebsiteInput{Bucket: &b})
	add("GetBucketWebsite", "NoSuchWebsiteConfiguration", err)
	_, err = c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b})
	add("GetBucketVersioning", "", err)
	_, err = c.GetBucketAccelerateConfiguration(ctx, &s3.GetBucketAccelerateConfigurationInput{Bucket: &b})
	add("GetBucketAccelerateConfiguration", "", err)
	_, err = c.GetBucketRequestPayment(ctx, &s3.GetBucketRequestPaymentInput{Bucket: &b})
	add("GetBucketRequestPayment", "", err)
	_, err = c.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: &b})
	add("GetBucketLogging", "", err)
	_, err = c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &b})
	add("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration", err)
	_, err = c.GetBucketReplication(ctx, &s3.GetBucketReplicationInput{Bucket: &b})
	add("GetBucketReplication", "ReplicationConfigurationNotFoundError", err)
	_, err = c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &b})
	add("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError", err)
	_, err = c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b})
	add("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", err)
	_, err = c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &b})
	add("GetBucketLocation", "", err)
	_, err = c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &b})
	add("GetBucketTagging", "NoSuchTagSet", err)
	return reads
}

// TestTerraformStateSequence makes the requests of Terraform's S3 backend with the SDK: a lock file that only one can make,
// the state in a versioned bucket, the lock's removal, and the way back to an older state.
//
// Covers: PutObject, GetObject, DeleteObject, PutBucketVersioning, ListObjectVersions, ListObjectsV2.
func TestTerraformStateSequence(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c, ctx := d.sdk(t), t.Context()
		b, key := bucket(t, c, "tf-states"), "env/prod/terraform.tfstate"
		lock := key + ".tflock"
		enable := types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}
		if _, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &b, VersioningConfiguration: &enable}); err != nil {
			t.Fatal(err)
		}
		_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key})
		wantCode(t, "no state yet", err, "NoSuchKey", http.StatusNotFound)
		take := func(who string) error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &lock, Body: strings.NewReader(who), IfNoneMatch: aws.String("*"),
				ContentType: aws.String("application/json"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			return err
		}
		for serial := range 5 {
			who := fmt.Sprint("run ", serial)
			if err := take(who); err != nil {
				t.Fatalf("lock for %s: %v", who, err)
			}
			wantCode(t, "a second run", take("intruder"), "PreconditionFailed", http.StatusPreconditionFailed)
			sameBytes(t, "the lock names its holder", get(t, c, b, lock), []byte(who))
			state := fmt.Appendf(nil, `{"version":4,"serial":%d}`, serial)
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(state), ContentType: aws.String("application/json"),
				ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, "the state", get(t, c, b, key), state)
			if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b, Key: &lock}); err != nil {
				t.Fatal(err)
			}
		}
		if keys := listAll(t, c, b); len(keys) != 1 || keys[0] != key {
			t.Errorf("after five runs there is %q, want the state alone", keys)
		}
		listed, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &b, Prefix: &key})
		if err != nil {
			t.Fatal(err)
		}
		var states, locks int
		for _, v := range listed.Versions {
			if aws.ToString(v.Key) == key {
				states++
			} else {
				locks++
			}
		}
		if states != 5 || locks != 5 || len(listed.DeleteMarkers) != 5 {
			t.Fatalf("%d states, %d locks, %d markers, want 5 of each", states, locks, len(listed.DeleteMarkers))
		}
		oldest, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b, Key: &key, VersionId: listed.Versions[4].VersionId})
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, "the first state", drain(t, oldest.Body), []byte(`{"version":4,"serial":0}`))
	})
}

// terraformFolder is a working folder of Terraform whose state lies in the store.
type terraformFolder struct {
	dir string
	env []string
}

func (d *deployment) terraformFolder(t testing.TB, bucket string) terraformFolder {
	t.Helper()
	f := terraformFolder{dir: t.TempDir(), env: []string{
		"CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_CLI_CONFIG_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}}
	config := fmt.Sprintf(`terraform {
  backend "s3" {
    bucket                      = %q
    key                         = "team/terraform.tfstate"
    region                      = %q
    endpoints                   = { s3 = %q }
    access_key                  = %q
    secret_key                  = %q
    use_path_style              = true
    use_lockfile                = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
  }
}
variable "n" { type = number }
resource "terraform_data" "counter" { input = var.n }
output "n" { value = terraform_data.counter.output }
`, bucket, region, d.url(), d.accessKey, d.secretKey)
	if err := os.WriteFile(filepath.Join(f.dir, "main.tf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f terraformFolder) tool(args ...string) tool {
	return tool{name: "terraform", args: args, env: f.env, dir: f.dir}
}

// serial returns the state's serial number and its resources, as Terraform itself reads them from the store.
func (f terraformFolder) serial(t testing.TB) (int, int) {
	t.Helper()
	var state struct {
		Serial    int
		Resources []json.RawMessage
	}
	if err := json.Unmarshal(f.tool("state", "pull").run(t), &state); err != nil {
		t.Fatal(err)
	}
	return state.Serial, len(state.Resources)
}

// TestTerraform keeps the state of a real Terraform in the store, with lock files. Terraform is not in Debian: where it is
// not on PATH, TestTerraformStateSequence stands for it.
//
// Covers: PutObject, GetObject, HeadObject, DeleteObject, ListObjectsV2.
func TestTerraform(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Log("terraform is not on PATH: its requests are made by TestTerraformStateSequence only")
		return
	}
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b := bucket(t, c, "terraform")
		enable := types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}
		if _, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b, VersioningConfiguration: &enable}); err != nil {
			t.Fatal(err)
		}
		f := d.terraformFolder(t, b)
		f.tool("init", "-input=false", "-no-color").run(t)
		for n := 1; n <= 2; n++ {
			f.tool("apply", "-auto-approve", "-input=false", "-no-color", fmt.Sprint("-var=n=", n)).run(t)
			if serial, resources := f.serial(t); serial != n || resources != 1 {
				t.Errorf("apply %d made serial %d with %d resources", n, serial, resources)
			}
		}
		f.testLock(t, c, b)
		f.testWorkspaces(t)
		testTwoTerraforms(t, d, b)
		f.tool("destroy", "-auto-approve", "-input=false", "-no-color", "-var=n=0").run(t)
		if _, resources := f.serial(t); resources != 0 {
			t.Errorf("%d resources after destroy", resources)
		}
		for _, key := range listAll(t, c, b) {
			if strings.HasSuffix(key, ".tflock") {
				t.Errorf("%s was left behind", key)
			}
		}
	})
}

// testLock leaves a lock behind, as a run that was killed does, and breaks it.
func (f terraformFolder) testLock(t *testing.T, c *s3.Client, b string) {
	t.Helper()
	info := `{"ID":"11111111-2222-3333-4444-555555555555","Operation":"OperationTypeApply","Who":"a killed run","Version":"1.11.4","Created":"2026-01-01T00:00:00Z","Path":"terraform/team/terraform.tfstate"}`
	put(t, c, b, "team/terraform.tfstate.tflock", []byte(info))
	apply := f.tool("apply", "-auto-approve", "-input=false", "-no-color", "-var=n=3")
	if r := apply.try(t); r.code == 0 || !strings.Contains(r.stderr, "a killed run") || !strings.Contains(r.stderr, "PreconditionFailed") {
		t.Errorf("apply beside a lock: exit code %d\n%s", r.code, r.stderr)
	}
	f.tool("force-unlock", "-force", "11111111-2222-3333-4444-555555555555").run(t)
	apply.run(t)
	if got := strings.TrimSpace(string(f.tool("output", "-raw", "n").run(t))); got != "3" {
		t.Errorf("output %q after the lock was broken", got)
	}
}

func (f terraformFolder) testWorkspaces(t *testing.T) {
	t.Helper()
	f.tool("workspace", "new", "-no-color", "staging").run(t)
	f.tool("apply", "-auto-approve", "-input=false", "-no-color", "-var=n=9").run(t)
	if out := string(f.tool("workspace", "list").run(t)); !strings.Contains(out, "default") || !strings.Contains(out, "* staging") {
		t.Errorf("workspaces: %s", out)
	}
	f.tool("destroy", "-auto-approve", "-input=false", "-no-color", "-var=n=9").run(t)
	f.tool("workspace", "select", "-no-color", "default").run(t)
	f.tool("workspace", "delete", "-no-color", "staging").run(t)
	if out := string(f.tool("workspace", "list").run(t)); strings.Contains(out, "staging") {
		t.Errorf("workspaces: %s", out)
	}
}

// testTwoTerraforms runs two at once that wait for each other's lock: both come through, one after the other.
func testTwoTerraforms(t *testing.T, d *deployment, b string) {
	t.Helper()
	var group sync.WaitGroup
	folders := []terraformFolder{d.terraformFolder(t, b), d.terraformFolder(t, b)}
	for _, f := range folders {
		f.tool("init", "-input=false", "-no-color").run(t)
	}
	before, _ := folders[0].serial(t)
	results := make([]result, len(folders))
	for i, f := range folders {
		group.Go(func() { results[i] = f.applyAmongOthers(t, 100+i) })
	}
	group.Wait()
	for i, r := range results {
		if r.code != 0 {
			t.Errorf("apply %d of two: exit code %d\n%s", i, r.code, r.stderr)
		}
	}
	if after, _ := folders[0].serial(t); after != before+2 {
		t.Errorf("two applies took the serial from %d to %d", before, after)
	}
}

// applyAmongOthers applies until it gets the lock. -lock-timeout alone does not: Terraform gives up when the lock that it was
// refused is gone by the time that it reads whose it was.
func (f terraformFolder) applyAmongOthers(t *testing.T, n int) result {
	t.Helper()
	var r result
	for range 10 {
		r = f.tool("apply", "-auto-approve", "-input=false", "-no-color", "-lock-timeout=60s", fmt.Sprint("-var=n=", n)).try(t)
		if !strings.Contains(r.stderr, "unable to retrieve file") || !strings.Contains(r.stderr, "NoSuchKey") {
			break
		}
	}
	return r
}
