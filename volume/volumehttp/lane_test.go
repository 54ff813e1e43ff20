package volumehttp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

func TestParseLaneRequest(t *testing.T) {
	t.Parallel()
	id := testID(7)
	for text, want := range map[string]laneRequest{
		"GET " + blobPath(id) + "?info=first&offset=3&length=5&new=1 HTTP/1.1\r\nHost: x\r\ntdkvs-volume: v\r\nAuthorization: a b c\r\n": {
			method: "GET", volume: "v", auth: "a b c", size: -1, info: true, span: blobRange{id: id, offset: 3, length: 5},
		},
		"GET " + blobPath(id) + " HTTP/1.1\r\n": {method: "GET", size: -1, span: blobRange{id: id, length: -1}},
		"PUT " + blobPath(id) + " HTTP/1.1\r\nContent-Length: 70\r\nTdkvs-Size: 0\r\n": {
			method: "PUT", length: 70, span: blobRange{id: id, length: -1},
		},
	} {
		want.id, want.target = id, strings.Fields(text)[1]
		if x, err := parseLaneRequest([]byte(text), "v"); err != nil || fmt.Sprint(x) != fmt.Sprint(want) {
			t.Errorf("%q: %+v, %v", text, x, err)
		}
	}
	for _, text := range []string{
		"", "GET", "GET / HTTP/1.1\r\n", "GET " + blobPath(id) + " HTTP/1.0\r\n", "GET " + blobPath(id) + "\r\n",
		"DELETE " + blobPath(id) + " HTTP/1.1\r\n", "GET " + blobPath(id) + "/stat HTTP/1.1\r\n", "GET /v1/blobs/xyz HTTP/1.1\r\n",
		"GET " + blobPath(id) + "?offset=x HTTP/1.1\r\n", "GET " + blobPath(id) + "?info=last HTTP/1.1\r\n",
		"GET " + blobPath(id) + " HTTP/1.1\r\nContent-Length: 1\r\n", "PUT " + blobPath(id) + " HTTP/1.1\r\nContent-Length: -1\r\n",
		"PUT " + blobPath(id) + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "PUT " + blobPath(id) + " HTTP/1.1\r\nTdkvs-Size: x\r\n",
		"PUT " + blobPath(id) + " HTTP/1.1\r\nExpect: 100-continue\r\n", "PUT " + blobPath(id) + " HTTP/1.1\r\nno colon\r\n",
	} {
		if x, err := parseLaneRequest([]byte(text), "v"); !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, x, err)
		}
	}
}

// FuzzParseLaneRequest: what is accepted is what net/http makes of it.
func FuzzParseLaneRequest(f *testing.F) {
	f.Add("GET " + blobPath(testID(1)) + "?offset=1&length=2 HTTP/1.1\r\nTdkvs-Volume: v\r\nAuthorization: TDKVS 1 a\r\n")
	f.Add("PUT " + blobPath(testID(2)) + " HTTP/1.1\r\nContent-Length: 12\r\nTdkvs-Size: 4\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parseLaneRequest([]byte(text), "v")
		if err != nil {
			return
		}
		ref, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
		if err != nil {
			return // net/http asks for more, of names and values that are of no concern here
		}
		path, _, _ := strings.Cut(x.target, "?")
		if x.method != ref.Method || x.target != ref.RequestURI || path != blobPath(x.id) && !strings.EqualFold(path, blobPath(x.id)) || max(0, ref.ContentLength) != x.length {
			t.Errorf("%q: %+v, and %+v", text, x, ref)
		}
	})
}

// laneConn is the client's end of a lane, by hand.
type laneConn struct {
	t    *testing.T
	f    *fixture
	conn net.Conn
	in   *bufio.Reader
}

func openLane(t *testing.T, f *fixture) *laneConn {
	t.Helper()
	conn, err := net.Dial("tcp", f.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &laneConn{t: t, f: f, conn: conn, in: bufio.NewReader(conn)}
}

func (l *laneConn) send(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.conn, text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *laneConn) ask(method, target, fields string, body []byte) {
	l.t.Helper()
	l.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: Tdkvs-Lane\r\n%s: 1\r\n%s: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		method, target, headerLane, headerVolume, l.f.volume, len(body), fields, body))
}

