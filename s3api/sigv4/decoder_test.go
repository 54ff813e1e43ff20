package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// exampleChunks returns the result of a verified request whose chunks are signed
// from a made-up seed.
func exampleChunks(mode PayloadMode, size int) *Result {
	res := &Result{Payload: mode, Size: int64(size), chunks: &chunkSigner{
		key: deriveKey(exampleSecret, scope{"20130524", "us-east-1", "s3"}), accessKey: exampleKey,
		previous: strings.Repeat("5eed", 16), scope: "20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n",
	}}
	if mode == StreamingUnsignedTrailer {
		res.chunks = nil
	}
	if mode != StreamingSigned {
		res.Trailers = []string{"x-amz-checksum-crc32"}
	}
	return res
}

func exampleEncoder(res *Result) *encoder {
	e := &encoder{signer: res.chunks}
	if res.Trailers != nil {
		e.trailers = []trailer{{"x-amz-checksum-crc32", "AAAAAA=="}}
	}
	return e
}

var chunkedModes = []PayloadMode{StreamingSigned, StreamingSignedTrailer, StreamingUnsignedTrailer}

// TestRoundTrip decodes what the encoder makes, for sizes around chunk and
// buffer boundaries, read in several ways.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, mode := range chunkedModes {
		for _, size := range []int{0, 1, minChunk - 1, minChunk, minChunk + 1, 3 * minChunk, readerSize, readerSize * 3, 100_003} {
			for _, chunk := range []int{minChunk, 64 << 10, 1 << 20} {
				data := bytes.Repeat([]byte("tdkvs"), size/5+1)[:size]
				for _, end := range []string{"\r\n", "\n", "\n\r\n"} {
					res := exampleChunks(mode, size)
					e := exampleEncoder(res)
					e.lineEnd = end
					encoded := e.encode(t, data, chunk)
					sources := map[string]io.Reader{
						"plain":    bytes.NewReader(encoded),
						"half":     iotest.HalfReader(bytes.NewReader(encoded)),
						"data+err": iotest.DataErrReader(bytes.NewReader(encoded)),
					}
					if mode != StreamingUnsignedTrailer { // there AWS insists on it
						sources["no last end"] = bytes.NewReader(encoded[:len(encoded)-2])
					}
					for name, src := range sources {
						body := res.Body(src)
						got, err := io.ReadAll(body)
						if err != nil || !bytes.Equal(got, data) {
							t.Fatalf("mode %d, %d bytes in chunks of %d, %s: %d bytes, %v", mode, size, chunk, name, len(got), err)
						}
						if v, ok := body.Trailer("x-amz-checksum-crc32"); ok != (mode != StreamingSigned) || ok && v != "AAAAAA==" {
							t.Errorf("trailer %q %t", v, ok)
						}
						if err := body.Close(); err != nil {
							t.Error(err)
						}
					}
				}
			}
		}
	}
}

