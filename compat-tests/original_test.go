package compattests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOriginalFlows does, step by step, what the README of the key-value store that this one grew out of tells people to do:
// its configuration files, its way to add a volume server, its way to delete one. The addresses alone are of this machine.
func TestOriginalFlows(t *testing.T) {
	t.Parallel()
	o := &original{dir: t.TempDir()}
	_, o.port, _ = net.SplitHostPort(freeAddress(t))
	for range 3 {
		o.addVolume(t)
	}
	o.configure(t)
	o.master = &process{name: "master", args: []string{"master", "-config=" + o.config()}, logFile: filepath.Join(o.dir, "master.log")}
	t.Cleanup(func() { o.end(t) })
	o.run(t)
	for i := range originalKeys {
		o.wantOK(t, http.MethodPut, "set", i)
	}
	o.wantAll(t)

	// "If you wish to add a volume server, you need to change the master's config yaml file accordingly, make sure all the
	// volume servers are running, and restart the master server": at the bottom of the list.
	o.addVolume(t)
	o.master.stop(t)
	o.configure(t)
	o.run(t)
	o.master.waitLog(t, settledLine)
	if moved := number(t, o.master.log(t), settledLine+`".* moved=(\d+)`); moved < originalKeys/8 || moved > originalKeys/2 {
		t.Errorf("%d of %d keys have moved to the new volume", moved, originalKeys)
	}
	o.wantAll(t)

	// "Shut down the master server and run with -delete=<index>", "remove the volume server from the master's config yaml
	// file and shut the volume server down", "re run the master server as usual".
	const index = 1
	o.master.stop(t)
	said := o.deleteOnTerminal(t, index)
	if !regexp.MustCompile(`(?s)moving what is on \S+: \d+ blobs.*\[=+\] 100 %.*\nmoved \d+ blobs`).MatchString(said) {
		t.Errorf("the deletion said:\n%s", said)
	}
	gone := o.volumes[index]
	o.volumes, o.urls = append(o.volumes[:index:index], o.volumes[index+1:]...), append(o.urls[:index:index], o.urls[index+1:]...)
	o.configure(t)
	gone.stop(t)
	if n := lastBlobs(t, gone); n != 0 {
		t.Errorf("the deleted volume holds %d blobs", n)
	}
	o.run(t)
	o.wantAll(t)
	for i := range originalKeys {
		o.wantOK(t, http.MethodDelete, "delete", i)
	}
}

const originalKeys = 200

// original is a store as its README lays it out.
type original struct {
	dir, port string
	master    *process
	volumes   []*process
	urls      []string
}

func (o *original) config() string { return filepath.Join(o.dir, "master.yaml") }

// addVolume starts a volume server.
func (o *original) addVolume(t *testing.T) {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeAddress(t))
	name := fmt.Sprintf("volume%d", len(o.volumes)+1)
	o.write(t, name+".yaml", fmt.Sprintf("port: %s\npath: %s/\n", port, filepath.Join(o.dir, name)))
	p := &process{name: name, args: []string{"volume", "-config=" + filepath.Join(o.dir, name+".yaml")}, logFile: filepath.Join(o.dir, name+".log")}
	p.start(t)
	o.volumes, o.urls = append(o.volumes, p), append(o.urls, "http://127.0.0.1:"+port)
}

// configure writes the master's file.
func (o *original) configure(t *testing.T) {
	t.Helper()
	o.write(t, "master.yaml", fmt.Sprintf("port: %s\nvolumes:\n  - %s\n", o.port, strings.Join(o.urls, "\n  - ")))
}

func (o *original) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (o *original) deployment() *deployment {
	return &deployment{kind: clusterKind, dir: o.dir, addr: "127.0.0.1:" + o.port, front: o.master, volumes: o.volumes}
}

// run starts the master and waits until it serves.
func (o *original) run(t *testing.T) {
	t.Helper()
	o.deployment().start(t)
}

func (o *original) end(t *testing.T) {
	o.deployment().stop(t)
	for _, p := range append([]*process{o.master}, o.volumes...) {
		p.checkLog(t)
	}
}

// wantOK sends one request for a key.
func (o *original) wantOK(t *testing.T, method, verb string, i int) {
	t.Helper()
	var body []byte
	if method == http.MethodPut {
		body = originalValue(i)
	}
	d := o.deployment()
	if err := d.native(http.DefaultClient, method, fmt.Sprintf("/%s/key%d", verb, i), body); err != nil {
		t.Errorf("%s of key%d: %v", verb, i, err)
	}
}

func originalValue(i int) []byte { return content(fmt.Sprint("original", i), 1+i*61) }

func (o *original) wantAll(t *testing.T) {
	t.Helper()
	for i := range originalKeys {
		a := call(t, http.DefaultClient, http.MethodGet, fmt.Sprintf("%s/get/key%d", o.deployment().url(), i), nil)
		if a.status != http.StatusOK || sha(a.body) != sha(originalValue(i)) {
			t.Errorf("get of key%d: %v", i, a)
		}
	}
}

// deleteOnTerminal deletes a volume as somebody at a terminal does, and returns what appeared there.
func (o *original) deleteOnTerminal(t *testing.T, index int) string {
	t.Helper()
	screen, tty := terminal(t)
	cmd := exec.Command(binary(t), "master", "-config="+o.config(), fmt.Sprintf("-delete=%d", index))
	cmd.Dir, cmd.Env = o.dir, neutralEnv()
	cmd.Stdout, cmd.Stderr = tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(growTime, func() { _ = cmd.Process.Kill() }) // it has ended, or it has not
	defer late.Stop()
	if err := tty.Close(); err != nil {
		t.Error(err)
	}
	said, _ := io.ReadAll(screen) // the end of a terminal is an error
	if err := cmd.Wait(); err != nil {
		t.Fatalf("-delete=%d: %v\n%s", index, err, said)
	}
	return string(said)
}

// terminal makes a pair of pseudo terminals: what is written to the second is read from the first.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() }) // read only
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, tty
}
