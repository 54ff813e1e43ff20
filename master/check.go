package master

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// Limits of a check.
const (
	DefaultCheckRate     = 64 << 20 // bytes per second that a deep check reads
	DefaultCheckExamples = 20       // of each kind of finding
	MaxCheckExamples     = 1000
	DefaultCheckBlobs    = 2 << 20 // held at the same time
	checkSuspects        = 1 << 17 // blobs to be looked at again that are held at the same time
	checkUnsettled       = 1 << 13 // extents, the same
	checkPage            = 4096    // rows read in one transaction; blobs in one listing
	checkListTimeout     = time.Minute
	checkStatTimeout     = 20 * time.Second
	checkFence           = 2 * time.Minute // that writes under way are waited for
	checkAtOnce          = 8               // questions to volumes
)

// FindingKind says what is not as it should be.
type FindingKind string

// The kinds of findings.
const (
	// FindingMissing: a row names a blob that its volume does not have.
	FindingMissing FindingKind = "missing"
	// FindingSize: a blob is of another length than its row says.
	FindingSize FindingKind = "size"
	// FindingCorrupt: a blob can not be read without an error, or says that it is
	// another than the one it is recorded as.
	FindingCorrupt FindingKind = "corrupt"
	// FindingUnreadable: too few pieces of an extent are there to read it.
	FindingUnreadable FindingKind = "unreadable"
	// FindingDamaged: an earlier repair has recorded that an extent is lost.
	FindingDamaged FindingKind = "damaged"
	// FindingDuplicate: two pieces of an extent lie on one volume.
	FindingDuplicate FindingKind = "duplicate"
	// FindingShared: two extents name the same blob.
	FindingShared FindingKind = "shared"
	// FindingDoomed: the garbage queue names a blob that is part of an extent.
	FindingDoomed FindingKind = "doomed"
	// FindingOrphan: nothing names a blob.
	FindingOrphan FindingKind = "orphan"
	// FindingFew: an extent has fewer pieces than wanted.
	FindingFew FindingKind = "too few"
	// FindingMany: an extent has more pieces than wanted.
	FindingMany FindingKind = "too many"
	// FindingMisplaced: a piece lies on a volume that should not have one.
	FindingMisplaced FindingKind = "misplaced"
	// FindingStranded: a piece lies on a volume that is not in the cluster.
	FindingStranded FindingKind = "stranded"
	// FindingCounters: a bucket's counters are not those of what it holds.
	FindingCounters FindingKind = "counters"
	// FindingRecord: a row of the metadata can not be read or contradicts itself.
	FindingRecord FindingKind = "record"
)

// The kinds of findings that only a look at the directories of volumes brings, while
// nobody has them open. The check itself finds none of them.
const (
	// FindingIdentity: one of the files that say which volume it is.
	FindingIdentity FindingKind = "identity"
	// FindingSegment: a file of the log of small blobs is damaged, or not the volume's.
	FindingSegment FindingKind = "segment"
	// FindingFile: a file that no volume has.
	FindingFile FindingKind = "unknown file"
)

// Finding is one thing that is not as it should be. What does not apply is zero.
type Finding struct {
	Kind      FindingKind
	Bucket    string
	Key       string
	VersionID string
	UploadID  string // of a part
	Part      int    // its number
	Volume    meta.VolumeID
	Blob      meta.BlobID
	Bytes     int64  // of the blob or extent
	Detail    string // for people
}

// Tally counts findings of a kind.
type Tally struct {
	Count uint64
	Bytes uint64 // of the blobs or extents
}

// UncheckedVolume is one whose blobs could not be listed.
type UncheckedVolume struct {
	Number meta.VolumeID
	Name   string
	Cause  string
}

