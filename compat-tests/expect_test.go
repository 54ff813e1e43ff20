package compattests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestExpectContinue announces bodies with "Expect: 100-continue", as the aws CLI and curl do. The store must ask for the
// body, or else refuse and close the connection. It must do so for an empty body too, although nothing is to be sent:
// after a final answer without a 100 before it, the aws CLI mixes up the next answer on the same connection.
//
// Covers: PutObject.
func TestExpectContinue(t *testing.T) {
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b, key := bucket(t, c, "expecting"), "k"
		signed, err := s3.NewPresignClient(c).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		basic := "Authorization: " + basicAuth(d.accessKey, d.secretKey) + "\r\n"
		for _, body := range []string{"", "a body", strings.Repeat("long ", 50_000)} {
			d.expectRound(t, "S3", u.RequestURI(), "", body, http.StatusOK)
			d.expectRound(t, "native", "/set/expecting", basic, body, http.StatusOK)
			sameBytes(t, "by S3", get(t, c, b, key), []byte(body))
			sameBytes(t, "native", get(t, c, "kv", "expecting"), []byte(body))
			if body != "" {
				d.expectRound(t, "S3, refused", u.Path, "", body, http.StatusForbidden)
				d.expectRound(t, "native, refused", "/set/expecting", "", body, http.StatusUnauthorized)
			}
		}
	})
}

// expectRound sends one PUT that waits for the store's word, and checks the answers.
func (d *deployment) expectRound(t *testing.T, what, target, header, body string, status int) {
	t.Helper()
	what = fmt.Sprintf("%s, %d bytes", what, len(body))
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing more is wanted of it
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\n%sContent-Length: %d\r\n\r\n", target, d.addr, header, len(body))
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	first, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	_ = first.Body.Close() // has none, or is not of interest
	if status != http.StatusOK {
		if first.StatusCode != status || !first.Close {
			t.Errorf("%s: %s, closes %v, want %d and a closed connection", what, first.Status, first.Close, status)
		}
		return
	}
	if first.StatusCode != http.StatusContinue {
		t.Errorf("%s: %s, want 100 first", what, first.Status)
		return
	}
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	last, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	_ = last.Body.Close() // as above
	if last.StatusCode != status {
		t.Errorf("%s: %s, want %d", what, last.Status, status)
	}
}
