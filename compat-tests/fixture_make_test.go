package compattests

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pattern makes a body that compresses well: a fixture is to be small.
func pattern(name string, size int) []byte {
	line := []byte(name + " 0123456789abcdef\n")
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

// send makes a request that must succeed.
func (d *deployment) send(t *testing.T, method, path string, body []byte, headers ...string) answer {
	t.Helper()
	if method != http.MethodGet && len(body) < 1<<20 {
		sum := md5.Sum(body)
		headers = append(headers, "Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	a := d.signedCall(t, method, strings.ReplaceAll(path, " ", "%20"), body, time.Now(), nil, headers...)
	if a.status/100 != 2 {
		t.Fatalf("%s %s: %v", method, path, a)
	}
	return a
}

// fill makes buckets of every kind, and objects, versions and uploads of every kind in them.
func (d *deployment) fill(t *testing.T) {
	t.Helper()
	for _, name := range []string{"plain", "versions", "suspended", "coded", "documents", "emptied"} {
		d.send(t, "PUT", "/"+name, nil)
	}
	d.send(t, "PUT", "/locked", nil, "x-amz-bucket-object-lock-enabled", "true")
	d.fillDocuments(t)
	d.fillPlain(t)
	d.fillVersions(t)
	d.fillLocked(t)
	d.fillUploads(t)
	for i := range 5 {
		d.send(t, "PUT", fmt.Sprint("/set/native/", i), pattern("native", 100*i), "Content-Type", "text/x-native")
	}
	for i := range 12 {
		d.send(t, "PUT", fmt.Sprint("/coded/object ", i), pattern(fmt.Sprint("coded ", i), 1000+i*20000), "x-amz-storage-class", "STANDARD_IA")
	}
}

func (d *deployment) versioning(t *testing.T, bucket, state string) {
	t.Helper()
	d.send(t, "PUT", "/"+bucket+"?versioning=", []byte("<VersioningConfiguration><Status>"+state+"</Status></VersioningConfiguration>"))
}

// fillDocuments gives a bucket a document of each kind.
func (d *deployment) fillDocuments(t *testing.T) {
	t.Helper()
	for kind, doc := range map[string]string{
		"cors":              "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>",
		"tagging":           "<Tagging><TagSet><Tag><Key>owner</Key><Value>ä b</Value></Tag></TagSet></Tagging>",
		"publicAccessBlock": "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
		"ownershipControls": "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
		"accelerate":        "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
		"policy":            `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/secret/*"}]}`,
	} {
		d.send(t, "PUT", "/documents?"+kind+"=", []byte(doc))
	}
}

// fillPlain writes objects of every size and with every header.
func (d *deployment) fillPlain(t *testing.T) {
	t.Helper()
	for _, size := range []int{0, 1, 65535, 65536, 65537, 300000, 1 << 20, 1<<20 + 1, 2500000} {
		d.send(t, "PUT", fmt.Sprint("/plain/size/", size), pattern("plain", size))
	}
	for i, key := range []string{"a", "a/b", "a//b", "../x", "ü/😀", "%41", "b c+d&e=f", strings.Repeat("k", 1024)} {
		d.send(t, "PUT", "/plain/"+keyPath(key), pattern(key, i*7), "x-amz-meta-n", fmt.Sprint(i))
	}
	d.send(t, "PUT", "/plain/headers", []byte("headers"), "Content-Type", "text/x-test", "Cache-Control", "max-age=5", "Content-Disposition", "attachment",
		"Content-Encoding", "gzip", "Content-Language", "de", "Expires", "Thu, 01 Dec 2033 16:00:00 GMT", "x-amz-website-redirect-location", "/elsewhere",
		"x-amz-meta-umlaut", "grün", "x-amz-meta-empty", "", "x-amz-tagging", "one=1&two=2%202", "x-amz-storage-class", "GLACIER")
	for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "MD5", "SHA1", "SHA256", "SHA512", "XXHASH3", "XXHASH64", "XXHASH128"} {
		d.send(t, "PUT", "/plain/sum/"+algorithm, nil, "x-amz-copy-source", "/plain/size/65537", "x-amz-checksum-algorithm", algorithm)
	}
}

// fillVersions writes versions and delete markers, with versioning enabled and suspended.
func (d *deployment) fillVersions(t *testing.T) {
	t.Helper()
	for _, bucket := range []string{"versions", "suspended"} {
		d.send(t, "PUT", "/"+bucket+"/null", []byte("from before"))
		d.send(t, "PUT", "/"+bucket+"/null and later", []byte("from before"))
		d.versioning(t, bucket, "Enabled")
		for i := range 4 {
			d.send(t, "PUT", "/"+bucket+"/many", pattern(fmt.Sprint("version ", i), 30*i), "x-amz-meta-n", fmt.Sprint(i), "x-amz-tagging", fmt.Sprint("n=", i))
		}
		d.send(t, "PUT", "/"+bucket+"/null and later", []byte("later"))
		d.send(t, "PUT", "/"+bucket+"/marked", []byte("below the marker"))
		d.send(t, "DELETE", "/"+bucket+"/marked", nil)
		d.send(t, "DELETE", "/"+bucket+"/nothing but a marker", nil)
		gone := d.send(t, "PUT", "/"+bucket+"/many", []byte("gone again")).header.Get("x-amz-version-id")
		d.send(t, "DELETE", "/"+bucket+"/many?versionId="+gone, nil)
	}
	d.versioning(t, "suspended", "Suspended")
	d.send(t, "PUT", "/suspended/many", []byte("the null version of a suspended bucket"))
	d.send(t, "PUT", "/suspended/null and later", []byte("in the place of the null version"))
	d.send(t, "DELETE", "/suspended/marked", nil)
}

// fillLocked writes versions with locks of every kind.
func (d *deployment) fillLocked(t *testing.T) {
	t.Helper()
	const until = "2126-01-02T03:04:05.678Z"
	d.send(t, "PUT", "/locked/compliance", []byte("c"), "x-amz-object-lock-mode", "COMPLIANCE", "x-amz-object-lock-retain-until-date", until)
	d.send(t, "PUT", "/locked/governance", []byte("g"), "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", until)
	d.send(t, "PUT", "/locked/held", []byte("h"), "x-amz-object-lock-legal-hold", "ON")
	d.send(t, "PUT", "/locked/not held", []byte("n"), "x-amz-object-lock-legal-hold", "OFF")
	d.send(t, "DELETE", "/locked/held", nil)
	d.send(t, "PUT", "/locked?object-lock=", []byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"+
		"<Mode>GOVERNANCE</Mode><Years>100</Years></DefaultRetention></Rule></ObjectLockConfiguration>"))
	d.send(t, "PUT", "/locked/by default", []byte("d"))
}

// begin begins an upload and returns its path.
func (d *deployment) begin(t *testing.T, bucket, key string, headers ...string) string {
	t.Helper()
	var up listedUpload
	a := d.send(t, "POST", "/"+bucket+"/"+keyPath(key)+"?uploads=", nil, headers...)
	if err := xml.Unmarshal(a.body, &up); err != nil {
		t.Fatal(err)
	}
	return listedUpload{key, up.UploadId}.path(bucket)
}

func (d *deployment) part(t *testing.T, upload string, number int, body []byte, headers ...string) {
	t.Helper()
	d.send(t, "PUT", fmt.Sprintf("%s&partNumber=%d", upload, number), body, headers...)
}

// finish completes an upload of all its parts.
func (d *deployment) finish(t *testing.T, upload string) {
	t.Helper()
	var list struct {
		Part []struct {
			PartNumber int
			ETag       string
			Sum        string `xml:"ChecksumSHA256"`
		}
	}
	d.document(t, upload, &list)
	var doc strings.Builder
	for _, p := range list.Part {
		fmt.Fprintf(&doc, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", p.PartNumber, strings.ReplaceAll(p.ETag, `"`, ""))
		if p.Sum != "" {
			doc.WriteString("<ChecksumSHA256>" + p.Sum + "</ChecksumSHA256>")
		}
		doc.WriteString("</Part>")
	}
	d.send(t, "POST", upload, []byte("<CompleteMultipartUpload>"+doc.String()+"</CompleteMultipartUpload>"))
}

// fillUploads leaves uploads in progress, and completes and aborts others.
func (d *deployment) fillUploads(t *testing.T) {
	t.Helper()
	summed := func(body []byte) (header, value string) {
		sum := sha256.Sum256(body)
		return "x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(sum[:])
	}
	for _, bucket := range []string{"plain", "versions", "coded"} {
		up := d.begin(t, bucket, "assembled", "x-amz-meta-parts", "3", "x-amz-storage-class", "STANDARD_IA")
		d.part(t, up, 1, pattern("one", minPart))
		d.part(t, up, 2, pattern("two", 100))
		d.part(t, up, 2, pattern("two again", minPart+3))
		d.part(t, up, 9, pattern("nine", 9))
		d.finish(t, up)
	}
	for _, key := range []string{"composite", "composite in progress"} {
		up := d.begin(t, "plain", key, "x-amz-checksum-algorithm", "SHA256", "x-amz-tagging", "a=b")
		body := pattern(key, 70000)
		header, value := summed(body)
		d.part(t, up, 3, body, header, value)
		if key == "composite" {
			d.finish(t, up)
		}
	}
	for i := range 3 {
		up := d.begin(t, "versions", fmt.Sprint("in progress ", i), "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT")
		for n := range i {
			d.part(t, up, n+1, pattern("part", 200*n))
		}
	}
	up := d.begin(t, "plain", "aborted")
	d.part(t, up, 1, pattern("aborted", 1000))
	d.send(t, "DELETE", up, nil)
}

// change overwrites and deletes, so that there is garbage that waits; in a cluster it also leaves a volume that is being
// deleted, a rebalance that is paused in the middle, and repairs that wait.
func (d *deployment) change(t *testing.T) {
	t.Helper()
	for i := range 3 {
		d.send(t, "PUT", "/emptied/"+fmt.Sprint(i), pattern("emptied", 1000))
		d.send(t, "DELETE", "/emptied/"+fmt.Sprint(i), nil)
	}
	d.send(t, "PUT", "/plain/size/1", []byte("overwritten"))
	d.send(t, "DELETE", "/plain/size/300000", nil)
	d.send(t, "DELETE", "/plain/size/1048577", nil)
	d.send(t, "DELETE", "/delete/native/1", nil)
	d.send(t, "PUT", "/plain/headers?tagging=", []byte("<Tagging><TagSet><Tag><Key>changed</Key><Value></Value></Tag></TagSet></Tagging>"))
	if d.kind != clusterKind {
		return
	}
	d.mustAdmin(t, "rebalance", "pause")
	d.mustAdmin(t, "volume", "delete", "4")
	d.volumes[1].freeze(t) // it is killed so
	for i := range 6 {
		d.send(t, "PUT", fmt.Sprint("/plain/while a volume was silent/", i), pattern("silent", 500*i))
	}
}

// goOn completes an upload that was in progress, or aborts it where it has no parts.
func (d *deployment) goOn(t *testing.T, bucket string, up listedUpload) {
	t.Helper()
	var list struct {
		Part              []struct{ PartNumber int }
		ChecksumAlgorithm string
	}
	path := up.path(bucket)
	d.document(t, path, &list)
	if len(list.Part) == 0 {
		d.send(t, "DELETE", path, nil)
		return
	}
	if n := len(list.Part); n > 1 { // all but the last must be of some size
		for _, p := range list.Part[:n-1] {
			d.part(t, path, p.PartNumber, pattern("larger", minPart))
		}
	}
	d.finish(t, path)
	if a := d.signedCall(t, "GET", "/"+bucket+"/"+keyPath(up.Key), nil, time.Now(), nil); a.status != http.StatusOK {
		t.Errorf("%s was completed: %v", up.Key, a)
	}
}
