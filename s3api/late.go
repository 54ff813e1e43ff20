package s3api

import (
	"context"
	"net/http"
	"time"
)

// writeLate does the work of a request that may take longer than clients and
// proxies wait. Where it is done within KeepAlive, the answer is an ordinary one.
// Otherwise a 200 goes out with the XML declaration, then a space at every
// interval, and at last the result or an Error document, which SDKs look for in
// the 200 of these operations. Source: AWS CompleteMultipartUpload and
// CopyObject, on a 200 that contains an error.
func (h *handler) writeLate(w http.ResponseWriter, req *Request, resp *Response, info *RequestInfo) error {
	type result struct {
		resp *Response
		err  error
	}
	ctx := req.http.Context()
	done := make(chan result, 1)
	go func() {
		r, err := h.call(ctx, req, func(_ *handler, ctx context.Context, _ *Request) (*Response, error) { return resp.late(ctx) })
		done <- result{r, err}
	}()
	ticker := time.NewTicker(h.cfg.KeepAlive)
	defer ticker.Stop()
	select {
	case res := <-done:
		if res.err != nil {
			return res.err
		}
		return h.writeNow(w, req, res.resp, info)
	case <-ticker.C:
	}
	out := &lateWriter{w: w, written: &info.BytesOut}
	out.begin()
	info.Status = http.StatusOK
	for {
		select {
		case res := <-done:
			var d document
			if res.err != nil {
				e := classify(res.err, req)
				h.record(req, e, res.err, info)
				errorDocument(&d, e, req.http.URL.EscapedPath(), req.id, h.cfg.HostID)
			} else {
				d.b = res.resp.doc.body()
			}
			out.write(d.b)
			return nil
		case <-ticker.C:
			out.write([]byte{' '})
		}
	}
}

// lateWriter writes and flushes. It goes on when the client is gone: the work is
// waited for in any case.
type lateWriter struct {
	w       http.ResponseWriter
	written *int64
}

func (l *lateWriter) begin() {
	l.w.Header()["Content-Type"] = []string{"application/xml"}
	l.w.WriteHeader(http.StatusOK)
	l.write([]byte(xmlHeader))
}

func (l *lateWriter) write(b []byte) {
	n, err := l.w.Write(b)
	*l.written += int64(n)
	if err == nil {
		_ = http.NewResponseController(l.w).Flush() // where it can not, the end flushes
	}
}

// lateResponse is a handler's answer whose work is still to be done.
func lateResponse(work func(ctx context.Context) (*Response, error)) *Response {
	return &Response{late: work}
}
