package s3api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// untouchable is a backend that no request may reach, but to ask whether a
// bucket has a policy. It has none.
type untouchable struct{ Backend }

func (untouchable) BucketConfig(context.Context, string, string) ([]byte, error) { return nil, nil }

func testHandler(t *testing.T, cfg Config) *handler {
	t.Helper()
	cfg.Backend = untouchable{}
	cfg.Logger = slog.New(slog.DiscardHandler)
	if cfg.Credentials == nil {
		cfg.Credentials = func(context.Context, string) (Credential, error) { return Credential{}, ErrNoSuchAccessKey }
	}
	h, ok := NewHandler(cfg).(*handler)
	if !ok {
		t.Fatal("NewHandler returned something else")
	}
	return h
}

func (op *operation) httpRequest() *http.Request {
	query, header := op.request()
	path := [...]string{"/", "/bkt", "/bkt/key"}[op.scope] + "?" + query.Encode()
	r := httptest.NewRequest(op.method, path, nil)
	r.Header = header
	return r
}

// TestAnonymousIsDeniedEverything, and so is whoever has no Authorizer to speak
// for them.
func TestAnonymousIsDeniedEverything(t *testing.T) {
	t.Parallel()
	h := testHandler(t, Config{})
	for _, op := range operations() {
		if op.auth != authRequest {
			continue // TestWhoAuthenticatesAlone
		}
		w := httptest.NewRecorder()
		info := new(RequestInfo)
		h.ServeHTTP(recorded{w, info}, op.httpRequest())
		if w.Code != http.StatusForbidden || info.Operation != op.name || info.ErrorCode != s3err.AccessDenied {
			t.Errorf("%s: status %d, info %+v", op.name, w.Code, info)
		}
	}
}

// recorded is a front end that wants to know.
type recorded struct {
	http.ResponseWriter
	info *RequestInfo
}

func (r recorded) RequestInfo() *RequestInfo { return r.info }

// TestWhoAuthenticatesAlone lists the operations that the pipeline lets through
// to their handlers as they come.
func TestWhoAuthenticatesAlone(t *testing.T) {
	t.Parallel()
	want := map[string]authKind{"PreflightBucket": authNobody, "PreflightObject": authNobody, "PostObject": authForm}
	for _, op := range operations() {
		if op.auth != want[op.name] {
			t.Errorf("%s: authentication is %d, want %d", op.name, op.auth, want[op.name])
		}
		if op.auth == authNobody && (op.permission != "" || op.method != http.MethodOptions) {
			t.Errorf("%s: is not for everybody", op.name)
		}
	}
}

// TestAuthorizeFailsClosed for every row, and for a row that names no permission.
func TestAuthorizeFailsClosed(t *testing.T) {
	t.Parallel()
	user := Identity{AccessKey: "k", UserID: "u"}
	root := Identity{AccessKey: "r", Root: true}
	var asked []Access
	deny := authorizerFunc(func(a Access) error { asked = append(asked, a); return ErrDenied })
	for _, op := range operations() {
		if op.auth == authNobody {
			continue
		}
		bare := op
		bare.permission, bare.versionPermission = "", ""
		for _, tt := range []struct {
			name       string
			authorizer Authorizer
			identity   Identity
			op         operation
			allowed    bool
		}{
			{"user without authorizer", nil, user, op, false},
			{"user denied", deny, user, op, op.perKey}, // there it is asked for each key
			{"root", nil, root, op, true},
			{"no permission, user", authorizerFunc(func(Access) error { return nil }), user, bare, false},
			{"no permission, root", nil, root, bare, false},
		} {
			h := testHandler(t, Config{Authorizer: tt.authorizer})
			r := &Request{http: op.httpRequest(), op: &tt.op, Identity: tt.identity, auth: &sigv4.Result{}}
			if err := h.authorizeRow(t.Context(), r); (err == nil) != tt.allowed || err != nil && s3err.CodeOf(err) != s3err.AccessDenied {
				t.Errorf("%s, %s: %v", op.name, tt.name, err)
			}
		}
	}
	if len(asked) < 100 {
		t.Fatalf("the authorizer was asked %d times", len(asked))
	}
	for _, a := range asked {
		if a.Permission == "" || a.Operation == "" || a.Identity.UserID != "u" {
			t.Errorf("asked for %+v", a)
		}
	}
}

type authorizerFunc func(Access) error

func (f authorizerFunc) Authorize(_ context.Context, a Access) error { return f(a) }

func TestVersionPermission(t *testing.T) {
	t.Parallel()
	var asked Access
	h := testHandler(t, Config{Authorizer: authorizerFunc(func(a Access) error { asked = a; return nil })})
	for _, tt := range []struct{ query, want string }{{"", "s3:GetObject"}, {"versionId=v1", "s3:GetObjectVersion"}} {
		r := &Request{http: httptest.NewRequest("GET", "/bkt/key?"+tt.query, nil), Identity: Identity{AccessKey: "k"}, auth: &sigv4.Result{}}
		if err := h.match(r); err != nil {
			t.Fatal(err)
		}
		if err := h.authorizeRow(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if asked.Permission != tt.want || asked.Bucket != "bkt" || asked.Key != "key" || asked.VersionID != r.param("versionId") {
			t.Errorf("%s: asked for %+v", tt.query, asked)
		}
	}
}

// TestBrokenAuthorizer: an Authorizer that fails is no permission, and no denial.
func TestBrokenAuthorizer(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	h := testHandler(t, Config{Authorizer: authorizerFunc(func(Access) error { return broken })})
	op := operations()[0]
	r := &Request{http: op.httpRequest(), op: &op, Identity: Identity{AccessKey: "k"}, auth: &sigv4.Result{}}
	err := h.authorizeRow(t.Context(), r)
	if e := classify(err, r); e.Code != s3err.InternalError || !errors.Is(e, broken) {
		t.Errorf("got %v", err)
	}
}

func TestNewHandlerWantsItsParts(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {Open: true}, {Backend: untouchable{}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", cfg)
				}
			}()
			NewHandler(cfg)
		}()
	}
}
