package main

import (
	"net"
	"strings"
	"testing"
)

func TestBanner(t *testing.T) {
	t.Parallel()
	keys := credentialsConfig{AccessKey: "AKEY", SecretKey: "the-secret"}
	tests := []struct {
		name string
		b    banner
		want string // all behind the first line
	}{
		{
			"made by the store",
			banner{endpoint: "http://127.0.0.1:3000", region: "us-east-1", sample: "README.md",
				credentials: credentials{credentialsConfig: keys, source: fromFile, file: "data/credentials"}},
			`
Root credentials, kept in data/credentials:
  access key  AKEY
  secret key  the-secret

With the aws CLI:
  export AWS_ACCESS_KEY_ID=AKEY AWS_SECRET_ACCESS_KEY=the-secret AWS_DEFAULT_REGION=us-east-1
  aws --endpoint-url http://127.0.0.1:3000 s3 mb s3://photos
  aws --endpoint-url http://127.0.0.1:3000 s3 cp README.md s3://photos/
  aws --endpoint-url http://127.0.0.1:3000 s3 ls s3://photos/

With curl (the native API; its keys lie in the bucket kv):
  curl -u AKEY:the-secret -T README.md http://127.0.0.1:3000/set/readme
  curl -u AKEY:the-secret http://127.0.0.1:3000/get/readme
`,
		},
		{
			"from the environment, no sample",
			banner{endpoint: "http://10.0.0.1:80", region: "eu-1",
				credentials: credentials{credentialsConfig: keys, source: fromEnvironment}},
			`
Root credentials: those of TDKVS_ACCESS_KEY and TDKVS_SECRET_KEY, which the lines below use.

With the aws CLI:
  export AWS_ACCESS_KEY_ID="$TDKVS_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$TDKVS_SECRET_KEY" AWS_DEFAULT_REGION=eu-1
  aws --endpoint-url http://10.0.0.1:80 s3 mb s3://photos
  echo hello | aws --endpoint-url http://10.0.0.1:80 s3 cp - s3://photos/hello.txt
  aws --endpoint-url http://10.0.0.1:80 s3 ls s3://photos/

With curl (the native API; its keys lie in the bucket kv):
  echo hello | curl -u "$TDKVS_ACCESS_KEY:$TDKVS_SECRET_KEY" -T - http://10.0.0.1:80/set/hello
  curl -u "$TDKVS_ACCESS_KEY:$TDKVS_SECRET_KEY" http://10.0.0.1:80/get/hello
`,
		},
		{
			"protected mode",
			banner{endpoint: "http://127.0.0.1:3000", region: "us-east-1"},
			`
No credentials are configured: protected mode. Clients on this machine need none;
all others are refused.

With the aws CLI:
  export AWS_DEFAULT_REGION=us-east-1
  aws --no-sign-request --endpoint-url http://127.0.0.1:3000 s3 mb s3://photos
  echo hello | aws --no-sign-request --endpoint-url http://127.0.0.1:3000 s3 cp - s3://photos/hello.txt
  aws --no-sign-request --endpoint-url http://127.0.0.1:3000 s3 ls s3://photos/

With curl (the native API; its keys lie in the bucket kv):
  echo hello | curl -T - http://127.0.0.1:3000/set/hello
  curl http://127.0.0.1:3000/get/hello
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first, rest, _ := strings.Cut(tt.b.String(), "\n")
			if want := versionLine() + " is ready at " + tt.b.endpoint; first != want {
				t.Errorf("first line %q, want %q", first, want)
			}
			if rest != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", rest, tt.want)
			}
		})
	}
}

// TestBannerKeepsSecrets: a secret that somebody chose does not end up in a
// terminal or a log.
func TestBannerKeepsSecrets(t *testing.T) {
	t.Parallel()
	for _, source := range []credentialsSource{fromEnvironment, fromConfig} {
		b := banner{credentials: credentials{
			credentialsConfig: credentialsConfig{AccessKey: "AKEY", SecretKey: "the-secret"}, source: source, file: "m.yaml"}}
		if text := b.String(); strings.Contains(text, "the-secret") {
			t.Errorf("source %d: %s", source, text)
		}
	}
}

func TestEndpointOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ip       string
		want     string
		loopback bool
	}{
		{"127.0.0.1", "http://127.0.0.1:3000", true},
		{"127.8.9.1", "http://127.8.9.1:3000", true},
		{"::1", "http://[::1]:3000", true},
		{"0.0.0.0", "http://127.0.0.1:3000", false},
		{"::", "http://127.0.0.1:3000", false},
		{"10.0.0.1", "http://10.0.0.1:3000", false},
	} {
		addr := &net.TCPAddr{IP: net.ParseIP(tt.ip), Port: 3000}
		if got := endpointOf(addr); got != tt.want || isLoopback(addr) != tt.loopback {
			t.Errorf("%s: %s, loopback %t; want %s, %t", tt.ip, got, isLoopback(addr), tt.want, tt.loopback)
		}
	}
}