// answer reads an answer: its status, the code of an error, and the body.
func (l *laneConn) answer() (int, string, []byte) {
	l.t.Helper()
	r, err := http.ReadResponse(l.in, nil)
	if err != nil {
		l.t.Fatalf("answer: %v", err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		l.t.Fatal(err)
	}
	if got := r.Header.Get(headerProtocol); got != protocolVersion {
		l.t.Errorf("protocol %q", got)
	}
	return r.StatusCode, r.Header.Get(headerError), body
}

func (l *laneConn) want(status int, code string) []byte {
	l.t.Helper()
	got, gotCode, body := l.answer()
	if got != status || gotCode != code {
		l.t.Fatalf("%d %q, want %d %q: %.200s", got, gotCode, status, code, body)
	}
	return body
}

func (l *laneConn) wantEnd() {
	l.t.Helper()
	if n, err := io.Copy(io.Discard, l.in); n > 0 || err != nil && timedOut(err) {
		l.t.Errorf("the connection goes on: %d bytes, %v", n, err)
	}
}

// TestLane sends all that a lane serves, and every refusal that leaves it open, over
// one connection.
func TestLane(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{}, nil)
	l := openLane(t, f)
	for i, size := range []int{0, 1, 4096, volume.BlockSize, volume.BlockSize + 1, 500_000} {
		id, data := testID(i), testData(size)
		stream := putStreamOf(t, id, data, []byte("descriptor"))
		l.ask("PUT", blobPath(id), fmt.Sprintf("%s: %d\r\n", headerSize, size), stream)
		l.want(201, "")
		l.ask("PUT", blobPath(id), "", stream)
		l.want(409, "exists")
		l.ask("GET", blobPath(id), "", nil)
		if p, err := parse(id, 0, l.want(200, "")); err != nil || !bytes.Equal(p.data, data) {
			t.Errorf("%d bytes: %d, %v", size, len(p.data), err)
		}
		for _, offset := range []int{0, 1, size / 2, size - 1, size} {
			if offset < 0 || offset > size {
				continue
			}
			l.ask("GET", fmt.Sprintf("%s?offset=%d&length=%d&info=first", blobPath(id), offset, size-offset), "", nil)
			body := l.want(200, "")
			p, err := parse(id, int64(offset), body)
			if err != nil || !bytes.Equal(p.data, data[offset:]) || p.kinds[0] != kindInfo {
				t.Errorf("from %d of %d bytes: %d, %s, %v", offset, size, len(p.data), p.kinds, err)
			}
		}
		l.ask("GET", fmt.Sprintf("%s?offset=%d&length=2", blobPath(id), size), "", nil)
		l.want(400, "invalid")
		bad := bytes.Clone(stream)
		bad[len(bad)-1] ^= 1
		l.ask("PUT", blobPath(testID(99)), "", bad)
		l.want(503, "unavailable")
		l.ask("PUT", blobPath(testID(99)), fmt.Sprintf("%s: %d\r\n", headerSize, size+1), stream)
		if code, _, body := l.answer(); code < 400 {
			t.Errorf("another size than announced: %d %s", code, body)
		}
	}
	l.ask("GET", blobPath(testID(99)), "", nil)
	l.want(404, "not_found")
	if n := f.newConns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestLanePipelined sends requests before the answers to those before have come, whole
// and byte by byte.
func TestLanePipelined(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{}, nil)
	put(t, mem, testID(1), testData(5000))
	l := openLane(t, f)
	one := fmt.Sprintf("GET %s?offset=0&length=5000 HTTP/1.1\r\nHost: x\r\nConnection: Tdkvs-Lane\r\n%s: 1\r\n%s: %s\r\n\r\n", blobPath(testID(1)), headerLane, headerVolume, f.volume)
	l.send(strings.Repeat(one, 10))
	for i := range len(one) {
		l.send(one[i : i+1])
	}
	for range 11 {
		if p, err := parse(testID(1), 0, l.want(200, "")); err != nil || !bytes.Equal(p.data, testData(5000)) {
			t.Fatalf("%d bytes, %v", len(p.data), err)
		}
	}
}

// TestLaneRefuses: each request shows the secret and names the volume, and what was not
// promised ends the connection.
func TestLaneRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		request string
		status  int
		code    string
		ends    bool
	}{
		"no signature":   {"GET %s HTTP/1.1\r\nTdkvs-Volume: %s\r\n\r\n", 403, "denied", false},
		"bad signature":  {"GET %s HTTP/1.1\r\nTdkvs-Volume: %s\r\nAuthorization: TDKVS-HMAC-SHA256 1 00\r\n\r\n", 403, "denied", false},
		"another method": {"DELETE %s HTTP/1.1\r\nTdkvs-Volume: %s\r\n\r\n", 400, "invalid", true},
		"chunks":         {"PUT %s HTTP/1.1\r\nTdkvs-Volume: %s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid", true},
		"no HTTP":        {"%s %s\r\n\r\n", 400, "invalid", true},
	} {
		f := serve(t, volumetest.NewMem(), ServerConfig{Secret: testSecret}, nil)
		l := openLane(t, f)
		first := blobPath(testID(1))
		auth := headerAuth + ": " + string(newSigner(testSecret).appendSigned(nil, "GET", first, f.volume, time.Now())) + "\r\n"
		l.ask("GET", first, auth, nil)
		l.want(404, "not_found")
		l.send(fmt.Sprintf(test.request, first, f.volume))
		l.want(test.status, test.code)
		if test.ends {
			l.wantEnd()
			continue
		}
		l.ask("GET", first, auth, nil)
		l.want(404, "not_found")
		l.send(fmt.Sprintf("GET %s HTTP/1.1\r\nTdkvs-Volume: other\r\n%s: %s\r\n\r\n", first, headerAuth,
			newSigner(testSecret).appendSigned(nil, "GET", first, "other", time.Now())))
		if l.want(421, "wrong_volume"); t.Failed() {
			t.Log(name)
		}
	}
}

