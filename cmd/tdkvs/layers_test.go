package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "tdkvs"

// layer is a folder of the module, with all below it that has no row of its
// own. A package imports packages of its own folder and of lower heights only.
type layer struct {
	folder string
	height int
	// sees, where it is not nil, narrows this for the code that is shipped: the
	// only packages of ours, outside its own folder, that it may know.
	sees []string
}

// layers says what the folders are to each other. volume and placement do not
// know each other: neither is below.
func layers() []layer {
	return []layer{
		{folder: "cmd/tdkvs", height: 6},
		// The load generator knows endpoints over the wire, and of the store no
		// more than how a disk is written to.
		{folder: "cmd/tdkvs/bench", height: 5, sees: []string{"volume/vfs"}},
		{folder: "gateway", height: 5},
		{folder: "backup", height: 5, sees: []string{"s3api/sigv4", "volume/vfs"}},
		{folder: "s3api", height: 4, sees: []string{"master/meta"}},
		{folder: "master", height: 3},
		{folder: "master/metadb", height: 2, sees: []string{"master/meta", "master/latency", "failpoint"}},
		{folder: "master/meta", height: 1, sees: []string{}},
		{folder: "master/latency", height: 1, sees: []string{}},
		{folder: "volume", height: 1, sees: []string{"failpoint"}},
		{folder: "placement", height: 1, sees: []string{}},
		// Where tests kill the process: nothing in what is shipped.
		{folder: "failpoint", height: 0, sees: []string{}},
		// Black-box tests know the binary and the wire, nothing of the code.
		{folder: "compat-tests", height: 0, sees: []string{}},
	}
}

// goPackage is what "go list -json" says of a package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// within tells whether a package lies in a folder.
func within(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

// layerOf finds the row with the longest folder that holds pkg.
func layerOf(pkg string) (layer, bool) {
	var best layer
	for _, l := range layers() {
		if within(pkg, l.folder) && len(l.folder) > len(best.folder) {
			best = l
		}
	}
	return best, best.folder != ""
}

// checkLayers returns a line for each import that points the wrong way.
func checkLayers(packages []goPackage) []string {
	var wrong []string
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		fromLayer, ok := layerOf(from)
		if !ok {
			wrong = append(wrong, from+" belongs to no layer")
			continue
		}
		for _, path := range p.Imports {
			wrong = append(wrong, checkImport(from, fromLayer, path, fromLayer.sees)...)
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			wrong = append(wrong, checkImport(from, fromLayer, path, nil)...)
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

func checkImport(from string, fromLayer layer, path string, sees []string) []string {
	to, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return nil
	}
	toLayer, ok := layerOf(to)
	switch {
	case !ok:
		return []string{to + " belongs to no layer"}
	case toLayer.folder == fromLayer.folder:
		return nil
	case toLayer.folder == "compat-tests", toLayer.height >= fromLayer.height:
		return []string{fmt.Sprintf("%s imports %s, which is not below it", from, to)}
	case sees != nil && !slices.Contains(sees, to):
		return []string{fmt.Sprintf("%s imports %s, which it must not know", from, to)}
	}
	return nil
}

// TestLayers fails when a package of the module imports upwards.
func TestLayers(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages: is it looking at the module?", len(packages))
	}
	for _, line := range checkLayers(packages) {
		t.Error(line)
	}
}

// TestLayersFail shows that the checker finds what it is there to find.
func TestLayersFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		pkg  goPackage
		want string // empty: nothing is wrong
	}{
		{"down", goPackage{ImportPath: "tdkvs/gateway", Imports: []string{"fmt", "tdkvs/s3api", "tdkvs/master/meta"}}, ""},
		{"own folder", goPackage{ImportPath: "tdkvs/s3api", Imports: []string{"tdkvs/s3api/sigv4"}}, ""},
		{"test may look further down", goPackage{ImportPath: "tdkvs/s3api", XTestImports: []string{"tdkvs/master"}}, ""},
		{"up", goPackage{ImportPath: "tdkvs/master", Imports: []string{"tdkvs/s3api"}},
			"master imports s3api, which is not below it"},
		{"up from a folder below", goPackage{ImportPath: "tdkvs/master/metadb/badgerdb", Imports: []string{"tdkvs/master"}},
			"master/metadb/badgerdb imports master, which is not below it"},
		{"up from a test", goPackage{ImportPath: "tdkvs/volume", TestImports: []string{"tdkvs/master"}},
			"volume imports master, which is not below it"},
		{"sideways", goPackage{ImportPath: "tdkvs/volume/volumehttp", Imports: []string{"tdkvs/placement"}},
			"volume/volumehttp imports placement, which is not below it"},
		{"the vocabulary knows nobody", goPackage{ImportPath: "tdkvs/master/meta", Imports: []string{"tdkvs/volume"}},
			"master/meta imports volume, which is not below it"},
		{"the protocol knows no engine", goPackage{ImportPath: "tdkvs/s3api", Imports: []string{"tdkvs/master"}},
			"s3api imports master, which it must not know"},
		{"the metadata knows no volume", goPackage{ImportPath: "tdkvs/master/metadb", Imports: []string{"tdkvs/volume/vfs"}},
			"master/metadb imports volume/vfs, which it must not know"},
		{"the load generator knows no store", goPackage{ImportPath: "tdkvs/cmd/tdkvs/bench", Imports: []string{"tdkvs/s3api/sigv4"}},
			"cmd/tdkvs/bench imports s3api/sigv4, which it must not know"},
		{"black box", goPackage{ImportPath: "tdkvs/compat-tests", XTestImports: []string{"tdkvs/volume"}},
			"compat-tests imports volume, which is not below it"},
		{"nobody knows the black box", goPackage{ImportPath: "tdkvs/gateway", TestImports: []string{"tdkvs/compat-tests/clients"}},
			"gateway imports compat-tests/clients, which is not below it"},
		{"a folder without a layer", goPackage{ImportPath: "tdkvs/util"}, "util belongs to no layer"},
		{"an import without a layer", goPackage{ImportPath: "tdkvs/gateway", Imports: []string{"tdkvs/gatewayx"}},
			"gatewayx belongs to no layer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(checkLayers([]goPackage{tt.pkg}), "\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
