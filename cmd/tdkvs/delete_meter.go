package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tdkvs/master/metadb"
)

// meter shows how far a deletion is: a bar that is drawn over and over on a
// terminal, and a line now and then elsewhere.
type meter struct {
	out   io.Writer
	bar   bool
	every time.Duration // between two lines
	now   func() time.Time

	began     time.Time
	shown     time.Time // the last line
	atBegin   uint64    // bytes moved before
	pieces    uint64    // to move, with those moved before
	bytes     uint64
	lastError string
}

const (
	lineEvery = 5 * time.Second
	barEvery  = 200 * time.Millisecond
	barWidth  = 24
)

func newMeter(out io.Writer) *meter {
	m := &meter{out: out, bar: isTerminal(out), every: lineEvery, now: time.Now}
	if m.bar {
		m.every = barEvery
	}
	return m
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// begin says what is about to move off a volume.
func (m *meter) begin(name string, pieces, bytes int64, st metadb.Rebalance) {
	m.began, m.atBegin = m.now(), st.MovedBytes
	m.shown = m.began
	m.pieces, m.bytes = st.Moved+uint64(pieces), st.MovedBytes+uint64(bytes)
	verb := "moving"
	if st.Moved > 0 {
		verb = "going on to move"
	}
	printLine(m.out, fmt.Sprintf("%s what is on %s: %d blobs, %s", verb, name, pieces, humanInt(bytes)))
}

// show says how far it is, if that was not said a moment ago.
func (m *meter) show(st metadb.Rebalance) {
	now := m.now()
	if now.Sub(m.shown) < m.every {
		return
	}
	m.shown = now
	if m.bar {
		m.draw(m.part(st), m.line(st))
		return
	}
	printLine(m.out, m.line(st))
	if st.LastError != "" && st.LastError != m.lastError {
		printLine(m.out, "not moved yet: "+st.LastError)
	}
	m.lastError = st.LastError
}

// draw draws the bar over the one before.
func (m *meter) draw(part float64, text string) {
	_, _ = io.WriteString(m.out, barLine(part, text)) // whoever looks is gone when this fails
}

// barLine draws a bar over the line before, for a part from 0 to 1.
func barLine(part float64, text string) string {
	full := int(part * barWidth)
	return "\r[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + text + "\x1b[K"
}

// finish says what was done.
func (m *meter) finish(st metadb.Rebalance) {
	if m.bar {
		m.draw(1, "100 %")
	}
	m.end()
	printLine(m.out, fmt.Sprintf("moved %d blobs, %s, in %v", st.Moved, humanInt(st.MovedBytes), m.now().Sub(m.began).Round(time.Millisecond)))
}

// end leaves the line of the bar.
func (m *meter) end() {
	if m.bar {
		printLine(m.out, "")
	}
}

// part is how much has moved, from 0 to less than 1: what the volume holds
// changes meanwhile, and the last of it is found to be gone only at the end.
func (m *meter) part(st metadb.Rebalance) float64 {
	part := 0.0
	switch {
	case m.bytes > 0:
		part = float64(st.MovedBytes) / float64(m.bytes)
	case m.pieces > 0:
		part = float64(st.Moved) / float64(m.pieces)
	}
	return min(part, 0.99)
}

func (m *meter) line(st metadb.Rebalance) string {
	text := fmt.Sprintf("%2.0f %%  scanned %d, moved %d blobs, %s of about %s", 100*m.part(st), st.Scanned, st.Moved, humanInt(st.MovedBytes), humanInt(m.bytes))
	took := m.now().Sub(m.began).Seconds()
	if st.MovedBytes <= m.atBegin || took <= 0 {
		return text
	}
	rate := float64(st.MovedBytes-m.atBegin) / took
	text += fmt.Sprintf(", %s/s", human(rate))
	if st.MovedBytes < m.bytes {
		left := time.Duration(float64(m.bytes-st.MovedBytes) / rate * float64(time.Second))
		text += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	return text
}
