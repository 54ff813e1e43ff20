package sigv4

import "net/http"

// Unverified reads what a request says of its body, whether it is signed or not
// and with whatever key, without checking any signature, for a store that is open
// to whoever reaches it. Kind tells how the request was signed, AccessKey stays
// empty. Framing, lengths and trailers of the body are checked as ever; the
// signatures of its chunks are read past. Every error is an *Error.
func Unverified(r *http.Request) (*Result, error) {
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	payload := first(r.Header, "X-Amz-Content-Sha256")
	res := &Result{}
	if _, ok := find(params, paramSignature); ok {
		res.Kind = Presigned
		if p, ok := find(params, paramPayload); ok {
			payload = p.decoded()
		}
	} else if first(r.Header, "Authorization") != "" {
		res.Kind = Header
		if payload == "" {
			payload = payloadUnsigned
		}
	}
	if err := res.readPayload(r, payload); err != nil {
		return nil, err
	}
	return res, nil
}
