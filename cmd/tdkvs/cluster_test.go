package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// role is a role of the program that runs in this process.
type role struct {
	stdout, stderr syncBuffer
	cancel         context.CancelFunc
	done           chan struct{}
	code           int
}

func startRole(t *testing.T, args ...string) *role {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &role{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		// The limits of the runtime belong to the test process.
		r.code = run(ctx, args, envOf("GOMEMLIMIT", "", "GOGC", ""), &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop ends the role and returns its exit code.
func (r *role) stop() int {
	r.cancel()
	<-r.done
	return r.code
}

// address waits until the role serves, and returns where.
func (r *role) address(t *testing.T) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if m := regexp.MustCompile(`msg=serving address=(\S+)`).FindStringSubmatch(r.stderr.String()); m != nil {
			return m[1]
		}
		select {
		case <-r.done:
			t.Fatalf("ended with code %d\n%s", r.code, r.stderr.String())
		default:
		}
	}
	t.Fatalf("does not serve\n%s", r.stderr.String())
	return ""
}

const clusterSecret = "a secret of the cluster"

// startVolumes starts volume processes, so to speak, and returns their URLs.
func startVolumes(t *testing.T, n int) []string {
	t.Helper()
	urls, _ := startVolumesIn(t, n)
	return urls
}

// startVolumesIn also returns the volumes' directories.
func startVolumesIn(t *testing.T, n int) (urls, dirs []string) {
	t.Helper()
	for range n {
		dir := filepath.Join(t.TempDir(), "volume")
		file := writeFile(t, "volume.yaml", fmt.Sprintf("listen: 127.0.0.1:0\npath: %s\ncluster_secret: %s\n", dir, clusterSecret))
		urls, dirs = append(urls, "http://"+startRole(t, "volume", "-config", file).address(t)), append(dirs, dir)
	}
	return urls, dirs
}

// masterFile writes a master's configuration.
func masterFile(t *testing.T, data, secret string, urls []string) string {
	t.Helper()
	return writeFile(t, "master.yaml", fmt.Sprintf("listen: 127.0.0.1:0\ndata: %s\ncluster_secret: %s\nvolumes: [%s]\nvolume_wait: 1ms\n"+
		"credentials: {access_key: abc, secret_key: 12345678}\n", data, secret, strings.Join(urls, ", ")))
}

func TestCluster(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 3)
	data := filepath.Join(t.TempDir(), "master")
	keys := credentialsConfig{"abc", "12345678"}

	m := startRole(t, "master", "-config="+masterFile(t, data, clusterSecret, urls))
	endpoint := "http://" + m.address(t)
	for i := range 20 {
		url := fmt.Sprintf("%s/set/key%d", endpoint, i)
		if code, body := native(t, http.MethodPut, url, keys, strings.NewReader(url)); code/100 != 2 {
			t.Fatalf("set: %d %s", code, body)
		}
	}
	if code := m.stop(); code != exitDone {
		t.Fatalf("master ended with code %d\n%s", code, m.stderr.String())
	}

	// The volumes come in another order, and everything is where it was.
	m = startRole(t, "master", "-config="+masterFile(t, data, clusterSecret, []string{urls[2], urls[0], urls[1]}))
	for i := range 20 {
		want := fmt.Sprintf("%s/set/key%d", endpoint, i)
		code, body := native(t, http.MethodGet, fmt.Sprintf("http://%s/get/key%d", m.address(t), i), keys, nil)
		if code != http.StatusOK || body != want {
			t.Errorf("get: %d %q, want %q", code, body, want)
		}
	}
	if code, body := native(t, http.MethodGet, "http://"+m.address(t)+"/-/readyz", credentialsConfig{}, nil); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code := m.stop(); code != exitDone {
		t.Fatalf("master ended with code %d\n%s", code, m.stderr.String())
	}
	if strings.Contains(m.stdout.String()+m.stderr.String(), "12345678") || strings.Contains(m.stderr.String(), clusterSecret) {
		t.Errorf("a secret was printed or logged:\n%s\n%s", m.stdout.String(), m.stderr.String())
	}
}

