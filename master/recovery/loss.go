package recovery

import (
	"fmt"
	"hash/crc32"
	"strings"

	"tdkvs/master"
	"tdkvs/master/journal"
)

// Loss is something that is missing.
type Loss struct {
	Text string // a sentence
	what string // the same, without what may be said otherwise another time
}

// LossError says that something that was acknowledged is missing, or may be.
type LossError struct {
	Losses []Loss
	Code   string // accepts exactly these
	Given  string // what was accepted instead; empty: nothing
}

func (e *LossError) Error() string {
	var b strings.Builder
	b.WriteString("the metadata can not be recovered as it was:")
	for _, l := range e.Losses {
		fmt.Fprintf(&b, "\n  - %s", l.Text)
	}
	if e.Given != "" {
		fmt.Fprintf(&b, "\nThis is not the loss %q that was accepted.", e.Given)
	}
	fmt.Fprintf(&b, "\nBring back what is missing, and run this again. To go on without it for good, give -accept-loss=%s", e.Code)
	return b.String()
}

// judge says what is missing, beside what was found.
func (f *Found) judge(gap *journal.GapError, copies int) {
	if gap != nil {
		f.Losses = append(f.Losses, gapLoss(gap, f.Last))
	}
	f.Losses = append(f.Losses, f.forkLosses()...)
	members, away := f.members()
	if copies <= 0 {
		copies = master.MetadataCopies(f.Topology.Replicas)
	}
	copies = max(1, min(copies, members))
	if len(away) < copies {
		f.Away = away
		return
	}
	l := Loss{what: fmt.Sprintf("away %d", f.Last)}
	for _, v := range away {
		l.Text += v.Text + "; "
		l.what += " " + v.what
	}
	l.Text += fmt.Sprintf("a commit is kept on %s, so newer ones than %d, of %s, may be there and nowhere else",
		plural(copies, "volume"), f.Last, f.Made.Format("2006-01-02 15:04:05 MST"))
	f.Losses = append(f.Losses, l)
}

func gapLoss(gap *journal.GapError, last uint64) Loss {
	newest := max(gap.Last, last+1)
	l := Loss{what: fmt.Sprintf("gap %d %d", last, newest)}
	l.Text = fmt.Sprintf("commit %d is missing: it and what came after it, %s up to %d, would be lost", last+1, plural(int(newest-last), "commit"), newest)
	if gap.Err != nil {
		l.Text += fmt.Sprintf(" (%v)", gap.Err)
	}
	return l
}

// forkLosses tells of commits that another master has made. One alone is what a master
// wrote that ended in that moment, and acknowledged to nobody.
func (f *Found) forkLosses() []Loss {
	seqs := map[string][]uint64{}
	var names []string
	for _, fork := range f.Forks {
		if seqs[fork.Name] == nil {
			names = append(names, fork.Name)
		}
		seqs[fork.Name] = append(seqs[fork.Name], fork.Seq)
	}
	var losses []Loss
	for _, name := range names {
		if all := seqs[name]; consecutive(all) {
			losses = append(losses, Loss{
				what: fmt.Sprintf("fork %s %d %d", name, all[0], all[len(all)-1]),
				Text: fmt.Sprintf("%s holds commits %d to %d of another history, as a second master or an older copy of the metadata makes them: they would be given up",
					name, all[0], all[len(all)-1]),
			})
		}
	}
	return losses
}

// consecutive reports that two numbers follow one another.
func consecutive(seqs []uint64) bool {
	for i := 1; i < len(seqs); i++ {
		if seqs[i] == seqs[i-1]+1 {
			return true
		}
	}
	return false
}

// members counts the volumes of the store, and lists those whose copies of the
// metadata could not be read.
func (f *Found) members() (members int, away []Loss) {
	here := map[string]bool{}
	why := map[string]error{}
	for _, v := range f.Volumes {
		if v.Err == nil {
			here[v.Identity.Volume] = true
		} else {
			why[v.Name] = v.Err
		}
	}
	for _, v := range f.Topology.Volumes {
		if !v.State.Member() {
			continue
		}
		members++
		if here[v.UUID] {
			continue
		}
		l := Loss{what: v.UUID, Text: fmt.Sprintf("volume %d (%s, last seen at %s) is missing", v.Number, v.UUID, v.Name)}
		if err := why[v.Name]; err != nil {
			l.Text += fmt.Sprintf(" (%v)", err)
		}
		away = append(away, l)
	}
	return members, away
}

// code names what is missing. It is another where anything else is.
func code(losses []Loss) string {
	sum := crc32.NewIEEE()
	for _, l := range losses {
		_, _ = fmt.Fprintln(sum, l.what) // never fails, by its contract
	}
	return fmt.Sprintf("%08x", sum.Sum32())
}

// accepted refuses a loss that is not the one that was accepted.
func (f *Found) accepted(o Options) error {
	if len(f.Losses) == 0 {
		return nil
	}
	if o.Accept == code(f.Losses) {
		return nil
	}
	return &LossError{Losses: f.Losses, Code: code(f.Losses), Given: o.Accept}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
