package compattests

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsNothingOfTheStore keeps these tests honest: they know the store only over the wire.
func TestImportsNothingOfTheStore(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name := range strings.FieldsSeq(string(out)) {
		seen++
		if name == "tdkvs" || strings.HasPrefix(name, "tdkvs/") {
			t.Errorf("imports %s", name)
		}
	}
	if seen < 10 {
		t.Errorf("only %d imports listed: the check is blind", seen)
	}
}
