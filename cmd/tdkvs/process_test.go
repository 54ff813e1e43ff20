package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary behave as the program.
const asProgram = "TDKVS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the program, running as a process.
type program struct {
	cmd      *exec.Cmd
	endpoint string // from its first line; empty for one that printed none
	banner   string
	stderr   syncBuffer
	done     chan struct{} // closed when it has ended
	code     int
}

// syncBuffer is a buffer that one side writes and another reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startProgram starts the program and waits for its banner, or for its end.
func startProgram(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	p, printed := launchProgram(t, env, args...)
	select {
	case p.banner = <-printed:
	case <-time.After(time.Minute):
		t.Fatalf("nothing printed:\n%s", p.stderr.String())
	}
	if m := regexp.MustCompile(` is ready at (http://\S+)`).FindStringSubmatch(p.banner); m != nil {
		p.endpoint = m[1]
	}
	return p
}

// launchProgram starts the program. What it returns beside gets its banner.
func launchProgram(t *testing.T, env []string, args ...string) (*program, <-chan string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.Command(self, args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read, printed := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(read)
		printed <- readBanner(stdout)
		_, _ = io.Copy(io.Discard, stdout) // until the process ends
	}()
	go func() {
		<-read
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.code = exit.ExitCode()
		}
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // most have ended
		<-p.done
	})
	return p, printed
}

// readBanner reads to the last line of a banner, or to the end.
func readBanner(r io.Reader) string {
	var text strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "/get/") {
			break
		}
	}
	return text.String()
}

// wait returns the exit code.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(time.Minute):
		t.Fatalf("still running:\n%s", p.stderr.String())
		return -1
	}
}

func (p *program) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// waitLog waits until the log contains text.
func (p *program) waitLog(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(p.stderr.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q never logged:\n%s", text, p.stderr.String())
		}
	}
}

// native sends a request of the native API and returns status and body.
func native(t *testing.T, method, url string, keys credentialsConfig, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if keys.AccessKey != "" {
		req.SetBasicAuth(keys.AccessKey, keys.SecretKey)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// storedKeys reads the file that a server made.
func storedKeys(t *testing.T, dir string) credentialsConfig {
	t.Helper()
	var keys credentialsConfig
	if err := decodeFile(filepath.Join(dir, "credentials"), &keys).err(); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestProgramServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "data")
	p := startProgram(t, nil, "server", "--listen=127.0.0.1:0", dir)
	keys := storedKeys(t, dir)
	for _, part := range []string{keys.AccessKey, keys.SecretKey, p.endpoint + "/set/", "s3 mb s3://photos"} {
		if !strings.Contains(p.banner, part) {
			t.Errorf("banner lacks %q:\n%s", part, p.banner)
		}
	}
	if strings.Contains(p.stderr.String(), keys.SecretKey) {
		t.Errorf("the log has the secret:\n%s", p.stderr.String())
	}
	if code, _ := native(t, http.MethodGet, p.endpoint+"/-/healthz", credentialsConfig{}, nil); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	if code, body := native(t, http.MethodGet, p.endpoint+"/-/readyz", credentialsConfig{}, nil); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, body := native(t, http.MethodPut, p.endpoint+"/set/greeting", keys, strings.NewReader("hello")); code/100 != 2 {
		t.Fatalf("set: %d %s", code, body)
	}
	if code, _ := native(t, http.MethodGet, p.endpoint+"/get/greeting", credentialsConfig{"abc", "12345678"}, nil); code/100 != 4 {
		t.Errorf("get with wrong keys: %d", code)
	}

	second := startProgram(t, nil, "server", "-listen", "127.0.0.1:0", dir)
	if code := second.wait(t); code != exitFailed || !strings.Contains(second.stderr.String(), "in use by another process") {
		t.Errorf("second process on the directory: exit %d\n%s", code, second.stderr.String())
	}

	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	again := startProgram(t, nil, "server", dir, "-listen", "127.0.0.1:0")
	if again.endpoint == "" {
		t.Fatalf("no start after SIGKILL: exit %d\n%s", again.wait(t), again.stderr.String())
	}
	if code, body := native(t, http.MethodGet, again.endpoint+"/get/greeting", keys, nil); code != http.StatusOK || body != "hello" {
		t.Errorf("get after SIGKILL: %d %q", code, body)
	}
	again.signal(t, syscall.SIGTERM)
	if code := again.wait(t); code != exitDone {
		t.Errorf("exit %d after SIGTERM\n%s", code, again.stderr.String())
	}
}

// TestProgramSecondSignal: the first signal waits for a request, the second does
// not.
func TestProgramSecondSignal(t *testing.T) {
	t.Parallel()
	p := startProgram(t, []string{envAccessKey + "=abc", envSecretKey + "=12345678"}, "server", "-listen=127.0.0.1:0", t.TempDir())
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing more is sent
	_, err = io.WriteString(conn, "PUT /set/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"+
		"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("abc:12345678"))+"\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	// The server asks for the body: the request is in flight.
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("answered %q, %v", line, err)
	}
	p.signal(t, os.Interrupt)
	p.waitLog(t, "ending: requests in flight may finish")
	select {
	case <-p.done:
		t.Fatalf("ended under a request, exit %d", p.code)
	case <-time.After(100 * time.Millisecond):
	}
	p.signal(t, os.Interrupt)
	if code := p.wait(t); code != exitFailed || !strings.Contains(p.stderr.String(), "second signal: ending at once") {
		t.Errorf("exit %d\n%s", code, p.stderr.String())
	}
}

func TestProgramExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, exitDone},
		{[]string{"volume", "-config=/nowhere"}, exitFailed},
		{[]string{"frobnicate"}, exitMisuse},
	} {
		if code := startProgram(t, nil, tt.args...).wait(t); code != tt.want {
			t.Errorf("%v: exit %d, want %d", tt.args, code, tt.want)
		}
	}
}