// TestClusterRefuses: a start that lacks a volume, or names one that can not join,
// fails, says what differs, and changes nothing.
func TestClusterRefuses(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 3)
	data := filepath.Join(t.TempDir(), "master")
	m := startRole(t, "master", "-config="+masterFile(t, data, clusterSecret, urls[:2]))
	m.address(t)
	if code := m.stop(); code != exitDone {
		t.Fatalf("master ended with code %d\n%s", code, m.stderr.String())
	}
	tests := []struct {
		name         string
		data, secret string
		urls         []string
		want         []string
	}{
		{"one missing", data, clusterSecret, urls[:1], []string{"- missing: ", "last seen at " + urls[1]}},
		{"a new one in exchange", data, clusterSecret, urls[1:], []string{"- missing: ", "last seen at " + urls[0], "a volume leaves only after it was deleted"}},
		{"another master's", filepath.Join(t.TempDir(), "other"), clusterSecret, urls[:1], []string{"- foreign: " + urls[0]}},
		{"another secret", data, "not the secret of the cluster", urls[:2], []string{urls[0], "cluster_secret"}},
		{"nobody there", filepath.Join(t.TempDir(), "other"), clusterSecret, []string{"http://127.0.0.1:1"}, []string{"- unreachable: http://127.0.0.1:1"}},
	}
	for _, tt := range tests {
		m := startRole(t, "master", "-config="+masterFile(t, tt.data, tt.secret, tt.urls))
		select {
		case <-m.done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: still running\n%s", tt.name, m.stderr.String())
		}
		if m.code != exitFailed || m.stdout.String() != "" {
			t.Errorf("%s: exit %d, stdout %q", tt.name, m.code, m.stdout.String())
		}
		for _, want := range tt.want {
			if !strings.Contains(m.stderr.String(), want) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, m.stderr.String())
			}
		}
	}
	// The right volumes are not refused afterwards, and a new one joins them.
	for _, urls := range [][]string{urls[:2], urls, {urls[2], urls[0], urls[1]}} {
		m = startRole(t, "master", "-config="+masterFile(t, data, clusterSecret, urls))
		m.address(t)
		if code := m.stop(); code != exitDone {
			t.Errorf("%d volumes: code %d\n%s", len(urls), code, m.stderr.String())
		}
	}
}

// absentVolume is a volume that can be reached from the n-th question on.
type absentVolume struct {
	*volume.Store
	asked atomic.Int32
	from  int32
	err   error
}

func (a *absentVolume) Status(ctx context.Context) (volume.Status, error) {
	if a.asked.Add(1) < a.from {
		return volume.Status{}, a.err
	}
	return a.Store.Status(ctx)
}

func TestOpenEngineWaits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		from int32
		err  error
		wait time.Duration
		ok   bool
	}{
		{"there", 0, nil, 0, true},
		{"late", 3, volume.ErrUnavailable, time.Minute, true},
		{"too late", 3, volume.ErrUnavailable, time.Millisecond, false},
		{"denied", 3, volume.ErrDenied, time.Hour, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := slog.New(slog.NewTextHandler(io.Discard, nil))
			store, err := volume.Open(volume.Config{FS: vfs.NewMem(), Dir: "/v", Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			db := memdb.New()
			t.Cleanup(func() {
				if err := errors.Join(db.Close(), store.Close()); err != nil {
					t.Error(err)
				}
			})
			v := &absentVolume{Store: store, from: tt.from, err: tt.err}
			_, err = openEngine(t.Context(), master.Config{
				DB: db, Volumes: []master.Volume{{Name: "v", Blobs: v}}, Logger: log,
			}, tt.wait)
			if (err == nil) != tt.ok {
				t.Errorf("asked %d times: %v", v.asked.Load(), err)
			}
		})
	}
}

