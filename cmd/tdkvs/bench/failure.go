package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// What a request can fail with, beside the codes that endpoints answer.
const (
	noConnection = "no connection"
	timedOut     = "timeout"
	brokenOff    = "broken off" // the connection ended before the answer did
	notHTTP      = "not HTTP"   // an answer that can not be read
	wrongLength  = "wrong length"
	wrongBytes   = "wrong bytes"
	wrongList    = "wrong list"   // keys are missing or too many
	wrongAnswer  = "wrong answer" // a document without what it must say
)

// failure is what came of a request that was not answered as it should be.
type failure struct {
	kind   string // the key under which it is counted
	status int    // 0: not answered
	cause  error
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.kind
	}
	return fmt.Sprintf("%s: %v", f.kind, f.cause)
}

func (f *failure) Unwrap() error { return f.cause }

// answered is the failure that an endpoint has answered.
func answered(status int, document []byte) *failure {
	kind := strconv.Itoa(status)
	if code := element(document, "Code"); code != "" {
		kind += " " + code
	}
	f := &failure{kind: kind, status: status}
	if message := element(document, "Message"); message != "" {
		f.cause = errors.New(message)
	}
	return f
}

// broken is the failure of a connection.
func broken(err error) *failure {
	var network net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return &failure{kind: timedOut, cause: err}
	}
	return &failure{kind: brokenOff, cause: err}
}

// kindOf returns the key under which an error is counted.
func kindOf(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.kind
	}
	return brokenOff
}

// lasting tells whether the connection can still be used after an error.
func lasting(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.status != 0
}
