package master

import (
	"errors"
	"io"
	"strings"
	"testing"

	"tdkvs/master/meta"
)

// textPayload is a body without digests.
type textPayload struct{ strings.Reader }

func (*textPayload) Digests() meta.Digests { return meta.Digests{} }

// nothing is a body that never comes to anything.
type nothing struct{ textPayload }

func (*nothing) Read([]byte) (int, error) { return 0, nil }

// portions pushes texts to a feed and returns their chunks.
func portions(f *feed, texts ...string) (free chan *chunk) {
	free = make(chan *chunk, len(texts))
	for _, text := range texts {
		c := &chunk{free: free}
		c.held.Store(1)
		f.push(portion{data: []byte(text), of: c})
		c.release()
	}
	return free
}

// take reads n bytes.
func take(t *testing.T, f *feed, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(f, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

func wantFree(t *testing.T, free chan *chunk, want int) {
	t.Helper()
	if len(free) != want {
		t.Fatalf("%d chunks are free, want %d", len(free), want)
	}
}

// TestFeedKeepsTheFirst: a feed can be read again until its second portion is
// begun, and lets go of each other one as soon as it was read.
func TestFeedKeepsTheFirst(t *testing.T) {
	t.Parallel()
	f := newFeed(true)
	free := portions(f, "abc", "def", "ghi")
	take(t, f, "abc")
	wantFree(t, free, 0)
	if !f.rewind() {
		t.Fatal("no way back within the first portion")
	}
	take(t, f, "ab")
	if !f.rewind() {
		t.Fatal("no way back the second time")
	}
	take(t, f, "abcd")
	wantFree(t, free, 1)
	if f.rewind() {
		t.Error("a way back to what is gone")
	}
	if !f.behind() {
		t.Error("not behind, with something to read")
	}
	take(t, f, "efghi")
	wantFree(t, free, 3)
	if f.behind() {
		t.Error("behind, with nothing to read")
	}
	f.end()
	if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestFeedThatKeepsNothing(t *testing.T) {
	t.Parallel()
	f := newFeed(false)
	free := portions(f, "abc", "def")
	if !f.rewind() {
		t.Error("no way back before the first byte")
	}
	take(t, f, "a")
	if f.rewind() {
		t.Error("a way back behind the first byte")
	}
	take(t, f, "bc")
	wantFree(t, free, 1)
	f.end()
	rest, err := io.ReadAll(f)
	if err != nil || string(rest) != "def" {
		t.Errorf("%q, %v", rest, err)
	}
	wantFree(t, free, 2)
}

// TestFeedBreaksOff: it lets go of everything, and takes nothing more.
func TestFeedBreaksOff(t *testing.T) {
	t.Parallel()
	f := newFeed(true)
	free := portions(f, "abc", "def")
	take(t, f, "abcd")
	why := errors.New("enough")
	waiting := newFeed(true)
	ended := make(chan error, 1)
	go func() {
		_, err := waiting.Read(make([]byte, 1))
		ended <- err
	}()
	for _, f := range []*feed{f, waiting} {
		f.breakOff(why)
		f.breakOff(errors.New("another reason"))
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, why) {
			t.Errorf("read: %v", err)
		}
		if f.rewind() || f.behind() {
			t.Error("a broken feed has something left")
		}
	}
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("a read that waited: %v", err)
	}
	wantFree(t, free, 2)
	wantFree(t, portions(f, "more"), 1)
}

// TestFillSeeksTheEnd: the end of an announced body is known as soon as it is
// due, that of another when it comes.
func TestFillSeeksTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text      string
		announced int64
		n         int
		ended     bool
		fails     bool
	}{
		{"", 0, 0, true, false}, {"", -1, 0, true, false}, {"abc", 3, 3, true, false}, {"abcd", 4, 4, true, false},
		{"abcd", -1, 4, false, false}, {"abcde", 5, 4, false, false}, {"abc", 4, 3, false, true}, {"abcde", 4, 5, false, true},
	} {
		b := &body{payload: &textPayload{Reader: *strings.NewReader(c.text)}, size: c.announced}
		n, ended, err := b.fill(make([]byte, 4))
		if n != c.n || ended != c.ended || (err != nil) != c.fails {
			t.Errorf("%q announced as %d: %d, %v, %v", c.text, c.announced, n, ended, err)
		}
	}
	if _, _, err := (&body{payload: &nothing{}, size: 1}).fill(make([]byte, 4)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a body that gives nothing: %v", err)
	}
}
