package s3api

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"tdkvs/s3api/s3err"
)

// formRequest is a request with a form, which comes in small pieces when slow.
func formRequest(boundary string, body []byte, slow bool) *Request {
	var r io.Reader = bytes.NewReader(body)
	if slow {
		r = iotest.OneByteReader(r)
	}
	hr := httptest.NewRequest("POST", "/bkt", r)
	hr.Header.Set("Content-Type", `multipart/form-data; boundary="`+boundary+`"`)
	return &Request{http: hr, body: hr.Body, Bucket: "bkt"}
}

// FuzzForm reads any bytes as a form: it ends in S3's words, keeps its bounds,
// and the file is a piece of what was sent, however it arrives.
func FuzzForm(f *testing.F) {
	const part = "--b\r\nContent-Disposition: form-data; name="
	f.Add([]byte(part + "key\r\n\r\nk\r\n" + part + "file; filename=f\r\n\r\ncontent\r\n--b--\r\n"))
	f.Add([]byte(part + "file\r\n\r\n\r\n--bcontent\r\n--b \r\n\r\n--b--tail"))
	f.Add([]byte("preamble\r\n" + part + "key\r\n\r\nk\r\n--b--"))
	f.Add([]byte("--b\nContent-Disposition: form-data; name=file\n\nx\n--b--"))
	f.Add([]byte(part + "\"file\"; filename=\"C:\\\\a\\\"b\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		type outcome struct{ code, file string }
		var results [2]outcome
		for i := range results {
			got, err := formRequest("b", body, i == 1).readForm()
			if err != nil {
				results[i].code = s3err.CodeOf(err)
				continue
			}
			size := 0
			for _, field := range got.fields {
				size += len(field.Value)
			}
			if size > maxFormFields {
				t.Fatalf("%d bytes of fields", size)
			}
			file, err := io.ReadAll(newFormFile(got, nil))
			if results[i].file = string(file); err != nil {
				results[i] = outcome{code: s3err.CodeOf(err)}
			} else if !bytes.Contains(body, file) {
				t.Fatalf("the file is not of the form: %q", file)
			}
			if err != nil && results[i].code == "" {
				t.Fatalf("error %v", err)
			}
		}
		if results[0] != results[1] {
			t.Fatalf("in one piece %q, byte by byte %q", results[0], results[1])
		}
	})
}

// FuzzFormRoundTrip reads what the standard library writes.
func FuzzFormRoundTrip(f *testing.F) {
	f.Add("name", "value", "file.txt", []byte("content"))
	f.Add("x-amz-meta-a", "two\r\nlines", "", []byte("\r\n--boundary"))
	f.Add("a", "", `C:\dir\f`, bytes.Repeat([]byte("\r\n--boundar\r"), 9000))
	f.Fuzz(func(t *testing.T, name, value, fileName string, content []byte) {
		if strings.EqualFold(name, "file") || name == "" || len(value) > 10<<10 || len(name) > 1<<10 || len(fileName) > 1<<10 ||
			strings.ContainsFunc(name+fileName, func(c rune) bool { return c < ' ' || c >= 0x7f || strings.ContainsRune(`%"\`, c) }) {
			return
		}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if err := w.SetBoundary("boundary"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(value, "--boundary") || bytes.Contains(content, []byte("\n--boundary")) || bytes.HasPrefix(content, []byte("--boundary")) {
			return
		}
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
		part, err := w.CreateFormFile("file", fileName)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := formRequest("boundary", body.Bytes(), false).readForm()
		if err != nil {
			t.Fatal(err)
		}
		base := fileName[strings.LastIndexByte(fileName, '/')+1:]
		if want := strings.ReplaceAll(value, "${filename}", base); !strings.EqualFold(name, "policy") && got.value(name) != want {
			t.Errorf("field is %q, want %q", got.value(name), want)
		}
		file, err := io.ReadAll(newFormFile(got, nil))
		if err != nil || !bytes.Equal(file, content) {
			t.Errorf("the file is %q, %v", file, err)
		}
	})
}
