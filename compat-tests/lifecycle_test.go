package compattests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// rawRequest sends bytes and returns the first line of the answer, or nothing when the store hangs up instead.
func rawRequest(t testing.TB, addr, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing more is wanted of it
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, raw) // the store may hang up in the middle
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // as above
	}
	line, _ := bufio.NewReader(conn).ReadString('\n') // "" when it hung up
	return strings.TrimSpace(line)
}

func TestHealth(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		web := d.httpClient(t, 2)
		if a := call(t, web, "GET", d.url()+"/-/healthz", nil); a.status != 200 {
			t.Errorf("healthz: %v", a)
		}
		a := call(t, web, "GET", d.url()+"/-/readyz", nil)
		if a.status != 200 || !json.Valid(a.body) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("readyz: %v, type %s", a, a.header.Get("Content-Type"))
		}
		// Each answer has an id, and the log knows it.
		for _, path := range []string{"/-/healthz", "/get/none", "/no-such-bucket"} {
			first, second := call(t, web, "GET", d.url()+path, nil).header.Get("X-Amz-Request-Id"), call(t, web, "GET", d.url()+path, nil).header.Get("X-Amz-Request-Id")
			if first == "" || first == second {
				t.Errorf("GET %s: request ids %q and %q", path, first, second)
			}
			if path != "/-/healthz" {
				d.front.waitLog(t, first)
			}
		}
	})
}

// waitLog waits until the log contains the text.
func (p *process) waitLog(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.log(t), text) {
			return
		}
	}
	t.Errorf("%s never logged %q\n%s", p.name, text, p.logTail())
}

// TestLostVolume takes one volume of a cluster away: the master says so, serves what lies elsewhere and fails clearly for
// the rest, and all is well once it is back.
func TestLostVolume(t *testing.T) {
	t.Parallel()
	d := startDeployment(t, clusterKind, settings{})
	c, b := d.sdk(t), "lost"
	bucket(t, c, b)
	const count = 40
	for i := range count {
		put(t, c, b, fmt.Sprint(i), content(fmt.Sprint("lost", i), 2000))
	}
	d.volumes[1].kill(t)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ready, text := d.probe("/-/readyz")
		if !ready { // new objects go to the other volumes
			t.Fatalf("not ready: %s", text)
		}
		if strings.Contains(text, "unreachable") {
			if !strings.Contains(text, volumeURLs(t, d)[1]) {
				t.Errorf("it says %s", text)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("a volume is away, and nobody has noticed")
		}
	}
	there, away := 0, 0
	for i := range count {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: ptr(fmt.Sprint(i))})
		switch status := statusOf(err); {
		case err == nil:
			there++
			sameBytes(t, "from the other volumes", drain(t, out.Body), content(fmt.Sprint("lost", i), 2000))
		case status >= 500:
			away++
		default:
			t.Errorf("object %d: %v", i, err)
		}
	}
	if there == 0 || away == 0 {
		t.Errorf("%d objects there, %d away", there, away)
	}
	d.start(t)
	for i := range count {
		sameBytes(t, "with all volumes again", get(t, c, b, fmt.Sprint(i)), content(fmt.Sprint("lost", i), 2000))
	}
}

func ptr[T any](v T) *T { return &v }

// TestGracefulShutdown ends the front while an upload is under way: the upload is finished, answered and kept.
func TestGracefulShutdown(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		for _, size := range []int{100_000, 3 << 20} {
			key, body := fmt.Sprint("slow-", size), content("slow", size)
			r, w := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.url()+"/set/"+key, r)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(size)
			req.SetBasicAuth(d.accessKey, d.secretKey)
			// The client sends the body when the store asks for it: from the first write on, the upload is under way.
			req.Header.Set("Expect", "100-continue")
			tr := d.transport(t, 1)
			tr.ExpectContinueTimeout = time.Minute
			answered := make(chan error, 1)
			go func() {
				resp, err := tr.RoundTrip(req)
				if err == nil {
					if err = resp.Body.Close(); resp.StatusCode/100 != 2 {
						err = fmt.Errorf("status %s", resp.Status)
					}
				}
				answered <- err
			}()
			if _, err := w.Write(body[:size/2]); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(d.front.running.pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			// Once new connections are refused, the shutdown is under way.
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				conn, err := net.Dial("tcp", d.addr)
				if err != nil {
					break
				}
				_ = conn.Close() // unused
				if time.Now().After(end) {
					t.Fatal("still listening long after SIGTERM")
				}
			}
			if _, err := w.Write(body[size/2:]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-answered; err != nil {
				t.Errorf("the upload in flight: %v", err)
			}
			if code := d.front.wait(t, 30*time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			d.start(t)
			sameBytes(t, "the upload in flight", get(t, d.sdk(t), "kv", key), body)
		}
	})
}
