package modeltest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// run is a store and the model, side by side.
type run struct {
	store    Store
	m        *model
	g        *rand.Rand // of the operation under way
	realTime bool
	log      []string
	history  []string
	names    map[string]string // of ids that the store made up

	mu sync.Mutex // guards m.now
}

func newModel() *model {
	return &model{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), buckets: map[string]*bucket{}}
}

// clock is the time in the store.
func (x *run) clock() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.m.now
}

// pass has time go by.
func (x *run) pass(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.m.now = x.m.now.Add(d)
	if x.realTime {
		x.m.now = time.Now().UTC().Truncate(time.Millisecond)
	}
}

func (x *run) failf(format string, args ...any) {
	panic(&Failure{What: fmt.Sprintf(format, args...)})
}

func (x *run) note(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

// request is what is sent.
type request struct {
	method string
	path   string // decoded
	query  url.Values
	header map[string]string
	body   []byte
}

// object is a request about an object.
func object(method, bucket, key string) *request {
	return &request{method: method, path: "/" + bucket + "/" + key, query: url.Values{}, header: map[string]string{}}
}

// about is a request about a bucket.
func about(method, bucket string) *request {
	return &request{method: method, path: "/" + bucket, query: url.Values{}, header: map[string]string{}}
}

// version adds the version that is meant; none where id is empty.
func (r *request) version(id string) *request {
	if id != "" {
		r.query.Set("versionId", id)
	}
	return r
}

// document adds a body with the digest that documents must have.
func (r *request) document(doc string) *request {
	r.body = []byte(doc)
	r.header["Content-MD5"] = md5Base64(r.body)
	return r
}

// target is the path and the query as they are sent.
func (r *request) target() string {
	var b strings.Builder
	for i := range len(r.path) {
		c := r.path[i]
		if c == '/' || c == '-' || c == '.' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	if query := r.query.Encode(); query != "" {
		b.WriteString("?" + query)
	}
	return b.String()
}

func (r *request) String() string {
	s := r.method + " " + r.target()
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		s += fmt.Sprintf(" %s:%q", name, r.header[name])
	}
	switch {
	case len(r.body) > 300, len(r.body) > 0 && r.body[0] != '<' && r.body[0] != '{':
		s += fmt.Sprintf(" %d bytes", len(r.body))
	case len(r.body) > 0:
		s += fmt.Sprintf(" %q", r.body)
	}
	return s
}

// got is an answer.
type got struct {
	status int
	header map[string]string // by name in lower case, without those of the transport
	body   []byte
}

// send sends a request.
func (x *run) send(r *request) got {
	u, err := url.ParseRequestURI(r.target())
	if err != nil {
		x.failf("%v: %v", r, err)
	}
	x.note("%v", r)
	req := &http.Request{
		Method: r.method, URL: u, RequestURI: r.target(), Host: host, RemoteAddr: "127.0.0.1:5555",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, ContentLength: int64(len(r.body)), Body: http.NoBody,
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if r.method == http.MethodPut || r.method == http.MethodPost {
		req.Header.Set("Content-Length", fmt.Sprint(len(r.body)))
		req.Body = io.NopCloser(bytes.NewReader(r.body))
	}
	answer, err := x.store.Serve(req)
	if err != nil {
		x.failf("%v: %v", r, err)
	}
	g := got{status: answer.Status, header: map[string]string{}, body: answer.Body}
	for name, values := range answer.Header {
		switch name = strings.ToLower(name); name {
		case "date", "server", "x-amz-request-id", "x-amz-id-2", "connection", "x-content-type-options":
		default:
			g.header[name] = strings.Join(values, ", ")
		}
	}
	return g
}

// host is what requests are sent to, as far as they know.
const host = "127.0.0.1:3000"

// want is the answer that there should be.
type want struct {
	status int
	code   string // of an error; its document is not compared otherwise
	header map[string]string
	doc    *node
	body   []byte
	// text says that the body of an error is for people: only that there is one
	// matters.
	text bool
}

// refused is the answer of an error.
func refused(status int, code string) *want {
	return &want{status: status, code: code, header: map[string]string{}}
}

// with adds a header, unless it has no value.
func (w *want) with(name, value string) *want {
	if value != "" {
		w.header[name] = value
	}
	return w
}

// answered is the answer of a success without a body.
func answered(status int) *want {
	w := &want{status: status, header: map[string]string{}}
	if status == http.StatusOK {
		w.header["content-length"] = "0"
	}
	return w
}

// documented is the answer of a document.
func documented(doc node) *want {
	return &want{status: http.StatusOK, header: map[string]string{"content-type": "application/xml"}, doc: &doc}
}

// ask sends a request and compares the answer.
func (x *run) ask(r *request, w *want) got {
	g := x.send(r)
	x.compare(r, g, w)
	return g
}

// compare compares an answer with what it should be, and enters it into the history.
func (x *run) compare(r *request, g got, w *want) {
	wrong := func(what string, is, should any) {
		x.failf("%v:\n%s is %v\nwant %v\nstatus %d, headers %v\n%s", r, what, is, should, g.status, g.header, brief(g.body))
	}
	if g.status != w.status {
		wrong("status", g.status, w.status)
	}
	header := maps.Clone(g.header)
	body := string(g.body)
	switch {
	case w.code != "" || w.text:
		delete(header, "content-length")
		delete(header, "content-type")
		if w.code != "" && r.method != http.MethodHead {
			doc, err := parse(g.body)
			if code := doc.find("Code"); err != nil || code != w.code {
				wrong("code", code, w.code)
			}
			body = w.code
		}
		if w.text {
			body = "a text"
		}
	case w.doc != nil:
		body = x.compareDocument(g, w, wrong)
		if header["content-length"] == fmt.Sprint(len(g.body)) {
			delete(header, "content-length")
		}
	case !bytes.Equal(g.body, w.body):
		wrong("body", brief(g.body), brief(w.body))
	default:
		body = md5Hex(g.body)
	}
	if x.realTime {
		for _, h := range []map[string]string{header, w.header} {
			delete(h, "last-modified")
			delete(h, "x-amz-object-lock-retain-until-date")
		}
	}
	if !maps.Equal(header, w.header) {
		wrong("header", header, w.header)
	}
	var all []string
	for name, value := range header {
		all = append(all, name+": "+value)
	}
	slices.Sort(all)
	asked := *r
	asked.header = maps.Clone(r.header)
	delete(asked.header, "Content-MD5") // of a document with ids in it, it is another one in each store
	x.history = append(x.history, x.named(fmt.Sprintf("%v\n%d %s\n%s", &asked, g.status, strings.Join(all, "; "), body)))
}

// compareDocument compares documents, and returns that of the answer.
func (x *run) compareDocument(g got, w *want, wrong func(what string, is, should any)) string {
	doc, err := parse(g.body)
	if err != nil {
		wrong("document", err, "XML")
	}
	is, should := doc.lines(), w.doc.lines()
	if x.realTime {
		is, should = timeless(is), timeless(should)
	}
	if i := firstDifference(is, should); i >= 0 {
		wrong("document", at(is, i), at(should, i))
	}
	return strings.Join(is, "\n")
}

// named has the ids that a store made up replaced by names that are alike in all
// stores.
func (x *run) named(s string) string {
	for id, name := range x.names {
		s = strings.ReplaceAll(s, url.QueryEscape(id), name)
		s = strings.ReplaceAll(s, id, name)
	}
	return s
}

// learn takes note of an id that the store made up, which must be a new one.
func (x *run) learn(kind, id string) string {
	if len(id) < 16 || x.names[id] != "" || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-+/") != "" {
		x.failf("%q is no new id of a %s", id, kind)
	}
	x.names[id] = fmt.Sprintf("(%s %d)", kind, len(x.names)+1)
	return id
}

// brief is the beginning of a body.
func brief(b []byte) string {
	if len(b) > 400 {
		return fmt.Sprintf("%d bytes: %q...", len(b), b[:400])
	}
	return fmt.Sprintf("%q", b)
}
