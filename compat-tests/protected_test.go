package compattests

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// outsideAddress returns an address of this machine that is not loopback, or "" when it has none.
func outsideAddress(t testing.TB) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return ""
}

// TestProtectedMode runs a master and its volume with the smallest configuration files, without any secret: clients on
// this machine's loopback are served, all others are told how to change that.
func TestProtectedMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, masterPort, _ := net.SplitHostPort(freeAddress(t))
	_, volumePort, _ := net.SplitHostPort(freeAddress(t))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	volume := &process{name: "volume", logFile: filepath.Join(dir, "volume.log"),
		args: []string{"volume", "-config=" + write("volume.yaml", fmt.Sprintf("port: %s\npath: %s/\n", volumePort, filepath.Join(dir, "disk")))}}
	master := &process{name: "master", logFile: filepath.Join(dir, "master.log"),
		args: []string{"master", "-config=" + write("master.yaml", fmt.Sprintf("port: %s\nvolumes:\n  - http://127.0.0.1:%s\n", masterPort, volumePort))}}
	d := &deployment{kind: clusterKind, dir: dir, addr: "127.0.0.1:" + masterPort, front: master, volumes: []*process{volume}}
	t.Cleanup(func() { d.stop(t) })
	d.start(t)

	web := d.httpClient(t, 4)
	if a := call(t, web, "PUT", d.url()+"/set/hello", []byte("world")); a.status/100 != 2 {
		t.Errorf("PUT from loopback: %v", a)
	}
	if a := call(t, web, "GET", d.url()+"/kv/hello", nil); a.status != 200 || string(a.body) != "world" {
		t.Errorf("unsigned S3 GET from loopback: %v", a)
	}
	host := outsideAddress(t)
	if host == "" {
		t.Log("this machine has no address but loopback: the refusal of others is left to the unit tests")
		return
	}
	outside := "http://" + net.JoinHostPort(host, masterPort)
	for _, path := range []string{"/get/hello", "/kv/hello", "/"} {
		a := call(t, web, "GET", outside+path, nil)
		if a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte("credentials")) {
			t.Errorf("GET %s from %s: %v, want 403 and how to set credentials", path, host, a)
		}
		// A header that proxies set must not open the door.
		if a := call(t, web, "GET", outside+path, nil, "X-Forwarded-For", "127.0.0.1", "X-Real-IP", "127.0.0.1"); a.status != http.StatusForbidden {
			t.Errorf("GET %s with a forged address: %v", path, a)
		}
	}
	if a := call(t, web, "GET", "http://"+net.JoinHostPort(host, volumePort)+"/", nil); a.status != http.StatusForbidden && a.status != http.StatusUnauthorized {
		t.Errorf("the volume from %s: %v", host, a)
	}
}

// TestVolumeWantsTheSecret asks a volume that has a secret without it.
func TestVolumeWantsTheSecret(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	web := d.httpClient(t, 4)
	for _, url := range volumeURLs(t, d) {
		for _, auth := range []string{"", "Bearer wrong", "Basic " + strings.Repeat("A", 40)} {
			if a := call(t, web, "GET", url+"/", nil, "Authorization", auth); a.status != http.StatusForbidden && a.status != http.StatusUnauthorized {
				t.Errorf("%s with Authorization %q: %v", url, auth, a)
			}
		}
	}
}

// TestFirstStart runs the server as somebody would who has read nothing: the credentials that it prints work, are kept
// for this user alone and stay the same, and so do the printed commands.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), freeAddress(t)
	p := &process{name: serverKind, logFile: filepath.Join(dir, "log"), args: []string{"server", "-listen", addr}}
	d := &deployment{kind: serverKind, dir: dir, addr: addr, front: p}
	t.Cleanup(func() { d.stop(t) })
	d.start(t)
	found := regexp.MustCompile(`access key +(\S+)\s+secret key +(\S+)`)
	keys := found.FindStringSubmatch(p.log(t))
	for end := time.Now().Add(10 * time.Second); keys == nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		keys = found.FindStringSubmatch(p.log(t)) // printed when it is ready, which the probe may have seen first
	}
	if keys == nil {
		t.Fatalf("no credentials printed:\n%s", p.log(t))
	}
	d.accessKey, d.secretKey = keys[1], keys[2]
	info, err := os.Stat(filepath.Join(dir, "data", "credentials"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the credentials: %v, %v", info, err)
	}
	if a := call(t, d.httpClient(t, 1), "GET", d.url()+"/get/x", nil); a.status != http.StatusUnauthorized {
		t.Errorf("without credentials: %v", a)
	}
	d.runPrintedLines(t)
	d.stop(t)
	d.start(t)
	if got := found.FindStringSubmatch(p.log(t)); got[1] != keys[1] || strings.Count(p.log(t), keys[1]) < 2 {
		t.Errorf("the second start has other credentials:\n%s", p.log(t))
	}
	a := call(t, d.httpClient(t, 1), "GET", d.url()+"/get/hello", nil, "Authorization", basicAuth(d.accessKey, d.secretKey))
	if a.status != 200 || string(a.body) != "hello\n" {
		t.Errorf("after a restart: %v", a)
	}
}

// runPrintedLines pastes the commands that the server printed into a shell.
func (d *deployment) runPrintedLines(t *testing.T) {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -eux\n")
	lines := 0
	for _, line := range strings.Split(d.front.log(t), "\n") {
		if command, ok := strings.CutPrefix(line, "  "); ok && regexp.MustCompile(`^(export|aws|curl|echo) `).MatchString(command) {
			script.WriteString(command + "\n")
			lines++
		}
	}
	if lines < 5 {
		t.Fatalf("only %d commands printed:\n%s", lines, d.front.log(t))
	}
	dir := t.TempDir()
	env := []string{"AWS_CONFIG_FILE=" + dir + "/config", "AWS_SHARED_CREDENTIALS_FILE=" + dir + "/credentials", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER="}
	r := tool{name: "sh", env: env, dir: dir, stdin: strings.NewReader(script.String())}.try(t)
	if r.code != 0 || !bytes.Contains(r.stdout, []byte("hello.txt")) || !bytes.HasSuffix(r.stdout, []byte("hello\n")) {
		t.Errorf("the printed commands: exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
}
