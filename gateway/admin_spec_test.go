package gateway

import (
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"tdkvs/gateway/adminapi"
)

// specification is what this test reads of docs/admin-api.yaml.
type specification struct {
	OpenAPI string                               `yaml:"openapi"`
	Servers []struct{ URL string }               `yaml:"servers"`
	Paths   map[string]map[string]specifiedRoute `yaml:"paths"`
	Parts   struct {
		Schemas map[string]specifiedSchema `yaml:"schemas"`
	} `yaml:"components"`
}

type specifiedRoute struct {
	OperationID string `yaml:"operationId"`
	Parameters  []struct {
		Name, In string
		Required bool
	}
	Responses map[string]any
}

type specifiedSchema struct {
	Required   []string
	Properties map[string]any
}

func readSpecification(t *testing.T) specification {
	t.Helper()
	b, err := os.ReadFile("../docs/admin-api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var s specification
	if err := yaml.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAdminRoutesSpecified: the OpenAPI document has every route, with its
// parameters and its success, and nothing else.
func TestAdminRoutesSpecified(t *testing.T) {
	t.Parallel()
	spec := readSpecification(t)
	if !strings.HasPrefix(spec.OpenAPI, "3.1") || len(spec.Servers) != 1 || !strings.HasSuffix(spec.Servers[0].URL, adminapi.Prefix) {
		t.Errorf("version %q, servers %v", spec.OpenAPI, spec.Servers)
	}
	documented := 0
	for _, methods := range spec.Paths {
		documented += len(methods)
	}
	routes := adminRoutes()
	if documented != len(routes) {
		t.Errorf("%d routes are documented, there are %d", documented, len(routes))
	}
	for _, route := range routes {
		doc, ok := spec.Paths[route.path][strings.ToLower(route.method)]
		if !ok || doc.OperationID != route.operation {
			t.Errorf("%s %s: documented as %+v", route.method, route.path, doc)
			continue
		}
		var query []string
		for _, p := range doc.Parameters {
			switch p.In {
			case "query":
				query = append(query, p.Name)
			case "path":
				if !strings.Contains(route.path, "{"+p.Name+"}") || !p.Required {
					t.Errorf("%s %s: path parameter %+v", route.method, route.path, p)
				}
			}
		}
		slices.Sort(query)
		if want := slices.Sorted(slices.Values(route.query)); !slices.Equal(query, want) {
			t.Errorf("%s %s: parameters %v, want %v", route.method, route.path, query, want)
		}
		if _, ok := doc.Responses[map[int]string{http.StatusOK: "200", http.StatusCreated: "201", http.StatusAccepted: "202"}[route.status]]; !ok {
			t.Errorf("%s %s: no answer %d", route.method, route.path, route.status)
		}
	}
}

// TestAdminDocumentsSpecified: each document has the fields that its schema has.
func TestAdminDocumentsSpecified(t *testing.T) {
	t.Parallel()
	schemas := readSpecification(t).Parts.Schemas
	documents := []any{
		adminapi.Cluster{}, adminapi.Metadata{}, adminapi.Volume{}, adminapi.Totals{}, adminapi.Rebalance{}, adminapi.Garbage{}, adminapi.Leftovers{},
		adminapi.Volumes{}, adminapi.NewVolume{}, adminapi.RebalanceChange{}, adminapi.Failure{}, adminapi.FailureText{},
		adminapi.Location{}, adminapi.Extent{}, adminapi.Piece{}, adminapi.Bucket{}, adminapi.Lock{}, adminapi.Buckets{},
		adminapi.Object{}, adminapi.Checksum{}, adminapi.Retention{},
		adminapi.Class{}, adminapi.Zone{}, adminapi.Repair{}, adminapi.Scrub{}, adminapi.Stuck{}, adminapi.Replicas{}, adminapi.VolumeChange{}, adminapi.BucketChange{},
		adminapi.Loss{}, adminapi.LostVolume{}, adminapi.Code{}, adminapi.Damage{}, adminapi.Damages{},
		adminapi.CheckStart{}, adminapi.Check{}, adminapi.CheckProgress{}, adminapi.CheckReport{}, adminapi.CheckTally{}, adminapi.CheckRemedy{},
		adminapi.CheckFinding{}, adminapi.UncheckedVolume{},
		adminapi.BackupStart{}, adminapi.Backup{}, adminapi.Backups{}, adminapi.BackupWants{}, adminapi.BackupWant{},
		adminapi.Stats{}, adminapi.OperationStats{}, adminapi.VolumeStats{}, adminapi.Journal{}, adminapi.JournalSnapshot{},
	}
	if len(documents) != len(schemas) {
		t.Errorf("%d schemas for %d documents", len(schemas), len(documents))
	}
	for _, d := range documents {
		typ := reflect.TypeOf(d)
		schema := schemas[typ.Name()]
		if len(schema.Properties) != typ.NumField() {
			t.Errorf("%s: %d properties for %d fields", typ.Name(), len(schema.Properties), typ.NumField())
		}
		for i := range typ.NumField() {
			name, option, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if _, ok := schema.Properties[name]; !ok {
				t.Errorf("%s: %s is not documented", typ.Name(), name)
			}
			if required := slices.Contains(schema.Required, name); required == (option == "omitempty") {
				t.Errorf("%s: %s is required: %v, and its tag says %q", typ.Name(), name, required, option)
			}
		}
	}
}