// TestWrongChunks changes encoded bodies and shows the answers.
func TestWrongChunks(t *testing.T) {
	t.Parallel()
	const (
		size         = 3 * minChunk
		cutShort     = "IncompleteBody: The request body terminated unexpectedly"
		wrongLength  = "IncompleteBody: You did not provide the number of bytes specified by the Content-Length HTTP header"
		smallChunk   = "InvalidChunkSizeError: Only the last chunk is allowed to have a size less than 8192 bytes"
		badTrailer   = "MalformedTrailerError: The request contained trailing data that was not well-formed or did not conform to our published schema."
		firstHeader  = "2000"
		trailerLine  = "x-amz-checksum-crc32:AAAAAA=="
		trailerError = noMatch
	)
	data := bytes.Repeat([]byte("d"), size)
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				panic(fmt.Sprintf("%q is not in the body", old)) // a mistake in this file
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	signed, signedTrailer, unsigned := chunkedModes[:2], chunkedModes[1:2], chunkedModes[2:]
	trailers := chunkedModes[1:]
	for _, tt := range []struct {
		name   string
		modes  []PayloadMode
		size   int // declared, 0 means the right one
		change func([]byte) []byte
		status int
		want   string
	}{
		{"empty", chunkedModes, 0, cut(0), 400, cutShort},
		{"cut in the header", chunkedModes, 0, cut(2), 400, cutShort},
		{"cut in the data", chunkedModes, 0, cut(minChunk), 400, cutShort},
		{"cut in the last chunk", chunkedModes, 0, func(b []byte) []byte { return b[:bytes.Index(b, []byte("\r\n0"))-1] }, 400, cutShort},
		{"cut before the final chunk", chunkedModes, 0, func(b []byte) []byte { return b[:bytes.Index(b, []byte("\r\n0"))+2] }, 400, cutShort},
		{"no size", chunkedModes, 0, replace(firstHeader, ""), 400, cutShort},
		{"size no number", chunkedModes, 0, replace(firstHeader, "20x0"), 400, cutShort},
		{"size signed", chunkedModes, 0, replace(firstHeader, "+200"), 400, cutShort},
		{"size with prefix", chunkedModes, 0, replace(firstHeader, "0x2000"), 400, cutShort},
		{"size too long", chunkedModes, 0, replace(firstHeader, "00000000000002000"), 400, cutShort},
		{"header without end", chunkedModes, 0, func([]byte) []byte { return bytes.Repeat([]byte("0"), maxLine+readerSize) }, 400, cutShort},
		{"header with a bare newline", unsigned, 0, replace("2000\r\n", "2000\n"), 400, cutShort},
		{"chunk larger than its data", chunkedModes, 0, replace(firstHeader, "2001"), 400, cutShort},
		{"chunk larger than everything", chunkedModes, 0, replace(firstHeader, "ffffffffffffffff"), 400, wrongLength},
		{"chunk smaller than its data", chunkedModes, 0, replace(firstHeader, "1fff"), 400, cutShort},
		{"more than declared", chunkedModes, size - 1, bytes.Clone, 400, wrongLength},
		{"less than declared", chunkedModes, size + 1, bytes.Clone, 400, wrongLength},
		{"data behind the end", signed[:1], 0, func(b []byte) []byte { return append(b, 'x') }, 400, cutShort},
		{"other bytes", signed, 0, replace("ddd", "ded"), 403, noMatch},
		{"no signature", signed, 0, replace(";chunk-signature=", ""), 400, cutShort},
		{"other field", signed, 0, replace(";chunk-signature=", ";chunk-sigmature="), 400, cutShort},
		{"signature no hex", signed, 0, replace("chunk-signature=", "chunk-signature=x"), 400, cutShort},
		{"other signature", signed, 0, func(b []byte) []byte {
			i := bytes.IndexByte(b, '=') + 1
			b[i] = "10"[b[i]&1]
			return b
		}, 403, noMatch},
		{"final chunk's signature", signed, 0, func(b []byte) []byte {
			i := bytes.Index(b, []byte("\r\n0;chunk-signature=")) + len("\r\n0;chunk-signature=")
			b[i] = "10"[b[i]&1]
			return b
		}, 403, noMatch},
		{"no trailer", unsigned, 0, replace(trailerLine+"\r\n", ""), 400, badTrailer},
		{"trailer without colon", trailers, 0, replace(trailerLine, "x-amz-checksum-crc32"), 400, badTrailer},
		{"trailer not announced", trailers, 0, replace(trailerLine, "x-amz-checksum-sha1:AAAA"), 400, badTrailer},
		{"trailer twice", trailers, 0, replace(trailerLine, trailerLine+"\r\n"+trailerLine), 400, badTrailer},
		{"trailer too long", trailers, 0, replace(trailerLine, trailerLine+strings.Repeat("=", maxLine)), 400, cutShort},
		{"signature of nothing signed", unsigned, 0, replace(trailerLine, trailerLine+"\r\n"+trailerField+":00"), 400, badTrailer},
		{"other trailer", signedTrailer, 0, replace(trailerLine, "x-amz-checksum-crc32:BAAAAA=="), 403, trailerError},
		{"no trailer signature", signedTrailer, 0, func(b []byte) []byte { return b[:bytes.Index(b, []byte(trailerField))] }, 400, badTrailer},
		{"empty trailer signature", signedTrailer, 0, func(b []byte) []byte {
			return append(b[:bytes.Index(b, []byte(trailerField))+len(trailerField)+1], "\r\n\r\n"...)
		}, 400, cutShort},
		{"trailer behind its signature", signedTrailer, 0, func(b []byte) []byte { return append(b[:len(b)-2], "x-amz-meta-a:1\r\n"...) }, 400, cutShort},
		{"noise behind the trailer's signature", signedTrailer, 0, func(b []byte) []byte { return append(b[:len(b)-2], "pp"...) }, 400, cutShort},
		{"noise instead of the last lines", signedTrailer, 0, func(b []byte) []byte { return append(b[:len(b)-4], "erty"...) }, 400, cutShort},
		{"trailer signature too long", signedTrailer, 0, replace(trailerField+":", trailerField+":0"), 400, cutShort},
		{"trailer signature under another name", signedTrailer, 0, replace(trailerField, "x-amz-trailer-signatory"), 400, cutShort},
		{"trailer line without its newline", signedTrailer, 0, replace(trailerLine+"\r\n", trailerLine+"\r"), 400, cutShort},
		{"no last line", unsigned, 0, func(b []byte) []byte { return b[:len(b)-2] }, 400, cutShort},
		{"nothing behind the final chunk", unsigned, 0, func(b []byte) []byte { return b[:bytes.Index(b, []byte(trailerLine))] }, 400, cutShort},
		{"chunk larger than declared, and than its data", chunkedModes, size - 5, replace(firstHeader, "5ffc"), 400, cutShort},
	} {
		for _, mode := range tt.modes {
			t.Run(fmt.Sprintf("%s, mode %d", tt.name, mode), func(t *testing.T) {
				t.Parallel()
				encoded := exampleEncoder(exampleChunks(mode, size)).encode(t, data, minChunk)
				declared := tt.size
				if declared == 0 {
					declared = size
				}
				body := exampleChunks(mode, declared).Body(bytes.NewReader(tt.change(encoded)))
				got, err := io.ReadAll(body)
				wrong{status: tt.status, want: tt.want}.check(t, err)
				if len(got) > declared {
					t.Errorf("%d bytes of %d declared", len(got), declared)
				}
				if _, again := body.Read(make([]byte, 1)); !errors.Is(again, err) {
					t.Errorf("second read: %v", again)
				}
				if _, ok := body.Trailer("x-amz-checksum-crc32"); ok {
					t.Error("trailer of a bad body")
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}

	t.Run("small chunk", func(t *testing.T) {
		t.Parallel()
		for _, mode := range chunkedModes {
			encoded := exampleEncoder(exampleChunks(mode, size)).encode(t, data, minChunk-1)
			_, err := io.ReadAll(exampleChunks(mode, size).Body(bytes.NewReader(encoded)))
			wrong{status: 403, want: smallChunk}.check(t, err)
			if field(err, "Chunk") != "2" || field(err, "BadChunkSize") != "8191" {
				t.Errorf("chunk %s of %s bytes", field(err, "Chunk"), field(err, "BadChunkSize"))
			}
		}
	})
}

// TestNoTrailerAnnounced: a body of a trailer mode may have none.
func TestNoTrailerAnnounced(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"5\r\nhello\r\n0\r\n\r\n": "",
		"5\r\nhello\r\n0\r\n":     "IncompleteBody: The request body terminated unexpectedly",
		"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n": "MalformedTrailerError: " +
			"The request contained trailing data that was not well-formed or did not conform to our published schema.",
	} {
		res := &Result{Payload: StreamingUnsignedTrailer, Size: 5}
		got, err := io.ReadAll(res.Body(strings.NewReader(body)))
		if want == "" && (err != nil || string(got) != "hello") {
			t.Errorf("%q: %q, %v", body, got, err)
		}
		if want != "" {
			wrong{status: 400, want: want}.check(t, err)
		}
	}
}

func TestBodyPassesThrough(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	plain := (&Result{}).Body(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cause)))
	got, err := io.ReadAll(plain)
	if string(got) != "abc" || !errors.Is(err, cause) {
		t.Errorf("%q, %v", got, err)
	}
	if _, ok := plain.Trailer("a"); ok {
		t.Error("trailer of a plain body")
	}
	if err := plain.Close(); err != nil {
		t.Error(err)
	}
	for _, head := range []string{"", "2", "2\r\nab", "2\r\nab\r\n0\r\n", "2\r\nab\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n"} {
		body := exampleChunks(StreamingUnsignedTrailer, 2).Body(io.MultiReader(strings.NewReader(head), iotest.ErrReader(cause)))
		if _, err := io.ReadAll(body); !errors.Is(err, cause) {
			t.Errorf("%q: %v, want the connection's error", head, err)
		}
	}
}

func TestBodyClosed(t *testing.T) {
	t.Parallel()
	body := exampleChunks(StreamingUnsignedTrailer, 2).Body(strings.NewReader("2\r\nab\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"))
	if n, err := body.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	if _, err := io.ReadAll(body); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
		t.Errorf("read after close: %v", err)
	}
	if v, _ := body.Trailer("x-amz-checksum-crc32"); v != "AAAAAA==" {
		t.Errorf("trailer after close: %q", v)
	}
}