// CheckReport is what a check has found.
type CheckReport struct {
	Deep     bool
	Rows     uint64 // versions, and parts of those made of parts
	Extents  uint64
	Pieces   uint64
	Blobs    uint64 // on the volumes
	Bytes    uint64 // of these blobs
	Verified uint64 // bytes read, of a deep check
	Findings map[FindingKind]Tally
	// Pending are extents that are not as they should be and that the rebalance
	// or the repair queue is about to bring there, or will once there are enough
	// volumes.
	Pending  map[FindingKind]Tally
	Examples []Finding // the first of each kind
	// Undecided blobs may be orphans: a write that was under way has not ended, or
	// there are rows that can not be read.
	Undecided uint64
	Unchecked []UncheckedVolume
	Garbage   uint64 // entries in its queue
	Repairs   uint64 // entries in the repair queue
	Repair    RepairMode
	// Remedies are what a repair would do, or has done, about the findings.
	Remedies []Remedied
	// Excess, where it is not 0, are the orphans that a repair leaves alone: they are
	// more than a crash leaves. Is the metadata older than what the volumes hold?
	Excess uint64
}

// Total is the number of all findings.
func (r *CheckReport) Total() uint64 {
	var n uint64
	for _, t := range r.Findings {
		n += t.Count
	}
	return n
}

// Clean reports that everything was looked at and is as it should be.
func (r *CheckReport) Clean() bool {
	return r.Total() == 0 && len(r.Unchecked) == 0 && r.Undecided == 0
}

// CheckOptions say how to check. The zero value checks without reading bodies.
type CheckOptions struct {
	Deep     bool  // read every byte
	Rate     int64 // bytes per second; 0: DefaultCheckRate, below zero: no limit
	Examples int   // of each kind; 0: DefaultCheckExamples
	// BlobsAtOnce bounds the memory: so many blobs, at 25 bytes each, or 33 where
	// every byte is read, are held at the same time, and the rows are read once for
	// each time. 0: DefaultCheckBlobs.
	BlobsAtOnce int
	// Repair says what is to be done about the findings.
	Repair RepairMode
	// Only are the kinds of findings that a repair is to care about; none: all. It
	// gives up more orphans than a crash leaves only where they are among these.
	Only []FindingKind
	// Progress, where set, is told from time to time how far the check is, by one
	// goroutine at a time. It must not block.
	Progress func(CheckProgress)
}

// The parts of a check, in order.
const (
	CheckAccounts = "accounts" // counters and queues
	CheckPieces   = "pieces"   // what rows name, and what volumes hold
	CheckSuspects = "suspects" // what may have changed meanwhile is looked at again
)

// CheckProgress is how far a check is.
type CheckProgress struct {
	Part          string
	Pass, Passes  int // over ranges of blob ids, so that not all are held at once
	Rows          uint64
	ExpectedRows  uint64 // about
	Blobs         uint64
	ExpectedBlobs uint64 // about
	Verified      uint64 // bytes
	Findings      uint64
}

// check is one check of the store. It goes on while the store serves: what looks
// wrong is looked at again, in an order in which what only changes can not look
// wrong twice. It changes nothing but what a repair is asked for.
type check struct {
	e       *Engine
	opts    CheckOptions
	limiter *rate.Limiter

	mu        sync.Mutex // guards what volumes are asked at the same time
	report    CheckReport
	progress  CheckProgress
	unchecked map[meta.VolumeID]bool

	suspects  map[meta.Piece]*suspect
	unsettled []unsettled
	remedies  remedies
}

// Check compares the metadata with what the volumes hold, both ways, while the
// store serves. Only a metadata store that can not be read is an error: a volume
// that does not answer is unchecked.
func (e *Engine) Check(ctx context.Context, opts CheckOptions) (CheckReport, error) {
	if opts.Rate == 0 {
		opts.Rate = DefaultCheckRate
	}
	if opts.Examples == 0 {
		opts.Examples = DefaultCheckExamples
	}
	if opts.BlobsAtOnce <= 0 {
		opts.BlobsAtOnce = DefaultCheckBlobs
	}
	c := &check{
		e: e, opts: opts, limiter: rate.NewLimiter(limitOf(opts.Rate), rateBurst),
		unchecked: make(map[meta.VolumeID]bool), suspects: make(map[meta.Piece]*suspect),
	}
	c.report = CheckReport{Deep: opts.Deep, Repair: opts.Repair, Findings: make(map[FindingKind]Tally), Pending: make(map[FindingKind]Tally)}
	err := c.run(ctx)
	slices.SortStableFunc(c.report.Examples, func(a, b Finding) int {
		return slices.Index(FindingKinds(), a.Kind) - slices.Index(FindingKinds(), b.Kind)
	})
	return c.report, err
}

