package gateway

import "testing"

// FuzzAdminQuery: of a query that is accepted every parameter is known, and
// there once.
func FuzzAdminQuery(f *testing.F) {
	f.Add("limit=3&after=a%2Fb")
	f.Add("limit=1&limit=2")
	f.Add("%zz;=")
	known := []string{"limit", "after"}
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := readQuery(raw, known)
		if err != nil {
			return
		}
		if len(query) != min(len(query), 2) || len(query["limit"]) > 1 || len(query["after"]) > 1 {
			t.Errorf("%q is taken for %v", raw, query)
		}
	})
}
