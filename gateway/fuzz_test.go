package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"tdkvs/gateway/adminapi"
)

// FuzzAdminBody reads arbitrary bytes as the body of each request of the admin
// API. What is accepted says nothing beyond what was understood, and what was
// understood can be said again.
func FuzzAdminBody(f *testing.F) {
	f.Add([]byte(`{"url":"http://a:1","weight":2,"zone":"z"}`))
	f.Add([]byte(`{"paused":true,"concurrency":3,"bytes_per_second":-1}`))
	f.Add([]byte(`{"deep":true,"examples":5} `))
	f.Add([]byte(`{"replicas":3}{"replicas":4}`))
	f.Add([]byte(`{"weight":1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{new(adminapi.NewVolume), new(adminapi.RebalanceChange), new(adminapi.CheckStart), new(adminapi.VolumeChange)} {
			r := &adminRequest{body: body}
			if err := r.decode(into); err != nil {
				var fail *failure
				if !errors.As(err, &fail) || fail.status != http.StatusBadRequest {
					t.Errorf("%q: %v", body, err)
				}
				continue
			}
			said, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			again := reflect.New(reflect.TypeOf(into).Elem()).Interface()
			if err := (&adminRequest{body: said}).decode(again); err != nil || !reflect.DeepEqual(into, again) {
				t.Errorf("%q is understood as %s, and that as %+v, %v", body, said, again, err)
			}
			if !json.Valid(body) {
				t.Errorf("%q is no JSON", body)
			}
		}
	})
}

// FuzzWriteCondition: the condition of a native write that is accepted is one
// ETag or "*", and says so again.
func FuzzWriteCondition(f *testing.F) {
	f.Add(`"abc"`, "")
	f.Add("*", "*")
	f.Add(`W/"abc"`, `"a", "b"`)
	f.Add(`""`, `"`)
	f.Fuzz(func(t *testing.T, match, noneMatch string) {
		h := http.Header{"If-Match": {match}, "If-None-Match": {noneMatch}}
		if match == "" {
			delete(h, "If-Match")
		}
		if noneMatch == "" {
			delete(h, "If-None-Match")
		}
		p, err := writeCondition(h)
		var fail *failure
		if err != nil {
			if !errors.As(err, &fail) || fail.status != http.StatusBadRequest {
				t.Errorf("%q %q: %v", match, noneMatch, err)
			}
			return
		}
		if (p.IfMatch == "") != (match == "") || (p.IfNoneMatch == "") != (noneMatch == "") {
			t.Errorf("%q %q became %+v: a condition is lost, or made up", match, noneMatch, p)
			return
		}
		for name, value := range map[string]string{"If-Match": p.IfMatch, "If-None-Match": p.IfNoneMatch} {
			if value == "" {
				continue
			}
			sent := value
			if !strings.Contains(value, `"`) { // in quotes a space at its end is part of it
				sent = `"` + value + `"`
			}
			again, err := writeCondition(http.Header{name: {sent}})
			if err != nil || again.IfMatch+again.IfNoneMatch != value {
				t.Errorf("%q comes back as %+v, %v", value, again, err)
			}
		}
	})
}
