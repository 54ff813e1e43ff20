package s3api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/cors"
	"tdkvs/s3api/s3err"
)

// Headers that browsers send across origins, in canonical form.
const (
	originHeader         = "Origin"
	requestMethodHeader  = "Access-Control-Request-Method"
	requestHeadersHeader = "Access-Control-Request-Headers"
)

// crossOrigin says in the headers of the answer, whatever it will be, what the
// bucket's rules grant to the page that a request comes from. A request from an
// origin without a grant goes on, and its answer stays hidden from the page. As
// on AWS, a request that carries the headers of a preflight is matched as one.
//
// A request without Origin costs nothing here.
func (h *handler) crossOrigin(ctx context.Context, header http.Header, r *Request) error {
	if r.Bucket == "" || !r.has(originHeader) || r.http.Method == http.MethodOptions {
		return nil
	}
	rules, ok, err := corsConfig().load(ctx, h, r.Bucket)
	if !ok || err != nil {
		if isKind(err, meta.KindNoSuchBucket) || isKind(err, meta.KindInvalidBucketName) {
			return nil // what this means depends on the operation
		}
		return err
	}
	request, err := r.corsRequest()
	if err != nil {
		return err
	}
	if request.Method == "" {
		request.Method = r.http.Method
	}
	if grant, ok := cors.Match(rules, request); ok {
		writeGrant(func(name, value string) { header[name] = []string{value} }, grant, request.Names)
	}
	return nil
}

// preflight serves the question that a browser asks before a request across
// origins. Nobody signs it, and it tells no more than the rules. Source: AWS
// "OPTIONS object".
func (h *handler) preflight(ctx context.Context, r *Request) (*Response, error) {
	if r.header(originHeader) == "" {
		return nil, s3err.New(s3err.BadRequest, "Insufficient information. Origin request header needed.")
	}
	request, err := r.corsRequest()
	if err != nil {
		return nil, err
	}
	rules, ok, err := corsConfig().load(ctx, h, r.Bucket)
	switch {
	case isKind(err, meta.KindNoSuchBucket), isKind(err, meta.KindInvalidBucketName):
		return nil, r.forbidden(scopeBucket, "CORSResponse: Bucket not found")
	case err != nil:
		return nil, err
	case !ok:
		return nil, r.forbidden(scopeBucket, "CORSResponse: CORS is not enabled for this bucket.")
	case request.Method == "":
		return nil, errRequestMethod("null")
	}
	grant, ok := cors.Match(rules, request)
	if !ok {
		return nil, r.forbidden(r.op.scope, s3err.Of(s3err.AccessForbidden).Message)
	}
	resp := new(Response)
	writeGrant(resp.set, grant, request.Names)
	return resp, nil
}

// corsRequest reads what a browser asks for.
func (r *Request) corsRequest() (cors.Request, error) {
	request := cors.Request{Origin: r.header(originHeader), Method: r.header(requestMethodHeader)}
	if request.Method != "" && !cors.ValidMethod(request.Method) {
		return request, errRequestMethod(request.Method)
	}
	var err error
	request.Names, err = cors.Names(strings.Join(r.http.Header[requestHeadersHeader], ","))
	return request, err
}

func errRequestMethod(method string) error {
	return s3err.New(s3err.BadRequest, "Invalid Access-Control-Request-Method: "+method)
}

// forbidden is the answer to a preflight without a grant.
func (r *Request) forbidden(resource scope, message string) error {
	method := r.header(requestMethodHeader)
	if method == "" {
		method = r.http.Method
	}
	return s3err.New(s3err.AccessForbidden, message).With("Method", method).With("ResourceType", resource.String())
}

// writeGrant adds the headers of a grant with add. names are the requested headers,
// all of which it allows.
func writeGrant(add func(name, value string), g cors.Grant, names []string) {
	set := func(name, value string) {
		if value != "" {
			add(name, value)
		}
	}
	set("Access-Control-Allow-Origin", g.Origin)
	if g.Origin != "*" {
		set("Access-Control-Allow-Credentials", "true")
	}
	set("Access-Control-Allow-Methods", strings.Join(g.Rule.AllowedMethods, ", "))
	set("Access-Control-Allow-Headers", strings.Join(names, ", "))
	set("Access-Control-Expose-Headers", strings.Join(g.Rule.ExposeHeaders, ", "))
	if g.Rule.MaxAge != nil {
		set("Access-Control-Max-Age", strconv.FormatInt(*g.Rule.MaxAge, 10))
	}
	set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
}
