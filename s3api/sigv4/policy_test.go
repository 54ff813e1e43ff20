package sigv4

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tdkvs/s3api/s3err"
)

// The example of AWS "Example: Browser-Based Upload using HTTP POST (Using AWS
// Signature Version 4)", whose policy has CRLF line ends.
const (
	formPolicy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
	formSigned = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
	formKey    = "AKIAIOSFODNN7EXAMPLE"
	formSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	formScope  = formKey + "/20151229/us-east-1/s3/aws4_request"
)

func formVerifier(at time.Time) *Verifier {
	return &Verifier{Region: "us-east-1", Now: func() time.Time { return at }, Secrets: func(_ context.Context, key string) (Secret, error) {
		switch key {
		case formKey:
			return Secret{Key: formSecret}, nil
		case "AKIDTEMPORARY":
			return Secret{Key: formSecret, Token: "tok"}, nil
		case "AKIDBROKEN":
			return Secret{}, errors.New("disk on fire")
		}
		return Secret{}, ErrUnknownAccessKey
	}}
}

func TestVerifyPolicy(t *testing.T) {
	t.Parallel()
	signed := time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC)
	p := SignedPolicy{Policy: formPolicy, Algorithm: "AWS4-HMAC-SHA256", Credential: formScope, Date: "20151229T000000Z", Signature: formSigned}
	for _, at := range []time.Duration{0, time.Hour, -24 * time.Hour, 7 * 24 * time.Hour} {
		res, err := formVerifier(signed.Add(at)).VerifyPolicy(t.Context(), p)
		if err != nil || res.Kind != Form || res.AccessKey != formKey || res.Region != "us-east-1" || !res.Time.Equal(signed) || res.Size != -1 {
			t.Errorf("%v later: %+v, %v", at, res, err)
		}
	}
	// What Signer makes is right, too.
	s := Signer{Credentials: Credentials{AccessKey: formKey, SecretKey: formSecret}, Region: "us-east-1"}
	if got := s.SignPolicy(formPolicy, signed); got != p {
		t.Errorf("signed as %+v", got)
	}
	s.Credentials = Credentials{AccessKey: "AKIDTEMPORARY", SecretKey: formSecret, Token: "tok"}
	if _, err := formVerifier(signed).VerifyPolicy(t.Context(), s.SignPolicy(formPolicy, signed)); err != nil {
		t.Errorf("temporary credentials: %v", err)
	}
}

func TestVerifyPolicyErrors(t *testing.T) {
	t.Parallel()
	const form = `InvalidArgument: the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	credential := func(value string) func(*SignedPolicy) { return func(p *SignedPolicy) { p.Credential = value } }
	argument := func(name, value string) []s3err.Field {
		return []s3err.Field{{Name: "ArgumentName", Value: name}, {Name: "ArgumentValue", Value: value}}
	}
	for _, tt := range []struct {
		name   string
		change func(*SignedPolicy)
		status int
		want   string
		fields []s3err.Field
	}{
		{"algorithm", func(p *SignedPolicy) { p.Algorithm = "AWS4" }, 400, "InvalidArgument: Only AWS4-HMAC-SHA256 is supported", argument("X-Amz-Algorithm", "AWS4")},
		{"no date", func(p *SignedPolicy) { p.Date = "" }, 400, "InvalidArgument: X-Amz-Date must be formated via ISO8601 Long format", argument("X-Amz-Date", "")},
		{"date", func(p *SignedPolicy) { p.Date = "2015-12-29T00:00:00Z" }, 400, "InvalidArgument: X-Amz-Date must be formated via ISO8601 Long format", argument("X-Amz-Date", "2015-12-29T00:00:00Z")},
		{"no credential", credential(""), 400, form, argument("X-Amz-Credential", "")},
		{"credential", credential("a/b/c"), 400, form, argument("X-Amz-Credential", "a/b/c")},
		{"empty key", credential("/20151229/us-east-1/s3/aws4_request"), 400, "InvalidArgument: a non-empty Access Key (AKID) must be provided in the credential.", nil},
		{"terminal", credential(formKey + "/20151229/us-east-1/s3/aws5"), 400, `InvalidArgument: incorrect terminal "aws5". This endpoint uses "aws4_request".`, nil},
		{"credential date", credential(formKey + "/2015-12-29/us-east-1/s3/aws4_request"), 400,
			`InvalidArgument: incorrect date format "2015-12-29". This date in the credential must be in the format "yyyyMMdd".`, nil},
		{"other date", credential(formKey + "/20151228/us-east-1/s3/aws4_request"), 400,
			`InvalidArgument: Invalid credential date "20151228". This date is not the same as X-Amz-Date: "20151229".`, nil},
		{"service", credential(formKey + "/20151229/us-east-1/sts/aws4_request"), 400, `InvalidArgument: incorrect service "sts". This endpoint belongs to "s3".`, nil},
		{"region", credential(formKey + "/20151229/eu-west-1/s3/aws4_request"), 400, "InvalidArgument: the region 'eu-west-1' is wrong; expecting 'us-east-1'",
			append(argument("X-Amz-Credential", formKey+"/20151229/eu-west-1/s3/aws4_request"), s3err.Field{Name: "Region", Value: "us-east-1"})},
		{"key", credential("AKIDNONE/20151229/us-east-1/s3/aws4_request"), 403, unknownKey, []s3err.Field{{Name: "AWSAccessKeyId", Value: "AKIDNONE"}}},
		{"broken", credential("AKIDBROKEN/20151229/us-east-1/s3/aws4_request"), 500, "InternalError: We encountered an internal error. Please try again.", nil},
		{"token", func(p *SignedPolicy) { p.Token = "tok" }, 400, badToken, nil},
		{"no token", credential("AKIDTEMPORARY/20151229/us-east-1/s3/aws4_request"), 403, unknownKey, nil},
		{"signature", func(p *SignedPolicy) { p.Signature = strings.Repeat("0", 64) }, 403, noMatch, []s3err.Field{
			{Name: "AWSAccessKeyId", Value: formKey}, {Name: "StringToSign", Value: formPolicy}, {Name: "SignatureProvided", Value: strings.Repeat("0", 64)},
			{Name: "StringToSignBytes", Value: hexBytes([]byte(formPolicy))}, {Name: "CanonicalRequest", Value: ""}}},
		{"no signature", func(p *SignedPolicy) { p.Signature = "" }, 403, noMatch, nil},
		{"case", func(p *SignedPolicy) { p.Signature = strings.ToUpper(formSigned) }, 403, noMatch, nil},
		{"policy", func(p *SignedPolicy) { p.Policy = p.Policy[:len(p.Policy)-2] }, 403, noMatch, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := SignedPolicy{Policy: formPolicy, Algorithm: "AWS4-HMAC-SHA256", Credential: formScope, Date: "20151229T000000Z", Signature: formSigned}
			tt.change(&p)
			_, err := formVerifier(time.Date(2015, 12, 29, 1, 0, 0, 0, time.UTC)).VerifyPolicy(t.Context(), p)
			wrong{tt.name, nil, tt.status, tt.want, tt.fields}.check(t, err)
		})
	}
	p := SignedPolicy{Policy: formPolicy, Algorithm: "AWS4-HMAC-SHA256", Credential: formScope, Date: "20151229T000000Z", Signature: formSigned}
	_, err := formVerifier(time.Date(2016, 1, 5, 0, 0, 1, 0, time.UTC)).VerifyPolicy(t.Context(), p)
	wrong{"old", nil, 403, "AccessDenied: Invalid according to Policy: Policy expired.", nil}.check(t, err)
}