// FindingKinds are the kinds of findings, the worst first.
func FindingKinds() []FindingKind {
	return []FindingKind{
		FindingUnreadable, FindingDamaged, FindingDoomed, FindingMissing, FindingCorrupt, FindingSize, FindingShared, FindingStranded,
		FindingDuplicate, FindingRecord, FindingCounters, FindingFew, FindingMany, FindingMisplaced, FindingOrphan,
		FindingSegment, FindingIdentity, FindingFile,
	}
}

func (c *check) run(ctx context.Context) error {
	c.progress.Part = CheckAccounts
	if err := c.accounts(ctx); err != nil {
		return fmt.Errorf("check the rows: %w", err)
	}
	c.progress.Part = CheckPieces
	c.progress.Passes = c.passes(ctx)
	for pass := range c.progress.Passes {
		c.progress.Pass = pass + 1
		if err := c.pass(ctx, passRange(pass, c.progress.Passes)); err != nil {
			return fmt.Errorf("check the pieces: %w", err)
		}
	}
	c.progress.Part = CheckSuspects
	if err := c.confirm(ctx); err != nil {
		return fmt.Errorf("look again: %w", err)
	}
	if err := c.finishRemedies(ctx); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	c.tell()
	return ctx.Err()
}

// passes returns into how many ranges the ids are to be divided.
func (c *check) passes(ctx context.Context) int {
	var blobs uint64
	for number, v := range c.e.layouts.now().volumes {
		st, err := c.status(ctx, number)
		if err != nil {
			c.giveUpOn(number, v.Name, err)
			continue
		}
		blobs += uint64(max(0, st.Blobs))
	}
	c.progress.ExpectedBlobs = blobs
	n := int(blobs)/c.opts.BlobsAtOnce + 1
	c.progress.ExpectedRows = c.progress.Rows * uint64(1+n)
	return n
}

func (c *check) status(ctx context.Context, number meta.VolumeID) (volume.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, checkStatTimeout)
	defer cancel()
	blobs, err := c.e.volume(ctx, number)
	if err != nil {
		return volume.Status{}, err
	}
	return blobs.Status(ctx)
}

// tell reports progress.
func (c *check) tell() {
	if c.opts.Progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.progress
	p.Findings = c.report.Total()
	c.opts.Progress(p)
}

// found notes a finding.
func (c *check) found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(c.report.Findings, f)
	shown := 0
	for _, x := range c.report.Examples {
		if x.Kind == f.Kind {
			shown++
		}
	}
	if shown < c.opts.Examples {
		c.report.Examples = append(c.report.Examples, f)
	}
}

func (c *check) note(in map[FindingKind]Tally, f Finding) {
	t := in[f.Kind]
	t.Count++
	t.Bytes += uint64(max(0, f.Bytes))
	in[f.Kind] = t
}

// pending notes what is about to be put right.
func (c *check) pending(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(c.report.Pending, f)
}

// giveUpOn leaves a volume unchecked from now on.
func (c *check) giveUpOn(number meta.VolumeID, name string, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unchecked[number] {
		return
	}
	c.unchecked[number] = true
	c.report.Unchecked = append(c.report.Unchecked, UncheckedVolume{Number: number, Name: name, Cause: cause.Error()})
}

func (c *check) skipped(number meta.VolumeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unchecked[number]
}

// rest lets others have a processor for as long as a step took.
func rest(ctx context.Context, began time.Time) error {
	pause := time.NewTimer(min(time.Since(began), 100*time.Millisecond))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
		return nil
	}
}

// finding describes a piece of what is recorded at a place.
func (l location) finding(kind FindingKind, p meta.Piece, bytes int64) Finding {
	return Finding{
		Kind: kind, Bucket: l.bucket, Key: l.key, VersionID: l.version, UploadID: l.upload, Part: l.part,
		Volume: p.Volume, Blob: p.Blob, Bytes: bytes,
	}
}
