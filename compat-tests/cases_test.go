package compattests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// caseLine is one line of the standard output of a test program in another language: a case that ended, or the last line,
// which says that all cases ran.
type caseLine struct {
	Name    string
	OK      bool
	Message string
	Seconds float64
	Done    bool
}

// runCases runs a test program and makes a subtest of each of its cases.
func runCases(t *testing.T, program tool) {
	t.Helper()
	program.limit = 5 * time.Minute // of some 20 seconds on a quiet machine
	r := program.try(t)
	done, ran, failed := false, 0, 0
	for lines := bufio.NewScanner(bytes.NewReader(r.stdout)); lines.Scan(); {
		var line caseLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%s printed %q", program, lines.Text())
			continue
		}
		if done = line.Done; done {
			break
		}
		ran++
		if !line.OK {
			failed++
		}
		t.Run(line.Name, func(t *testing.T) {
			t.Logf("%.1f s", line.Seconds)
			if !line.OK {
				t.Error(line.Message)
			}
		})
	}
	if !done || ran == 0 || (r.code != 0) != (failed > 0) {
		t.Errorf("%s: exit code %d after %d cases, %d of them failed, ran to its end: %v\n%s", program, r.code, ran, failed, done, r.stderr)
	}
}

// programEnv tells a test program where the store is, in the open and behind TLS.
func (d *deployment) programEnv(t testing.TB) []string {
	t.Helper()
	endpoint, ca := d.tlsEndpoint(t)
	return []string{
		"TDKVS_ENDPOINT=" + d.url(), "TDKVS_TLS_ENDPOINT=" + endpoint, "TDKVS_TLS_CA=" + ca, "TDKVS_REGION=" + region, "TDKVS_DOMAIN=" + domain,
		"TDKVS_ACCESS_KEY=" + d.accessKey, "TDKVS_SECRET_KEY=" + d.secretKey, "TDKVS_SCRATCH=" + t.TempDir(),
		"NODE_EXTRA_CA_CERTS=" + ca, "PYTHONDONTWRITEBYTECODE=1", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// tlsEndpoint is tlsFront for a program outside: the endpoint, and a file with the certificate to trust.
func (d *deployment) tlsEndpoint(t testing.TB) (endpoint, caFile string) {
	t.Helper()
	front := d.tlsProxy(t)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return front.URL, caFile
}