// TestLaneCutPut: a put that ends early, or stops, stores nothing.
func TestLaneCutPut(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	f := serve(t, mem, ServerConfig{IdleTimeout: 50 * time.Millisecond}, nil)
	for i, size := range []int{1000, 100_000} {
		for _, hangUp := range []bool{true, false} {
			l := openLane(t, f)
			l.ask("GET", blobPath(testID(1)), "", nil)
			l.want(404, "not_found")
			stream := putStreamOf(t, testID(i), testData(size), nil)
			l.send(fmt.Sprintf("PUT %s HTTP/1.1\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", blobPath(testID(i)), headerVolume, f.volume, len(stream), stream[:len(stream)/2]))
			if hangUp {
				if err := l.conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			l.wantEnd()
		}
		_, err := mem.Stat(t.Context(), testID(i))
		expectError(t, "stat", err, volume.ErrNotFound)
	}
}

// TestLaneCorrupt reads blobs with a bad block at each place: all before it comes, and
// then the error.
func TestLaneCorrupt(t *testing.T) {
	t.Parallel()
	const blocks = 6
	mem := volumetest.NewMem()
	for _, size := range []int{blocks*volume.BlockSize - 40, (blocks-1)*volume.BlockSize + 2} {
		for block := range blocks {
			id := testID(size + block)
			put(t, mem, id, testData(size))
			if !mem.Corrupt(id, int64(block*volume.BlockSize)) {
				t.Fatal("nothing to corrupt")
			}
			got, err := read(t.Context(), serve(t, mem, ServerConfig{}, nil).dial(t, nil), id, 0, int64(size))
			expectError(t, fmt.Sprintf("block %d", block), err, volume.ErrCorrupt)
			if !bytes.Equal(got, testData(size)[:block*volume.BlockSize]) {
				t.Errorf("block %d: %d bytes came", block, len(got))
			}
		}
	}
}

// TestLanesShutDown: idle lanes end at once, others when they have answered; and no new
// ones are made, although requests are served.
func TestLanesShutDown(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), testData(100))
	fake := &fakeBlobs{Mem: mem}
	entered, release := make(chan struct{}), make(chan struct{})
	fake.get = func(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
		if offset == 7 {
			close(entered)
			<-release
		}
		return mem.Get(ctx, id, offset, length)
	}
	f := serve(t, fake, ServerConfig{}, nil)
	idle, busy := openLane(t, f), openLane(t, f)
	idle.ask("GET", blobPath(testID(1))+"?offset=0&length=1", "", nil)
	idle.want(200, "")
	busy.ask("GET", blobPath(testID(1))+"?offset=7&length=9", "", nil)
	<-entered
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.server.Shutdown(t.Context())
	}()
	idle.wantEnd()
	select {
	case <-ended:
		t.Error("the request that was served was not waited for")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	busy.want(200, "")
	busy.wantEnd()
	<-ended
	late := openLane(t, f)
	late.ask("GET", blobPath(testID(1))+"?offset=0&length=1", "", nil)
	late.want(200, "")
	if n := len(f.server.lanes.open); n != 0 {
		t.Errorf("%d lanes are open", n)
	}
}

// TestLanesCutOff: what does not end in time is cut off.
func TestLanesCutOff(t *testing.T) {
	t.Parallel()
	fake := &fakeBlobs{Mem: volumetest.NewMem()}
	entered := make(chan struct{})
	fake.get = func(ctx context.Context, _ volume.BlobID, _, _ int64) (io.ReadCloser, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f := serve(t, fake, ServerConfig{}, nil)
	l := openLane(t, f)
	l.ask("GET", blobPath(testID(1))+"?offset=0&length=1", "", nil)
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	f.server.Shutdown(ctx)
	l.wantEnd()
}

// TestLaneOutlivesLongReads: a read that takes long is watched for its client's going
// away, and what follows it is served all the same.
func TestLaneOutlivesLongReads(t *testing.T) {
	t.Parallel()
	mem := volumetest.NewMem()
	put(t, mem, testID(1), testData(100))
	fake := &fakeBlobs{Mem: mem}
	fake.get = func(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
		select {
		case <-time.After(guardAfter + 50*time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return mem.Get(ctx, id, offset, length)
	}
	f := serve(t, fake, ServerConfig{}, nil)
	l := openLane(t, f)
	for i := range 4 {
		l.ask("GET", blobPath(testID(1))+"?offset=0&length=100", "", nil)
		if i == 2 { // the next comes while this one is served
			l.ask("GET", blobPath(testID(1))+"?offset=0&length=100", "", nil)
			l.want(200, "")
		}
		l.want(200, "")
	}
}
