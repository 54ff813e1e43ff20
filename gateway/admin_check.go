package gateway

import (
	"context"
	"fmt"
	"slices"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// Checker is what the admin API needs of the engine to check the store.
type Checker interface {
	StartCheck(opts master.CheckOptions) (master.CheckStatus, error)
	CheckStatus() master.CheckStatus
	CancelCheck(ctx context.Context) master.CheckStatus
}

// adminStartCheck begins a check, which may take hours: it does not depend on
// whoever asked for it.
func (g *gateway) adminStartCheck(r *adminRequest) (any, error) {
	var want adminapi.CheckStart
	if err := r.decode(&want); err != nil {
		return nil, err
	}
	opts := master.CheckOptions{Deep: want.Deep, Examples: want.Examples}
	if err := repairOptions(&opts, want); err != nil {
		return nil, err
	}
	if n := want.BytesPerSecond; n != nil {
		if *n != -1 && *n < master.MinMoveRate {
			return nil, badAdmin("InvalidArgument", fmt.Sprintf("bytes_per_second: want -1 (no limit), or %d and more", master.MinMoveRate))
		}
		opts.Rate = *n
	}
	if want.Examples < 0 || want.Examples > master.MaxCheckExamples {
		return nil, badAdmin("InvalidArgument", fmt.Sprintf("examples %d: want 0 to %d", want.Examples, master.MaxCheckExamples))
	}
	st, err := g.cfg.Admin.Operator.StartCheck(opts)
	if err != nil {
		return nil, err
	}
	return adminCheck(st), nil
}

// repairOptions reads what is to be done about findings.
func repairOptions(opts *master.CheckOptions, want adminapi.CheckStart) error {
	switch want.Repair {
	case "":
	case adminapi.CheckPlan:
		opts.Repair = master.RepairPlan
	case adminapi.CheckApply:
		opts.Repair = master.RepairApply
	default:
		return badAdmin("InvalidArgument", fmt.Sprintf("repair %q: want %s or %s", want.Repair, adminapi.CheckPlan, adminapi.CheckApply))
	}
	if want.Repair == "" && len(want.Only) > 0 {
		return badAdmin("InvalidArgument", "only: what is not to be repaired has no kinds")
	}
	for _, kind := range want.Only {
		if !slices.Contains(master.FindingKinds(), master.FindingKind(kind)) {
			return badAdmin("InvalidArgument", fmt.Sprintf("only: there is no kind %q of findings: they are %q", kind, master.FindingKinds()))
		}
		opts.Only = append(opts.Only, master.FindingKind(kind))
	}
	return nil
}

func (g *gateway) adminCheckStatus(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return adminCheck(g.cfg.Admin.Operator.CheckStatus()), nil
}

// adminCancelCheck ends a check.
func (g *gateway) adminCancelCheck(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return adminCheck(g.cfg.Admin.Operator.CancelCheck(r.Context())), nil
}

func adminCheck(st master.CheckStatus) adminapi.Check {
	out := adminapi.Check{
		ID: st.ID, State: string(st.State), Started: timeOrNone(st.Started), Finished: timeOrNone(st.Finished), Error: st.Err,
	}
	if st.State == master.CheckNone {
		return out
	}
	out.Progress = CheckProgress(st.Progress)
	if st.State != master.CheckRunning {
		out.Report = CheckReport(&st.Report, st.State == master.CheckDone)
	}
	return out
}

// CheckProgress is the document of how far a check is.
func CheckProgress(p master.CheckProgress) *adminapi.CheckProgress {
	return &adminapi.CheckProgress{
		Part: p.Part, Pass: p.Pass, Passes: p.Passes, Rows: p.Rows, ExpectedRows: p.ExpectedRows,
		Blobs: p.Blobs, ExpectedBlobs: p.ExpectedBlobs, Verified: p.Verified, Findings: p.Findings,
	}
}

// CheckReport is the document of a report; whole: the check has come to its end.
func CheckReport(r *master.CheckReport, whole bool) *adminapi.CheckReport {
	out := &adminapi.CheckReport{
		Clean: whole && r.Clean(), Deep: r.Deep, Rows: r.Rows, Extents: r.Extents, Pieces: r.Pieces, Blobs: r.Blobs, Bytes: r.Bytes,
		Verified: r.Verified, Findings: adminTallies(r.Findings), Pending: adminTallies(r.Pending),
		Examples: []adminapi.CheckFinding{}, Undecided: r.Undecided, Unchecked: []adminapi.UncheckedVolume{},
		Garbage: r.Garbage, Repairs: r.Repairs, ExcessOrphans: r.Excess,
	}
	switch r.Repair {
	case master.RepairPlan:
		out.Repair = adminapi.CheckPlan
	case master.RepairApply:
		out.Repair = adminapi.CheckApply
	}
	for _, x := range r.Remedies {
		out.Remedies = append(out.Remedies, adminapi.CheckRemedy{
			Kind: string(x.Kind), Remedy: string(x.Remedy), Count: x.Count, Bytes: x.Bytes, Done: x.Done,
		})
	}
	for _, f := range r.Examples {
		x := adminapi.CheckFinding{
			Kind: string(f.Kind), Bucket: f.Bucket, Key: f.Key, VersionID: f.VersionID, UploadID: f.UploadID, Part: f.Part,
			Volume: uint32(f.Volume), Bytes: f.Bytes, Detail: f.Detail,
		}
		if f.Blob != (meta.BlobID{}) {
			x.Blob = volume.BlobID(f.Blob).String()
		}
		out.Examples = append(out.Examples, x)
	}
	for _, v := range r.Unchecked {
		out.Unchecked = append(out.Unchecked, adminapi.UncheckedVolume{Volume: uint32(v.Number), URL: v.Name, Cause: v.Cause})
	}
	return out
}

func adminTallies(of map[master.FindingKind]master.Tally) []adminapi.CheckTally {
	out := []adminapi.CheckTally{}
	for _, kind := range master.FindingKinds() {
		if t, ok := of[kind]; ok {
			out = append(out, adminapi.CheckTally{Kind: string(kind), Count: t.Count, Bytes: t.Bytes})
		}
	}
	return out
}
