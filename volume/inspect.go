package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"tdkvs/volume/vfs"
)

// OddityKind says what is odd in a volume's directory.
type OddityKind string

// The kinds of oddities.
const (
	// OddIdentity: an identity file is missing, damaged or not that of its copy. The
	// next start writes it anew from the other, where there is one.
	OddIdentity OddityKind = "identity"
	// OddSegment: a segment is damaged, of another volume, renamed, or of a newer
	// format. The volume does not open with one that is not its own.
	OddSegment OddityKind = "segment"
	// OddFile: a file that no volume has.
	OddFile OddityKind = "unknown file"
)

// Oddity is one thing in a volume's directory that is not as it should be.
type Oddity struct {
	Kind   OddityKind
	File   string // path
	Bytes  int64  // of the file, or of what is damaged in it
	Detail string // for people
}

// Inspect looks over the directory of a volume that is not open, for what no reader
// of blobs comes to see, and changes nothing. It tells found of each oddity, and
// returns the identity; an error where that can not be told, or the directory not
// read. Damage to single blobs is for Verify to find.
func Inspect(fsys vfs.FS, dir string, found func(Oddity)) (Identity, error) {
	in := inspection{Store: &Store{cfg: Config{FS: fsys, Dir: dir}, fs: fsys}, found: found}
	if err := in.identity(); err != nil {
		return Identity{}, fmt.Errorf("volume %s: %w", dir, err)
	}
	for _, look := range []func() error{in.top, in.segments, in.large} {
		if err := look(); err != nil {
			return Identity{}, fmt.Errorf("volume %s: %w", dir, err)
		}
	}
	return Identity{Volume: in.ident.Volume.String(), Cluster: in.ident.Cluster}, nil
}

// inspection is one look at a directory, which no store has open.
type inspection struct {
	*Store // of which nothing is used but the names and the identity
	found  func(Oddity)
}

// identity reads both files.
func (in *inspection) identity() error {
	first, firstErr := in.readIdentity(identityFile)
	second, secondErr := in.readIdentity(identityCopy)
	odd := func(name string, err error) {
		in.found(Oddity{Kind: OddIdentity, File: in.path(name), Detail: fmt.Sprintf("the next start writes it anew from the other: %v", err)})
	}
	switch {
	case firstErr == nil:
		in.ident = first
		if secondErr == nil && *second != *first {
			secondErr = errors.New("it is not the same as the other")
		}
		if secondErr != nil {
			odd(identityCopy, secondErr)
		}
	case secondErr == nil:
		in.ident = second
		odd(identityFile, firstErr)
	case errors.Is(firstErr, fs.ErrNotExist) && errors.Is(secondErr, fs.ErrNotExist):
		return fmt.Errorf("there is no volume: %w", firstErr)
	default:
		return errors.Join(firstErr, secondErr)
	}
	in.seed, in.id = newSeed(in.ident.Volume), in.ident.Volume
	return nil
}

// top looks at the names beside the blobs. What a crash leaves of files that are
// replaced as a whole is no oddity.
func (in *inspection) top() error {
	known := []string{lockFile, identityFile, identityCopy, segmentsDir, blobsDir, tempDir, scrubFile, "lost+found"}
	entries, err := in.fs.ReadDir(in.path())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(known, strings.TrimSuffix(e.Name(), vfs.TempSuffix)) {
			in.unknown(in.path(e.Name()), e)
		}
	}
	return nil
}

func (in *inspection) unknown(name string, e fs.DirEntry) {
	o := Oddity{Kind: OddFile, File: name, Detail: "no volume has such a file: it is left alone"}
	if info, err := e.Info(); err == nil && !e.IsDir() {
		o.Bytes = info.Size()
	}
	in.found(o)
}

// list reads a directory; none where there is no such directory.
func (in *inspection) list(dir string) ([]fs.DirEntry, error) {
	entries, err := in.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// segments looks at each segment's header and footer, and for gaps in it.
func (in *inspection) segments() error {
	entries, err := in.list(in.path(segmentsDir))
	if err != nil {
		return err
	}
	var nums []uint32
	for _, e := range entries {
		if num, ok := parseSegmentName(e.Name()); ok {
			nums = append(nums, num)
		} else {
			in.unknown(in.path(segmentsDir, e.Name()), e)
		}
	}
	slices.Sort(nums)
	for i, num := range nums {
		if err := in.segment(num, i == len(nums)-1); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspection) segment(num uint32, last bool) (err error) {
	name := in.path(segmentsDir, segmentName(num))
	file, err := in.fs.OpenRead(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Size()
	if err != nil {
		return err
	}
	odd := func(bytes int64, format string, args ...any) {
		in.found(Oddity{Kind: OddSegment, File: name, Bytes: bytes, Detail: fmt.Sprintf(format, args...)})
	}
	header, whole, err := readSegmentHeader(file, size)
	if err != nil {
		return err
	}
	if whole {
		if err := in.checkSegmentHeader(header, num); err != nil {
			odd(size, "the volume does not open with it: %v", err)
			return nil
		}
	}
	gaps, empty, err := in.gaps(file, num, size, last)
	if err != nil {
		return err
	}
	if !whole && !empty {
		odd(segmentHeaderLen, "its header is damaged; its records are not affected")
	}
	for _, g := range gaps {
		odd(g.to-g.from, "records are damaged from byte %d to %d", g.from, g.to)
	}
	return nil
}

// gaps returns where a segment is damaged: not what a crash has torn in the last one.
func (in *inspection) gaps(file vfs.File, num uint32, size int64, last bool) (gaps []gap, empty bool, err error) {
	rows, end, err := readFooter(file, in.seed, num, size)
	switch {
	case err == nil:
		return rowGaps(rows, num, end), false, nil
	case !errors.Is(err, errNoFooter):
		return nil, false, err
	}
	scan, err := scanRecords(file, in.seed, num, size)
	if err != nil {
		return nil, false, err
	}
	empty = len(scan.records) == 0 && len(scan.gaps) == 0
	if last {
		var durable int64
		for i := range scan.records {
			durable = max(durable, int64(scan.records[i].durable))
		}
		torn := slices.IndexFunc(scan.gaps, func(g gap) bool { return g.from >= durable })
		if torn >= 0 {
			scan.gaps = scan.gaps[:torn]
		}
		return scan.gaps, empty, nil
	}
	zero, err := allZero(file, scan.end, size)
	if err == nil && !zero {
		scan.gaps = append(scan.gaps, gap{scan.end, size}) // what was a footer
	}
	return scan.gaps, empty && zero, err
}

// large looks at the names of the large blobs.
func (in *inspection) large() error {
	dirs, err := in.list(in.path(blobsDir))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		name := in.path(blobsDir, dir.Name())
		if !dir.IsDir() || len(dir.Name()) != dirDigits {
			in.unknown(name, dir)
			continue
		}
		files, err := in.fs.ReadDir(name)
		if err != nil {
			return err
		}
		var before BlobID
		for _, file := range files { // in order of name, and so of id
			id, _, ok := parseLargeName(file.Name())
			switch {
			case !ok || in.largeDir(id) != name:
				in.unknown(filepath.Join(name, file.Name()), file)
			case id == before:
				in.found(Oddity{Kind: OddFile, File: filepath.Join(name, file.Name()), Detail: "the blob is there twice: this one is left alone"})
			}
			before = id
		}
	}
	return nil
}
