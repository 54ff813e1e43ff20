package bench

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func connTo(t *testing.T, base string) *conn {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(Endpoint{AccessKey: testAccess, SecretKey: testSecret, Region: testRegion}, u)
	t.Cleanup(c.close)
	return c
}

// scripted answers each request on a connection with one of the texts, then
// closes it.
func scripted(t *testing.T, answers ...string) *conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(accepted)
			for _, text := range answers {
				r, err := http.ReadRequest(in)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(accepted, text)
			}
			_ = accepted.Close()
		}
	}()
	return connTo(t, "http://"+listener.Addr().String())
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, text string
		status             int
		body, kind         string // of the failure, or none
		open               bool   // afterwards
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello", 200, "hello", "", true},
		{"nothing", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", "", true},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n", 200, "hello", "", true},
		{"to the end", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", "", false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
		{"old", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "", "", true},
		{"no head", "HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", 404, "", "404", true},
		{"no content", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", true},
		{"informed", "PUT", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", "", true},
		{"refused", "PUT", "HTTP/1.1 503 No\r\nContent-Length: 35\r\n\r\n<Error><Code>SlowDown</Code></Error>"[:len("HTTP/1.1 503 No\r\nContent-Length: 35\r\n\r\n")+35], 503, "", "503 SlowDown", true},
		{"refused without document", "PUT", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "", "500", true},
		{"broken head", "GET", "HTTP/1.1 200 OK\r\nContent-Le", 0, "", brokenOff, false},
		{"broken body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 0, "", brokenOff, false},
		{"broken chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0, "", brokenOff, false},
		{"nobody", "GET", "", 0, "", brokenOff, false},
		{"another protocol", "GET", "SSH-2.0-OpenSSH_9.2p1\r\n", 0, "", notHTTP, false},
		{"no status", "GET", "HTTP/1.1 abc OK\r\n\r\n", 0, "", notHTTP, false},
		{"no header", "GET", "HTTP/1.1 200 OK\r\nfoo\r\n\r\n", 0, "", notHTTP, false},
		{"no length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", 0, "", notHTTP, false},
		{"long line", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", headBuffer), 0, "", notHTTP, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, tt.text)
			r := &call{method: tt.method, path: []byte("/b/k"), payload: emptyHash}
			if tt.method == methodPut {
				r.body, r.length = [][]byte{[]byte("hello")}, 5
			}
			a, err := c.do(t.Context(), r, nil)
			var f *failure
			if errors.As(err, &f); tt.kind != "" {
				if f == nil || f.kind != tt.kind || f.status != tt.status {
					t.Fatalf("got %+v, want a failure by %q, status %d", err, tt.kind, tt.status)
				}
			} else if err != nil || a.status != tt.status || string(a.kept) != tt.body {
				t.Fatalf("got %d %q, %v; want %d %q", a.status, a.kept, err, tt.status, tt.body)
			}
			if open := c.net != nil; open != tt.open {
				t.Errorf("the connection is open afterwards: %v, want %v", open, tt.open)
			}
		})
	}
}

// TestConnectionStays: one connection carries request after request, of all
// sizes, and another is made where it was closed.
func TestConnectionStays(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Etag", strconv.FormatInt(n, 10))
		_, _ = io.CopyN(w, zeros{}, n)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c, pattern := connTo(t, server.URL), newContent()
	for i, size := range []int64{0, 1, 4096, oneWrite, oneWrite + 1, 3 << 20, patternSize + 77, 5} {
		r := &call{method: methodPut, path: []byte("/b/k"), body: pattern.pieces(nil, uint64(i), 0, size), length: size, payload: unsignedPayload}
		a, err := c.do(t.Context(), r, nil)
		if err != nil || string(a.etag) != strconv.FormatInt(size, 10) || int64(len(a.kept)) != size {
			t.Fatalf("%d bytes: %s, %d bytes, %v", size, a.etag, len(a.kept), err)
		}
	}
	server.CloseClientConnections()
	r := &call{method: methodGet, path: []byte("/b/k"), payload: emptyHash}
	if _, err := c.do(t.Context(), r, nil); kindOf(err) != brokenOff {
		t.Errorf("on a closed connection: %v", err)
	}
	if _, err := c.do(t.Context(), r, nil); err != nil || opened.Load() != 2 {
		t.Errorf("after it: %v, %d connections", err, opened.Load())
	}
	server.Close()
	c.close()
	if _, err := c.do(t.Context(), r, nil); kindOf(err) != noConnection {
		t.Errorf("nobody listens: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestRefusedBody: what an endpoint says counts, also where it closed the
// connection under a body that was not sent whole.
func TestRefusedBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no &amp; never</Message></Error>")
	}))
	t.Cleanup(server.Close)
	const size = 300 << 10 // the server reads that much of a body for the sake of the connection, at most
	_, err := connTo(t, server.URL).do(t.Context(), &call{
		method: methodPut, path: []byte("/b/k"), body: newContent().pieces(nil, 1, 0, size), length: size, payload: unsignedPayload,
	}, nil)
	if err == nil || err.Error() != "403 AccessDenied: no & never" {
		t.Errorf("got %v", err)
	}
}

// TestTLS: an endpoint whose certificate nobody vouches for is refused.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(Bare())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // that the client hangs up is what is wanted
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := connTo(t, server.URL).do(t.Context(), &call{method: methodGet, path: []byte("/b"), payload: emptyHash}, nil)
	if kindOf(err) != noConnection || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	doc := []byte("<R><Key>a&amp;b</Key><Key></Key><Key>c</Key><Open>x</R>")
	if got := elements(doc, "Key"); len(got) != 3 || got[0] != "a&b" || got[1] != "" || got[2] != "c" || countElements(doc, "Key") != 3 {
		t.Errorf("keys: %q", got)
	}
	for _, name := range []string{"Open", "None"} {
		if got := element(doc, name); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestRequestsMakeNoGarbage: what a request allocates is paid for by the server
// that shares the machine.
func TestRequestsMakeNoGarbage(t *testing.T) {
	c := scripted(t, repeated("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nEtag: \"abc\"\r\n\r\nhello", 300)...)
	r := &call{method: methodGet, path: []byte("/b/k"), payload: emptyHash}
	run := func() {
		if _, err := c.exchange(t.Context(), r, nowhere{}); err != nil {
			t.Fatal(err)
		}
	}
	run()
	var own int
	n := testing.AllocsPerRun(200, func() { own++; run() })
	const serverSide = 20 // http.ReadRequest of the other side runs in this process
	if n > serverSide {
		t.Errorf("%v allocations a request", n)
	}
}

func repeated(text string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = text
	}
	return all
}
