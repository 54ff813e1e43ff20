package compattests

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	serverKind  = "server"  // one process, two directories or more
	clusterKind = "cluster" // one master and three volume processes

	region = "eu-test-1"
	domain = "s3.tdkvs.test" // for virtual-host style; never looked up
)

// deployment is a store that runs, in one of the two ways.
type deployment struct {
	kind      string
	dir       string // holds all of it
	addr      string // host:port of the front
	front     *process
	volumes   []*process // of a cluster
	added     []*process // volumes that a test has started beside them
	dataDirs  []string   // the volumes' directories
	accessKey string
	secretKey string
	served    bool     // it has become ready at least once
	left      []string // kinds of findings that the test leaves on purpose
	unchecked string   // why what it leaves is not to be checked
}

// settings are what a test may want otherwise than usual.
type settings struct {
	garbageGrace  time.Duration            // 0: the default
	clusterSecret string                   // of a cluster; "": one of its own
	dir           string                   // that outlives the test; "": one of its own
	data          string                   // where the data lies; "": in dir
	volumes       int                      // 0: three of a cluster, two of a server
	through       func(addr string) string // where the master is to find the volume at an address; nil: there
	lines         string                   // further ones of the master's or the server's configuration
	volumeLines   string                   // further ones of the configuration of each volume of a cluster
}

// eachDeployment runs a test against a fresh store of either kind, which must be whole afterwards.
func eachDeployment(t *testing.T, test func(t *testing.T, d *deployment)) {
	t.Helper()
	t.Parallel()
	for _, kind := range []string{serverKind, clusterKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := startDeployment(t, kind, settings{})
			test(t, d)
			d.stillWhole(t)
		})
	}
}

// startDeployment starts a store and waits until it is ready. The test's cleanup stops it and checks its logs.
func startDeployment(t testing.TB, kind string, s settings) *deployment {
	t.Helper()
	d := newDeployment(t, kind, s)
	d.start(t)
	return d
}

// newDeployment lays a store out without starting it.
func newDeployment(t testing.TB, kind string, s settings) *deployment {
	t.Helper()
	d := &deployment{kind: kind, dir: s.dir, accessKey: "AK" + randomHex(6), secretKey: randomHex(20)}
	if d.dir == "" {
		d.dir = t.TempDir()
	}
	if s.data == "" {
		s.data = d.dir
	}
	d.addr = freeAddress(t)
	if kind == serverKind {
		d.layOutServer(t, s)
	} else {
		d.layOutCluster(t, s)
	}
	t.Cleanup(func() {
		d.stop(t)
		for _, p := range d.processes() {
			if p.running != nil {
				p.checkLog(t)
			}
			if t.Failed() && p.running != nil {
				t.Log(p.logTail())
			}
		}
		d.wantWholeStopped(t)
	})
	return d
}

func (s settings) yaml() string {
	if s.garbageGrace == 0 {
		return s.lines
	}
	return fmt.Sprintf("garbage_grace: %v\n%s", s.garbageGrace, s.lines)
}

func (d *deployment) layOutServer(t testing.TB, s settings) {
	t.Helper()
	config := d.writeFile(t, "server.yaml", fmt.Sprintf("region: %s\ndomains: [%s]\n%s", region, domain, s.yaml()))
	for i := range max(s.volumes, 2) {
		d.dataDirs = append(d.dataDirs, filepath.Join(s.data, fmt.Sprint("disk", i+1)))
	}
	d.front = &process{
		name:    serverKind,
		args:    append([]string{"server", "-config=" + config, "-listen", d.addr}, d.dataDirs...),
		env:     []string{"TDKVS_ACCESS_KEY=" + d.accessKey, "TDKVS_SECRET_KEY=" + d.secretKey},
		logFile: filepath.Join(d.dir, "server.log"),
	}
}