// FuzzDecoder feeds any bytes as a body: no panic, never more than declared, and
// a signed body passes only if it is the one that was signed.
func FuzzDecoder(f *testing.F) {
	data := []byte("hello, world")
	genuine := map[PayloadMode][]byte{}
	for _, mode := range chunkedModes {
		res := exampleChunks(mode, len(data))
		e := exampleEncoder(res)
		encoded := e.encode(f, data, 1<<20)
		genuine[mode] = data
		f.Add(uint8(mode), encoded)
		f.Add(uint8(mode), encoded[:len(encoded)/2])
	}
	f.Add(uint8(StreamingUnsignedTrailer), []byte("c;x=y\r\nhello, world\r\n00\r\n\r\nX-Amz-Checksum-CRC32 : AAAA \n\r\n"))
	f.Fuzz(func(t *testing.T, mode uint8, body []byte) {
		m := chunkedModes[int(mode)%len(chunkedModes)]
		b := exampleChunks(m, len(data)).Body(iotest.HalfReader(bytes.NewReader(body)))
		got, err := io.ReadAll(b)
		if len(got) > len(data) {
			t.Errorf("%d bytes of %d declared", len(got), len(data))
		}
		if err == nil && len(got) != len(data) {
			t.Errorf("accepted %d bytes of %d declared", len(got), len(data))
		}
		if err == nil && m != StreamingUnsignedTrailer && !bytes.Equal(got, genuine[m]) {
			t.Errorf("forged: %q", got)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzRoundTrip encodes and decodes any data in any chunk size.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint8(0), []byte("hello"), uint16(0))
	f.Add(uint8(2), bytes.Repeat([]byte("x"), 500), uint16(99))
	f.Fuzz(func(t *testing.T, mode uint8, data []byte, chunk uint16) {
		m := chunkedModes[int(mode)%len(chunkedModes)]
		res := exampleChunks(m, len(data))
		n := minChunk + int(chunk)
		body := res.Body(bytes.NewReader(exampleEncoder(res).encode(t, data, n)))
		got, err := io.ReadAll(body)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
		}
	})
}

func BenchmarkBody(b *testing.B) {
	data := bytes.Repeat([]byte("tdkvs"), 8<<20/5)
	for _, mode := range chunkedModes {
		res := exampleChunks(mode, len(data))
		encoded := exampleEncoder(res).encode(b, data, 64<<10)
		buf := make([]byte, 256<<10)
		b.Run(fmt.Sprintf("mode %d", mode), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				body := res.Body(bytes.NewReader(encoded))
				for {
					_, err := body.Read(buf)
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := body.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
