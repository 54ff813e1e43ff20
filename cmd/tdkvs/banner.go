package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// banner is what a start prints for the person at the terminal.
type banner struct {
	endpoint    string // http://host:port
	credentials credentials
	region      string
	// sample is a file in the working directory to store as an example; without
	// one, the examples store what echo writes.
	sample string
}

// String returns the text. Its indented lines are commands that work as they
// stand when they are pasted into a shell.
func (b banner) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s is ready at %s\n\n", versionLine(), b.endpoint)
	access, secret := b.writeCredentials(&s)

	// The aws CLI wants some keys unless it is told not to sign.
	aws := "aws --endpoint-url " + b.endpoint + " s3"
	exports := fmt.Sprintf("AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s ", access, secret)
	curl := fmt.Sprintf("curl -u %s:%s", access, secret)
	switch b.credentials.source {
	case fromFile:
	case fromNowhere:
		aws = "aws --no-sign-request --endpoint-url " + b.endpoint + " s3"
		exports, curl = "", "curl"
	default:
		curl = fmt.Sprintf(`curl -u "$%s:$%s"`, envAccessKey, envSecretKey)
	}
	copying := "echo hello | " + aws + " cp - s3://photos/hello.txt"
	setting, key := "echo hello | "+curl+" -T -", "hello"
	if b.sample != "" {
		copying = aws + " cp " + b.sample + " s3://photos/"
		setting, key = curl+" -T "+b.sample, "readme"
	}

	fmt.Fprintf(&s, "With the aws CLI:\n  export %sAWS_DEFAULT_REGION=%s\n", exports, b.region)
	fmt.Fprintf(&s, "  %s mb s3://photos\n  %s\n  %s ls s3://photos/\n\n", aws, copying, aws)
	fmt.Fprintf(&s, "With curl (the native API; its keys lie in the bucket kv):\n")
	fmt.Fprintf(&s, "  %s %s/set/%s\n  %s %s/get/%s\n", setting, b.endpoint, key, curl, b.endpoint, key)
	return s.String()
}

// writeCredentials says which keys hold, and returns the two as the examples
// write them. A secret that somebody chose is not repeated.
func (b banner) writeCredentials(s *strings.Builder) (access, secret string) {
	c := b.credentials
	switch c.source {
	case fromFile:
		fmt.Fprintf(s, "Root credentials, kept in %s:\n  access key  %s\n  secret key  %s\n\n", c.file, c.AccessKey, c.SecretKey)
		return c.AccessKey, c.SecretKey
	case fromEnvironment:
		fmt.Fprintf(s, "Root credentials: those of %s and %s, which the lines below use.\n\n", envAccessKey, envSecretKey)
	case fromConfig:
		fmt.Fprintf(s, "Root credentials: those in %s. For the lines below, set %s and %s to them.\n\n", c.file, envAccessKey, envSecretKey)
	default:
		s.WriteString("No credentials are configured: protected mode. Clients on this machine need none;\nall others are refused.\n\n")
		return "", ""
	}
	return `"$` + envAccessKey + `"`, `"$` + envSecretKey + `"`
}

// endpointOf returns the URL under which this machine reaches a listener.
func endpointOf(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	host := ap.Addr().Unmap()
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return "http://" + netip.AddrPortFrom(host, ap.Port()).String()
}

// isLoopback tells whether only this machine can reach a listener.
func isLoopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
