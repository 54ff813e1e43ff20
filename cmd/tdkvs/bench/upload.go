package bench

import (
	"errors"
	"fmt"
	"strconv"
)

// upload stores one object in parts. An upload that fails is given up.
func (w *worker) upload() (outcome, error) {
	number := w.next.Add(1) - 1
	size := w.load.Sizes.of(number)
	done := outcome{opMultipart, 1, size}
	r := w.object(methodPost, number, size)
	r.query = append(r.query, "uploads="...)
	a, err := w.do(r, nil)
	if err != nil {
		return done, err
	}
	id := element(a.kept, "UploadId")
	if id == "" {
		return done, &failure{kind: wrongAnswer, status: a.status, cause: errors.New("no UploadId")}
	}
	err = w.sendParts(number, size, id)
	if err == nil {
		err = w.complete(number, size, id)
	}
	if err != nil {
		r := w.object(methodDelete, number, size)
		r.query = escape(append(r.query, "uploadId="...), id)
		_, _ = w.do(r, nil) // where this fails, too, the clean-up finds it
	}
	return done, err
}

func (w *worker) sendParts(number uint64, size int64, id string) error {
	w.parts = w.parts[:0]
	for at := int64(0); at < size || at == 0; at += w.load.PartSize {
		r := w.object(methodPut, number, size)
		r.query = strconv.AppendInt(append(r.query, "partNumber="...), int64(len(w.parts)+1), 10)
		r.query = escape(append(r.query, "&uploadId="...), id)
		w.carry(r, number, at, min(w.load.PartSize, size-at))
		a, err := w.do(r, nil)
		if err != nil {
			return err
		}
		if len(a.etag) == 0 {
			return &failure{kind: wrongAnswer, status: a.status, cause: errors.New("a part without ETag")}
		}
		w.parts = append(w.parts, string(a.etag))
	}
	return nil
}

func (w *worker) complete(number uint64, size int64, id string) error {
	w.text = append(w.text[:0], `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`...)
	for i, etag := range w.parts {
		w.text = fmt.Appendf(w.text, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	w.text = append(w.text, "</CompleteMultipartUpload>"...)
	r := w.object(methodPost, number, size)
	r.query = escape(append(r.query, "uploadId="...), id)
	r.headers = "Content-Type: application/xml\r\n"
	w.carryText(r)
	a, err := w.do(r, nil)
	if err != nil {
		return err
	}
	if code := element(a.kept, "Code"); code != "" { // a completion may fail behind its 200
		return &failure{kind: "200 " + code, status: a.status, cause: errors.New(element(a.kept, "Message"))}
	}
	if element(a.kept, "ETag") == "" {
		return &failure{kind: wrongAnswer, status: a.status, cause: errors.New("completed without ETag")}
	}
	return nil
}

// abandon ends the uploads under the session's prefix that are still in progress.
func (w *worker) abandon() error {
	for {
		r := w.whole(methodGet)
		r.query = append(escape(append(r.query, "prefix="...), w.prefix), "&uploads="...)
		a, err := w.do(r, nil)
		if err != nil {
			return err
		}
		keys, ids := elements(a.kept, "Key"), elements(a.kept, "UploadId")
		if len(keys) != len(ids) {
			return &failure{kind: wrongAnswer, status: a.status, cause: errors.New("uploads without key or id")}
		}
		for i, id := range ids {
			number, size, ok := parseName(keys[i])
			if !ok {
				continue // a prefix of the same text, not ours
			}
			r := w.object(methodDelete, number, size)
			r.query = escape(append(r.query, "uploadId="...), id)
			if _, err := w.do(r, nil); err != nil {
				return err
			}
		}
		if len(ids) == 0 || element(a.kept, "IsTruncated") != "true" {
			return nil
		}
	}
}
