package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"tdkvs/gateway/adminapi"
)

// repairFlags say what a check is to do about its findings.
type repairFlags struct {
	repair, apply bool
	only          string
}

func (f *repairFlags) declare(flags *flag.FlagSet) {
	flags.BoolVar(&f.repair, "repair", false, "show what would be done about what is found, and change nothing (fsck)")
	flags.BoolVar(&f.apply, "apply", false, "do what -repair shows (fsck -repair)")
	flags.StringVar(&f.only, "only", "", "repair these `kinds` of findings only, such as missing,too-few (fsck -repair)")
}

// fill adds the flags to a request.
func (f *repairFlags) fill(start *adminapi.CheckStart, command string) error {
	switch {
	case f.apply && !f.repair:
		return misusef("%s: flag -apply goes with -repair, which shows what would be done", command)
	case f.only != "" && !f.repair:
		return misusef("%s: flag -only goes with -repair", command)
	case f.apply:
		start.Repair = adminapi.CheckApply
	case f.repair:
		start.Repair = adminapi.CheckPlan
	}
	if f.only != "" {
		for _, kind := range strings.Split(f.only, ",") {
			start.Only = append(start.Only, strings.ReplaceAll(strings.TrimSpace(kind), "-", " "))
		}
	}
	return nil
}

// remedyText says what a remedy is.
func remedyText(remedy string) string {
	switch remedy {
	case adminapi.RemedyRestore:
		return "verify it, and make it anew from its other pieces"
	case adminapi.RemedyList:
		return "verify that it is lost, and list it as damaged; its record and what is left of it stay"
	case adminapi.RemedyReread:
		return "read it again, and take it off the list of damage where it can be read"
	case adminapi.RemedyRebalance:
		return "have the rebalance bring it to where it should be"
	case adminapi.RemedyGarbage:
		return "remove it after leftover_grace, unless something names it by then"
	case adminapi.RemedySpare:
		return "take it off the garbage queue"
	case adminapi.RemedyRecount:
		return "correct the counters"
	}
	return "nothing: see docs/operations.md"
}

// remedyTable writes what a repair would do, or has begun.
func remedyTable(w io.Writer, r *adminapi.CheckReport) {
	if len(r.Remedies) == 0 {
		return
	}
	rows := []string{row("REPAIR", "COUNT", "BYTES", "BEGUN", "WHAT")}
	for _, x := range r.Remedies {
		rows = append(rows, row(x.Kind, grouped(x.Count), humanInt(x.Bytes), grouped(x.Done), remedyText(x.Remedy)))
	}
	_, _ = fmt.Fprintln(w)
	columns(w, rows...)
	if r.ExcessOrphans > 0 {
		_, _ = fmt.Fprintf(w, "%s orphans are more than a crash leaves, so they stay: is the metadata older than what the volumes hold? If it is not, -only orphan gives them up.\n",
			grouped(r.ExcessOrphans))
	}
}

// repairHint says what comes after a check: how to repair what it has found, or how
// to see the end of what it has begun.
func repairHint(w io.Writer, r *adminapi.CheckReport, command, begun string) {
	if r == nil || len(r.Findings) == 0 {
		return
	}
	var doable, done uint64
	for _, x := range r.Remedies {
		if x.Remedy != adminapi.RemedyNone {
			doable += x.Count
		}
		done += x.Done
	}
	switch {
	case r.Repair == "":
		_, _ = fmt.Fprintf(w, "\n\"%s -repair\" shows what can be done about it, and changes nothing.\n", command)
	case r.Repair == adminapi.CheckPlan && doable > 0:
		_, _ = fmt.Fprintf(w, "\nNothing was changed. \"%s -repair -apply\" does this; nothing that can be read is lost by it.\n", command)
	case done > 0:
		_, _ = fmt.Fprintf(w, "\n%s\n", begun)
	}
}
