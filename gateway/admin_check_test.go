package gateway

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
)

func (f *fakeOperator) StartCheck(opts master.CheckOptions) (master.CheckStatus, error) {
	what := fmt.Sprintf("check %v %d %d", opts.Deep, opts.Rate, opts.Examples)
	if opts.Repair != master.RepairNone {
		what += fmt.Sprintf(" repair %d %q", opts.Repair, opts.Only)
	}
	err := f.note("%s", what)
	if err == nil {
		f.check = master.CheckStatus{ID: f.check.ID + 1, State: master.CheckRunning, Started: time.Unix(1e9, 0)}
	}
	return f.check, err
}

func (f *fakeOperator) CheckStatus() master.CheckStatus { return f.check }

func (f *fakeOperator) CancelCheck(context.Context) master.CheckStatus {
	f.check.State = master.CheckCancelled
	return f.check
}

func TestAdminCheck(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	b.operator.check = master.CheckStatus{State: master.CheckNone}
	if c := wantDocument[adminapi.Check](t, b.ask(t, "GET", "/check", ""), 200); !reflect.DeepEqual(c, adminapi.Check{State: adminapi.CheckNone}) {
		t.Errorf("%+v", c)
	}
	c := wantDocument[adminapi.Check](t, b.ask(t, "POST", "/check", `{"deep": true, "bytes_per_second": -1, "examples": 3}`), 202)
	if c.ID != 1 || c.State != adminapi.CheckRunning || c.Started == nil || c.Finished != nil || c.Progress == nil || c.Report != nil {
		t.Errorf("%+v", c)
	}
	b.wantDone(t, "check true -1 3")
	wantDocument[adminapi.Check](t, b.ask(t, "POST", "/check", `{}`), 202)
	b.wantDone(t, "check false 0 0")
	wantFailure(t, b.ask(t, "POST", "/check", ""), 400, "InvalidRequest", "a body is needed")
	wantDocument[adminapi.Check](t, b.ask(t, "POST", "/check", `{"repair": "plan"}`), 202)
	b.wantDone(t, "check false 0 0 repair 1 []")
	wantDocument[adminapi.Check](t, b.ask(t, "POST", "/check", `{"repair": "apply", "only": ["orphan", "too few"]}`), 202)
	b.wantDone(t, `check false 0 0 repair 2 ["orphan" "too few"]`)
	wantFailure(t, b.ask(t, "POST", "/check", `{"repairs": true}`), 400, "InvalidRequest", "unknown field")
	wantFailure(t, b.ask(t, "POST", "/check", `{"repair": "all"}`), 400, "InvalidArgument", "want plan or apply")
	wantFailure(t, b.ask(t, "POST", "/check", `{"only": ["orphan"]}`), 400, "InvalidArgument", "not to be repaired")
	wantFailure(t, b.ask(t, "POST", "/check", `{"repair": "plan", "only": ["orphans"]}`), 400, "InvalidArgument", "no kind")
	wantFailure(t, b.ask(t, "POST", "/check", `{"bytes_per_second": 0}`), 400, "InvalidArgument", "want -1")
	wantFailure(t, b.ask(t, "POST", "/check", `{"examples": 1001}`), 400, "InvalidArgument", "want 0 to 1000")
	wantFailure(t, b.ask(t, "GET", "/check", "{}"), 400, "InvalidRequest", "no body")
	wantFailure(t, b.ask(t, "DELETE", "/check", "{}"), 400, "InvalidRequest", "no body")
	b.operator.err = &master.ChangeError{Message: "the engine's sentence"}
	wantFailure(t, b.ask(t, "POST", "/check", `{}`), 409, "Refused", "the engine's sentence")
	b.wantDone(t)
	if c := wantDocument[adminapi.Check](t, b.ask(t, "DELETE", "/check", ""), 200); c.State != adminapi.CheckCancelled || c.Report.Clean {
		t.Errorf("%+v", c)
	}
}

// TestAdminCheckReport: what was found, the worst first, with names.
func TestAdminCheckReport(t *testing.T) {
	t.Parallel()
	b := newAdminBench(t, nil)
	b.operator.check = master.CheckStatus{
		ID: 4, State: master.CheckDone, Finished: time.Unix(2e9, 0), Report: master.CheckReport{
			Blobs: 7, Bytes: 70, Rows: 5, Findings: map[master.FindingKind]master.Tally{
				master.FindingOrphan: {Count: 1, Bytes: 9}, master.FindingMissing: {Count: 2, Bytes: 20},
			},
			Pending:   map[master.FindingKind]master.Tally{master.FindingFew: {Count: 3, Bytes: 30}},
			Examples:  []master.Finding{{Kind: master.FindingMissing, Bucket: "b", Key: "k", VersionID: "v", Part: 2, Volume: 3, Blob: meta.BlobID{0xAB}, Bytes: 10, Detail: "d"}},
			Unchecked: []master.UncheckedVolume{{Number: 2, Name: "http://b:1", Cause: "gone"}},
			Repair:    master.RepairApply, Excess: 5,
			Remedies: []master.Remedied{{Kind: master.FindingMissing, Remedy: master.RemedyRestore, Tally: master.Tally{Count: 2, Bytes: 20}, Done: 2}},
		},
	}
	r := wantDocument[adminapi.Check](t, b.ask(t, "GET", "/check", ""), 200).Report
	want := &adminapi.CheckReport{
		Rows: 5, Blobs: 7, Bytes: 70,
		Findings:  []adminapi.CheckTally{{Kind: "missing", Count: 2, Bytes: 20}, {Kind: "orphan", Count: 1, Bytes: 9}},
		Pending:   []adminapi.CheckTally{{Kind: "too few", Count: 3, Bytes: 30}},
		Examples:  []adminapi.CheckFinding{{Kind: "missing", Bucket: "b", Key: "k", VersionID: "v", Part: 2, Volume: 3, Blob: "ab000000000000000000000000000000", Bytes: 10, Detail: "d"}},
		Unchecked: []adminapi.UncheckedVolume{{Volume: 2, URL: "http://b:1", Cause: "gone"}},
		Repair:    adminapi.CheckApply, ExcessOrphans: 5,
		Remedies: []adminapi.CheckRemedy{{Kind: "missing", Remedy: adminapi.RemedyRestore, Count: 2, Bytes: 20, Done: 2}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v", r)
	}
	b.operator.check.Report = master.CheckReport{Blobs: 7}
	if c := wantDocument[adminapi.Check](t, b.ask(t, "GET", "/check", ""), 200); !c.Report.Clean {
		t.Errorf("%+v", c.Report)
	}
}
