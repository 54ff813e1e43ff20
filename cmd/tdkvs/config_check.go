package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Lengths of secrets, in characters. Those of the credentials are the field's
// customary ones, so that keys of other stores can be kept.
const (
	minAccessKey     = 3
	minSecretKey     = 8
	maxKeyLength     = 128
	minClusterSecret = 8
	minMetricsToken  = 8
)

// address returns what to listen on, as net.Listen takes it.
func (a addressConfig) address() string {
	if a.Listen != "" {
		return a.Listen
	}
	return ":" + strconv.Itoa(a.Port)
}

func (a addressConfig) checkAddress(doc *document) {
	switch {
	case doc.has("port") && doc.has("listen"):
		doc.rejectf("listen", "is given beside port: give one of them")
	case doc.has("port"):
		if a.Port < 1 || a.Port > 65535 {
			doc.rejectf("port", "want 1 to 65535, not %d", a.Port)
		}
	case doc.has("listen"):
		if err := checkListen(a.Listen); err != nil {
			doc.rejectf("listen", "%v", err)
		}
	default:
		doc.failf(0, "port is missing: give port, or listen as host:port")
	}
}

// checkListen tells whether an address is of the form host:port. The host may be
// empty, for every interface; port 0 lets the system choose.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("want host:port such as 127.0.0.1:3000, not %q", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("want a port from 0 to 65535 after the colon, not %q", port)
	}
	return nil
}

// checkVolumes checks the list and brings each URL to one form.
func (c *masterConfig) checkVolumes(doc *document) {
	if len(c.Volumes) == 0 {
		if doc.has("volumes") {
			doc.rejectf("volumes", "is empty: name at least one volume, as http://host:port")
		} else {
			doc.failf(0, "volumes is missing: list the volumes, each as http://host:port")
		}
		return
	}
	seen := map[string]int{}
	for i, v := range c.Volumes {
		path := fmt.Sprintf("volumes[%d]", i)
		v.check(doc, path)
		if v.URL == "" {
			doc.rejectf(path, "url is missing: say where the volume is, as http://host:port")
			continue
		}
		normal, err := normalizeVolumeURL(v.URL)
		if err != nil {
			doc.rejectf(path, "%v", err)
			continue
		}
		if first, twice := seen[normal]; twice {
			doc.rejectf(path, "%s is given twice, first in line %d", normal, first)
			continue
		}
		seen[normal] = doc.lines[path]
		c.Volumes[i].URL = normal
	}
}

// urls are the addresses of the volumes.
func (c *masterConfig) urls() []string {
	urls := make([]string, len(c.Volumes))
	for i, v := range c.Volumes {
		urls[i] = v.URL
	}
	return urls
}

// normalizeVolumeURL returns scheme://host:port in lower case, with the port
// always written out.
func normalizeVolumeURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "" || u.Opaque != "":
		return "", fmt.Errorf("want http://host:port, not %q", raw)
	case u.Scheme != "http":
		return "", fmt.Errorf("want http://host:port, not the scheme %q", u.Scheme)
	case u.User != nil:
		return "", fmt.Errorf("want http://host:port without a user: volumes are opened by cluster_secret")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("want http://host:port and nothing behind it, not %q", raw)
	case u.Hostname() == "":
		return "", fmt.Errorf("want a host before the port in %q", raw)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("want a port from 1 to 65535, not %q", port)
	}
	return "http://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port), nil
}

func (c clusterConfig) check(doc *document) {
	if doc.has("cluster_secret") && len(c.ClusterSecret) < minClusterSecret {
		doc.rejectf("cluster_secret", "want at least %d characters, not %d", minClusterSecret, len(c.ClusterSecret))
	}
}

func (m metricsConfig) check(doc *document) {
	if doc.has("metrics_token") && len(m.MetricsToken) < minMetricsToken {
		doc.rejectf("metrics_token", "want at least %d characters, not %d", minMetricsToken, len(m.MetricsToken))
	}
}

func (f frontConfig) check(doc *document) {
	if doc.has("credentials") {
		if err := f.Credentials.check(); err != nil {
			doc.rejectf("credentials", "%v", err)
		}
	}
	if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(f.Region) {
		doc.rejectf("region", "want lower-case letters, digits and single hyphens, such as us-east-1, not %q", f.Region)
	}
	seen := map[string]bool{}
	for i, domain := range f.Domains {
		path := fmt.Sprintf("domains[%d]", i)
		switch {
		case !isDomain(domain):
			doc.rejectf(path, "want a domain name in lower case without a port, such as s3.example.com, not %q", domain)
		case seen[domain]:
			doc.rejectf(path, "%s is given twice", domain)
		}
		seen[domain] = true
	}
}

// isDomain tells whether name is a host name by RFC 1123, in lower case, and no
// address.
func isDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	for part := range strings.SplitSeq(name, ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return true
}

// check tells what is wrong with a pair of keys.
func (c credentialsConfig) check() error {
	switch {
	case c.AccessKey == "":
		return fmt.Errorf("access_key is missing beside secret_key")
	case c.SecretKey == "":
		return fmt.Errorf("secret_key is missing beside access_key")
	case len(c.AccessKey) < minAccessKey || len(c.AccessKey) > maxKeyLength:
		return fmt.Errorf("want an access key of %d to %d characters, not %d", minAccessKey, maxKeyLength, len(c.AccessKey))
	case len(c.SecretKey) < minSecretKey || len(c.SecretKey) > maxKeyLength:
		return fmt.Errorf("want a secret key of %d to %d characters, not %d", minSecretKey, maxKeyLength, len(c.SecretKey))
	}
	// These end the key in a signature's scope, in a URL or in basic
	// authentication.
	if i := strings.IndexFunc(c.AccessKey, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(":/,=", r) }); i >= 0 {
		return fmt.Errorf("want an access key of printable ASCII characters other than space, colon, slash, comma and equals sign")
	}
	if i := strings.IndexFunc(c.SecretKey, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("want a secret key without control characters")
	}
	return nil
}

func (c logConfig) check(doc *document) {
	switch c.Log.Format {
	case "text", "json":
	default:
		doc.rejectf("log.format", "want text or json, not %q", c.Log.Format)
	}
	if _, ok := logLevels()[c.Log.Level]; !ok {
		doc.rejectf("log.level", "want debug, info, warn or error, not %q", c.Log.Level)
	}
}