// TestOpenEngineWaitsForMoved: volumes that do not answer yet may be those that are missed, at addresses of their own.
func TestOpenEngineWaitsForMoved(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	db := memdb.New()
	var stores []*volume.Store
	for range 2 {
		store, err := volume.Open(volume.Config{FS: vfs.NewMem(), Dir: "/v", Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, store)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), stores[0].Close(), stores[1].Close()); err != nil {
			t.Error(err)
		}
	})
	open := func(at string, from int32, wait time.Duration, n int) error {
		var volumes []master.Volume
		for i, store := range stores[:n] {
			v := &absentVolume{Store: store, from: from, err: volume.ErrUnavailable}
			volumes = append(volumes, master.Volume{Name: fmt.Sprint(at, i), Blobs: v})
		}
		_, err := openEngine(t.Context(), master.Config{DB: db, Volumes: volumes, Logger: log}, wait)
		return err
	}
	if err := open("here", 0, 0, 2); err != nil {
		t.Fatal(err)
	}
	if err := open("there", 4, time.Minute, 2); err != nil {
		t.Errorf("at other addresses, late: %v", err)
	}
	if err := open("elsewhere", 1<<30, time.Millisecond, 2); err == nil {
		t.Error("what does not answer in time is taken for there")
	}
	if err := open("elsewhere", 1<<30, time.Hour, 1); err == nil { // waiting would not bring the other one
		t.Error("a volume that was not given is not missed")
	}
}

func TestOpenEngineCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	db := memdb.New()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	remote, client, err := remoteVolume("http://127.0.0.1:1", "", newBudgets())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	log := slog.New(cancelOnLog{slog.DiscardHandler, cancel})
	_, err = openEngine(ctx, master.Config{DB: db, Volumes: []master.Volume{remote}, Logger: log}, time.Hour)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// cancelOnLog cancels when something is logged.
type cancelOnLog struct {
	slog.Handler
	cancel context.CancelFunc
}

func (c cancelOnLog) Enabled(context.Context, slog.Level) bool { return true }

func (c cancelOnLog) Handle(context.Context, slog.Record) error {
	c.cancel()
	return nil
}

// TestServerDirs: the order of directories counts for the first only, and a list
// that can not be right leaves nothing behind.
func TestServerDirs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b"), filepath.Join(root, "c")}
	serve := func(dirs ...string) *role {
		return startRole(t, append([]string{"server", "-listen=127.0.0.1:0"}, dirs...)...)
	}
	first := serve(dirs...)
	first.address(t)
	if code := first.stop(); code != exitDone {
		t.Fatalf("exit %d\n%s", code, first.stderr.String())
	}
	again := serve(dirs[0], dirs[2], dirs[1])
	again.address(t)
	if code := again.stop(); code != exitDone {
		t.Fatalf("another order: exit %d\n%s", code, again.stderr.String())
	}
	for _, tt := range []struct {
		dirs []string
		code int
		want string
	}{
		{[]string{dirs[1], dirs[0], dirs[2]}, exitFailed, "the metadata of this store lies in " + dirs[0] + ": name that directory first"},
		{[]string{dirs[0], dirs[1] + "/"}, exitFailed, "- missing: "},
		{[]string{dirs[0], dirs[1], dirs[1] + "/."}, exitMisuse, "are the same directory"},
		{[]string{filepath.Join(root, "d"), dirs[1]}, exitFailed, "- foreign: "},
	} {
		r := serve(tt.dirs...)
		<-r.done
		if r.code != tt.code || !strings.Contains(r.stderr.String(), tt.want) {
			t.Errorf("%v: exit %d, want %d and %q\n%s", tt.dirs, r.code, tt.code, tt.want, r.stderr.String())
		}
	}
	if isDir(filepath.Join(dirs[1], metadataDir)) {
		t.Error("a refused start left metadata behind")
	}
}

// TestProtectedMode: without credentials a master serves this machine, and asks
// nobody who they are.
func TestProtectedMode(t *testing.T) {
	t.Parallel()
	urls := startVolumes(t, 1)
	file := writeFile(t, "master.yaml", fmt.Sprintf("listen: 127.0.0.1:0\ndata: %s\ncluster_secret: %s\nvolumes: [%s]\n",
		filepath.Join(t.TempDir(), "master"), clusterSecret, urls[0]))
	m := startRole(t, "master", "-config", file)
	endpoint := "http://" + m.address(t)
	if code, body := native(t, http.MethodPut, endpoint+"/set/a", credentialsConfig{}, strings.NewReader("x")); code/100 != 2 {
		t.Errorf("set: %d %s", code, body)
	}
	if code, body := native(t, http.MethodGet, endpoint+"/get/a", credentialsConfig{}, nil); code != http.StatusOK || body != "x" {
		t.Errorf("get: %d %s", code, body)
	}
	m.stop()
	if !strings.Contains(m.stdout.String(), "protected mode") {
		t.Errorf("banner: %s", m.stdout.String())
	}
}
