package gateway

import (
	"net/http"
	"strings"
	"testing"

	"tdkvs/gateway/metrics"
)

// TestMetricsAccess: root and the token open the metrics, and nothing else does.
func TestMetricsAccess(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	b := newBench(t, func(cfg *Config) { cfg.MetricsToken = token })
	for name, c := range map[string]struct {
		authorization string
		want          int
	}{
		"nobody":           {"", http.StatusUnauthorized},
		"the token":        {"Bearer " + token, http.StatusOK},
		"in other letters": {"bearer " + token, http.StatusOK},
		"another token":    {"Bearer 0123456789abcdee", http.StatusUnauthorized},
		"half of it":       {"Bearer 01234567", http.StatusUnauthorized},
		"no token":         {"Bearer ", http.StatusUnauthorized},
		"a password":       {"Basic " + token, http.StatusUnauthorized},
	} {
		w := b.do("GET", metrics.Path, "", "Authorization", c.authorization)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
		if shown := strings.Contains(w.Body.String(), "tdkvs_ready"); shown != (c.want == http.StatusOK) {
			t.Errorf("%s: metrics are shown: %t", name, shown)
		}
	}
	if w := b.do("GET", "/get/x", "", "Authorization", "Bearer "+token); w.Code == http.StatusOK || w.Code == http.StatusNotFound {
		t.Errorf("the token opens an object: %d", w.Code)
	}
	if w := b.do("POST", metrics.Path, "", "Authorization", "Bearer "+token); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestMetricsWithoutToken: a token that is not configured opens nothing.
func TestMetricsWithoutToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer x"} {
		if w := b.do("GET", metrics.Path, "", "Authorization", authorization); w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", authorization, w.Code)
		}
	}
}

// TestRequestsAreCounted by operation, class of status and code.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	b := newBench(t, func(cfg *Config) { cfg.MetricsToken = token })
	b.do("GET", "/-/healthz", "")
	b.do("GET", "/get/none", "")
	text := b.do("GET", metrics.Path, "", "Authorization", "Bearer "+token).Body.String()
	for _, line := range []string{
		`tdkvs_requests_total{api="own",operation="Healthz",status="2xx"} 1`,
		`tdkvs_requests_total{api="native",operation="NativeGet",status="4xx"} 1`,
		`tdkvs_request_duration_seconds_count{api="native",operation="NativeGet"} 1`,
		`tdkvs_request_first_byte_seconds_count{api="native",operation="NativeGet"} 1`,
		`tdkvs_requests_in_flight 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not shown: %s", line)
		}
	}
	if strings.Contains(text, "none") && strings.Contains(text, `"none"`) {
		t.Error("a key is shown")
	}
}

// TestCodesAreBounded: codes beyond a number are counted as one.
func TestCodesAreBounded(t *testing.T) {
	t.Parallel()
	var o operation
	for i := range 3 * maxCodes {
		o.failedWith(strings.Repeat("x", i+1))
	}
	if len(o.codes) > maxCodes+1 || o.codes["Other"] != 2*maxCodes {
		t.Errorf("%d codes, %d others", len(o.codes), o.codes["Other"])
	}
}
