package s3api_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"tdkvs/s3api/sigv4"
)

const formBoundary = "----form-boundary"

// uploadForm is a form in the making.
type uploadForm struct {
	s          *server
	bucket     string
	fields     [][2]string // names and values, in order
	conditions string      // of the policy, beside those for the bucket and the signature
	expires    time.Time
	fileName   string // as it stands in the header: quotes and all; "" for none
	file       string
	noFile     bool
	tail       string // behind the file, instead of the end
	key        string // access key; empty: not signed
	secret     string
	v2         bool
	change     func(fields map[string]string) // of the signed fields; an empty value removes one
	host       string
	header     map[string]string
}

// form begins a form that root has signed. Each field is covered by a condition.
func (s *server) form(bucket string, fields ...string) *uploadForm {
	u := &uploadForm{s: s, bucket: bucket, expires: time.Now().Add(time.Minute), fileName: `"f.txt"`, file: "content", key: rootKey, secret: rootSecret}
	for i := 0; i+1 < len(fields); i += 2 {
		u.fields = append(u.fields, [2]string{fields[i], fields[i+1]})
		u.cover(fmt.Sprintf(`["starts-with", "$%s", ""]`, fields[i]))
	}
	return u
}

func (u *uploadForm) cover(condition string) *uploadForm {
	if u.conditions != "" {
		u.conditions += ", "
	}
	u.conditions += condition
	return u
}

// policy is the policy in base64.
func (u *uploadForm) policy(conditions ...string) string {
	conditions = append(conditions, fmt.Sprintf(`{"bucket": %q}`, u.bucket))
	if u.conditions != "" {
		conditions = append(conditions, u.conditions)
	}
	doc := fmt.Sprintf(`{"expiration": %q, "conditions": [%s]}`, u.expires.UTC().Format("2006-01-02T15:04:05.000Z"), strings.Join(conditions, ", "))
	return base64.StdEncoding.EncodeToString([]byte(doc))
}

// signed returns the fields that sign the form.
func (u *uploadForm) signed() [][2]string {
	fields := map[string]string{}
	switch {
	case u.key == "":
	case u.v2:
		policy := u.policy()
		mac := hmac.New(sha1.New, []byte(u.secret))
		mac.Write([]byte(policy))
		fields = map[string]string{"AWSAccessKeyId": u.key, "policy": policy, "signature": base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	default:
		signer := sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: u.key, SecretKey: u.secret}, Region: region}
		now := time.Now()
		blank := signer.SignPolicy("", now)
		p := signer.SignPolicy(u.policy(`{"x-amz-algorithm": "`+blank.Algorithm+`"}`, `{"x-amz-credential": "`+blank.Credential+`"}`, `{"x-amz-date": "`+blank.Date+`"}`), now)
		fields = map[string]string{"x-amz-algorithm": p.Algorithm, "x-amz-credential": p.Credential, "x-amz-date": p.Date,
			"policy": p.Policy, "x-amz-signature": p.Signature}
	}
	if u.change != nil {
		u.change(fields)
	}
	var list [][2]string
	for name, value := range fields {
		if value != "" {
			list = append(list, [2]string{name, value})
		}
	}
	return list
}

// body writes the form.
func (u *uploadForm) body() string {
	var b strings.Builder
	for _, f := range append(u.fields, u.signed()...) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", formBoundary, f[0], f[1])
	}
	if !u.noFile {
		name := ""
		if u.fileName != "" {
			name = "; filename=" + u.fileName
		}
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"%s\r\nContent-Type: image/x-ignored\r\n\r\n%s\r\n", formBoundary, name, u.file)
	}
	if u.tail != "" {
		return b.String() + u.tail
	}
	return b.String() + "--" + formBoundary + "--\r\n"
}

// send posts the form.
func (u *uploadForm) send() *result {
	u.s.t.Helper()
	return u.post(u.body())
}

func (u *uploadForm) post(body string) *result {
	u.s.t.Helper()
	rq := request{method: "POST", path: "/" + u.bucket, body: body, key: "-", host: u.host, header: map[string]string{"Content-Type": "multipart/form-data; boundary=" + formBoundary}}
	if u.host != "" {
		rq.path = "/"
	}
	for k, v := range u.header {
		rq.header[k] = v
	}
	return u.s.do(rq)
}