func (d *deployment) layOutCluster(t testing.TB, s settings) {
	t.Helper()
	secret := s.clusterSecret
	if secret == "" {
		secret = randomHex(16)
	}
	var urls strings.Builder
	volumes := s.volumes
	if volumes == 0 {
		volumes = 3
	}
	for i := 1; i <= volumes; i++ {
		name, addr := fmt.Sprintf("volume%d", i), freeAddress(t)
		dir := filepath.Join(s.data, name)
		shown := addr
		if s.through != nil {
			shown = s.through(addr)
		}
		fmt.Fprintf(&urls, "  - http://%s\n", shown)
		config := d.writeFile(t, name+".yaml", fmt.Sprintf("listen: %s\npath: %s\ncluster_secret: %s\n%s", addr, dir, secret, s.volumeLines))
		d.dataDirs = append(d.dataDirs, dir)
		d.volumes = append(d.volumes, &process{
			name: name, args: []string{"volume", "-config=" + config}, logFile: filepath.Join(d.dir, name+".log"),
		})
	}
	config := d.writeFile(t, "master.yaml", fmt.Sprintf(`listen: %s
volumes:
%sdata: %s
cluster_secret: %s
credentials:
  access_key: %s
  secret_key: %s
region: %s
domains:
  - %s
%s`, d.addr, urls.String(), filepath.Join(s.data, "master"), secret, d.accessKey, d.secretKey, region, domain, s.yaml()))
	d.front = &process{name: "master", args: []string{"master", "--config=" + config}, logFile: filepath.Join(d.dir, "master.log")}
}

func (d *deployment) writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// processes returns all processes, volumes first.
func (d *deployment) processes() []*process {
	return append(append([]*process{}, d.volumes...), d.front)
}

// start starts what does not run and waits until the store is ready. It returns the time that took.
func (d *deployment) start(t testing.TB) time.Duration {
	t.Helper()
	binary(t) // not part of the time
	began := time.Now()
	for _, p := range d.processes() {
		if !p.alive() {
			p.start(t)
		}
	}
	d.waitReady(t)
	return time.Since(began)
}

// stop ends all processes in the orderly way, the front first.
func (d *deployment) stop(t testing.TB) {
	t.Helper()
	d.front.stop(t)
	for _, p := range d.volumes {
		p.stop(t)
	}
}

// waitReady waits until the front says that it can serve, and everything it holds.
func (d *deployment) waitReady(t testing.TB) {
	t.Helper()
	if err := d.ready(t); err != nil {
		t.Fatal(err)
	}
}

// ready is waitReady with an error for a store that does not come to serve.
func (d *deployment) ready(t testing.TB) error {
	t.Helper()
	answer := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, p := range d.processes() {
			if !p.alive() {
				return fmt.Errorf("%s ended instead of becoming ready\n%s", p.name, p.logTail())
			}
		}
		ready, text := d.servesAll(t)
		if ready {
			d.served = true
			return nil
		}
		answer = text
	}
	return fmt.Errorf("not ready after a minute: %s\n%s", answer, d.front.logTail())
}

// servesAll reports whether the front serves everything that the store holds, and what it says of that.
func (d *deployment) servesAll(t testing.TB) (bool, string) {
	t.Helper()
	if !d.volumesUp(t) {
		return false, "a volume is not up"
	}
	ready, text := d.probe("/-/readyz") // which may still leave out one that was killed
	return ready && !strings.Contains(text, "unreachable"), text
}

// volumesUp asks the volume processes themselves: what the front says of them may be from before one was killed.
func (d *deployment) volumesUp(t testing.TB) bool {
	t.Helper()
	for _, p := range d.volumes {
		_, file, _ := strings.Cut(p.args[1], "=")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(text), "listen: ")
		addr, _, _ := strings.Cut(rest, "\n")
		if !found { // the smallest configuration
			_, rest, _ = strings.Cut(string(text), "port: ")
			port, _, _ := strings.Cut(rest, "\n")
			addr = net.JoinHostPort("127.0.0.1", port)
		}
		if up, _ := (&deployment{addr: addr}).probe("/-/healthz"); !up {
			return false
		}
	}
	return true
}

// probe asks one of the front's health addresses and reports whether it answered 200, and what it said.
func (d *deployment) probe(path string) (bool, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url()+path, nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = resp.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return false, err.Error()
	}
	return resp.StatusCode == http.StatusOK, fmt.Sprintf("%s: %s", resp.Status, body)
}

// url is the endpoint, without a slash at its end.
func (d *deployment) url() string { return "http://" + d.addr }

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its contract
	return hex.EncodeToString(b)
}

// usedPorts keeps two tests of this run from taking the same port.
var usedPorts sync.Map

// freeAddress returns a loopback address that nobody listens on. Its port lies below those that the kernel gives to
// outgoing connections, so it is still free when a process is started again.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		var b [2]byte
		_, _ = rand.Read(b[:]) // never fails, by its contract
		port := 12000 + (int(b[0])<<8|int(b[1]))%20000
		if _, taken := usedPorts.LoadOrStore(port, true); taken {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no free port found")
	return ""
}
