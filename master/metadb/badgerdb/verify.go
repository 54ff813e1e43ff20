package badgerdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"tdkvs/master/metadb"
)

// logSuffix ends the name of a memtable log.
const logSuffix = ".mem"

// verified says what a verification went over.
type verified struct {
	tables int
	bytes  int64
	logs   []loggedFile
}

// loggedFile is a log that holds something, which Badger writes to a table when it
// opens.
type loggedFile struct {
	name string
	end  int64 // of what is valid in it, in bytes
}

// logged returns how many bytes the logs hold.
func (v verified) logged() (n int64) {
	for _, l := range v.logs {
		n += l.end
	}
	return n
}

// verify reads all files of a store that is not open and fails with an error
// wrapping metadb.ErrCorrupt on what Badger would silently leave out. What a
// crash may leave at the end of a log or of MANIFEST is no error.
func verify(dir string) (verified, error) {
	manifest, err := verifyManifest(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return verified{}, verifyUnused(dir)
	}
	if err != nil {
		return verified{}, err
	}
	logs, err := verifyLogs(dir)
	if err != nil {
		return verified{}, err
	}
	sum, err := verifyTables(dir, manifest)
	sum.logs = logs
	return sum, err
}

// verifyUnused makes sure that a directory without MANIFEST has no data: Badger
// would take tables that are not listed for leftovers and remove them.
func verifyUnused(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == logSuffix || ext == ".sst" {
			return corrupt(filepath.Join(dir, badger.ManifestFilename), "the file is missing, but %s is there", e.Name())
		}
	}
	return nil
}

func corrupt(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", metadb.ErrCorrupt, file, fmt.Sprintf(format, args...))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// verifyManifest replays MANIFEST. Badger stops at a record that seems cut off;
// that is right at the end of the file only, where the last append was torn. A
// record that still verifies further on means that this one was damaged.
func verifyManifest(name string) (_ badger.Manifest, err error) {
	f, err := os.Open(name)
	if err != nil {
		return badger.Manifest{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, end, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(filepath.Dir(name)))
	if err != nil {
		return m, corrupt(name, "%v", err)
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return m, err
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return m, err
	}
	// A record is: length, CRC32C of the body, body.
	for i := 1; i+8 <= len(tail); i++ {
		n := int(binary.BigEndian.Uint32(tail[i:]))
		if n > 0 && n <= len(tail)-i-8 && crc32.Checksum(tail[i+8:i+8+n], castagnoli) == binary.BigEndian.Uint32(tail[i+4:]) {
			return m, corrupt(name, "record at byte %d is damaged", end)
		}
	}
	return m, nil
}

// verifyTables checks each table that MANIFEST lists, a few at a time.
func verifyTables(dir string, m badger.Manifest) (verified, error) {
	ids := make(chan uint64)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex // guards sum and err
		sum verified
		err error
	)
	for range min(4, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for id := range ids {
				n, e := verifyTable(table.NewFilename(id, dir), m.Tables[id].Compression)
				mu.Lock()
				sum.tables, sum.bytes = sum.tables+1, sum.bytes+n
				if err == nil { // one is enough to refuse the store
					err = e
				}
				mu.Unlock()
			}
		})
	}
	for id := range m.Tables {
		ids <- id
	}
	close(ids)
	wg.Wait()
	return sum, err
}

// verifyTable checks the index and every block of a table file:
//
//	blocks | index | index length u32 | checksum | checksum length u32
//
// where a block, once decompressed, ends in its own checksum and length.
func verifyTable(name string, compression options.CompressionType) (size int64, err error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, corrupt(name, "the table is missing")
	}
	if err != nil {
		return 0, err
	}
	defer func() { // flatbuffers trust their offsets
		if v := recover(); v != nil {
			err = corrupt(name, "unreadable index: %v", v)
		}
	}()
	rest, sum, ok := cutChecksum(data)
	if !ok || len(rest) < 4 {
		return 0, corrupt(name, "bad footer")
	}
	indexLen := int(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	rest = rest[:len(rest)-4]
	if indexLen <= 0 || indexLen > len(rest) {
		return 0, corrupt(name, "bad index length %d", indexLen)
	}
	index := rest[len(rest)-indexLen:]
	if err := y.VerifyChecksum(index, sum); err != nil {
		return 0, corrupt(name, "index: %v", err)
	}
	root := fb.GetRootAsTableIndex(index, 0)
	var o fb.BlockOffset
	var buf []byte
	for i := range root.OffsetsLength() {
		if !root.Offsets(&o, i) || uint64(o.Offset())+uint64(o.Len()) > uint64(len(data)) {
			return 0, corrupt(name, "block %d lies outside the file", i)
		}
		block := data[o.Offset() : o.Offset()+o.Len()]
		if buf, err = verifyBlock(block, compression, buf); err != nil {
			return 0, corrupt(name, "block %d at byte %d: %v", i, o.Offset(), err)
		}
	}
	return int64(len(data)), nil
}

var errBadBlock = errors.New("bad checksum length")

// verifyBlock checks one block and returns its buffer for the next.
func verifyBlock(block []byte, compression options.CompressionType, buf []byte) ([]byte, error) {
	switch compression {
	case options.None:
	case options.ZSTD:
		var err error
		if buf, err = y.ZSTDDecompress(buf[:0], block); err != nil {
			return buf, err
		}
		block = buf
	default:
		return buf, fmt.Errorf("compression %d, which this store never used", compression)
	}
	body, sum, ok := cutChecksum(block)
	if !ok {
		return buf, errBadBlock
	}
	return buf, y.VerifyChecksum(body, sum)
}

// cutChecksum splits off what ends an index and a block: checksum, length u32.
func cutChecksum(b []byte) (body []byte, sum *pb.Checksum, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b[len(b)-4:])
	b = b[:len(b)-4]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, false
	}
	sum = new(pb.Checksum)
	if err := proto.Unmarshal(b[len(b)-int(n):], sum); err != nil {
		return nil, nil, false
	}
	return b[:len(b)-int(n)], sum, true
}

// verifyLogs checks the memtable logs. They were each complete and synced before
// the next was begun, so only the newest may end in a torn transaction. One of no
// length was not begun.
func verifyLogs(dir string) (held []loggedFile, err error) {
	all, err := logs(dir)
	if err != nil {
		return nil, err
	}
	begun := all[:0]
	for _, name := range all {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if info.Size() > 0 {
			begun = append(begun, name)
		}
	}
	for i, name := range begun {
		n, err := verifyLog(filepath.Join(dir, name), i == len(begun)-1)
		if err != nil {
			return nil, err
		}
		if n > logHeader {
			held = append(held, loggedFile{filepath.Join(dir, name), int64(n)})
		}
	}
	return held, nil
}

// The layout of a log: a header of key id and IV, then records of
//
//	meta u8 | user meta u8 | uvarint key length, value length, expiry | key | value | CRC32C
//
// where a key ends in its timestamp, inverted. Records of one transaction follow
// one another and end in one with bitFinTxn.
const (
	logHeader  = 20
	bitTxn     = 1 << 6
	bitFinTxn  = 1 << 7
	maxLogKey  = 1 << 16
	maxLogBody = 4 << 20
)

// record parses the log record at the start of b. It returns its length, 0 where
// there is no valid one.
func record(b []byte) (n int, meta byte, ts uint64) {
	if len(b) < 5 {
		return 0, 0, 0
	}
	at := 2
	var fields [3]uint64
	for i := range fields {
		v, w := binary.Uvarint(b[at:])
		if w <= 0 {
			return 0, 0, 0
		}
		fields[i], at = v, at+w
	}
	klen, vlen := fields[0], fields[1]
	if klen < 8 || klen > maxLogKey || vlen > maxLogBody || uint64(len(b)-at) < klen+vlen+4 {
		return 0, 0, 0
	}
	end := at + int(klen) + int(vlen)
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return 0, 0, 0
	}
	key := b[at : at+int(klen)]
	return end + 4, b[0], math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-8:])
}

// usedLen is the length of b without the zeros at its end, of which a log has
// many: it is made in its full size.
func usedLen(b []byte) int {
	var zeros [4 << 10]byte
	for len(b) >= len(zeros) && bytes.Equal(b[len(b)-len(zeros):], zeros[:]) {
		b = b[:len(b)-len(zeros)]
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return len(b)
}

// validLog returns where the whole transactions of a log end, and the timestamp of
// the last of them, 0 where there is none.
func validLog(data []byte) (end int, last uint64) {
	end = logHeader
	for at := logHeader; at < len(data); {
		n, meta, ts := record(data[at:])
		if n == 0 {
			break
		}
		at += n
		if meta&bitFinTxn != 0 {
			end, last = at, ts
		}
	}
	return end, last
}

// verifyLog reads a log up to its first invalid record. Behind that, in the
// newest log, there may be remains of the one transaction that was being written
// at a crash. Anything of a second one proves that the first was complete: the
// combiner writes none before the one before it is durable. It returns where the
// valid transactions end.
func verifyLog(name string, newest bool) (valid int, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	if len(data) < logHeader {
		return 0, nil // made, and never written to
	}
	// The last record may itself end in zeros: a checksum has four bytes.
	data = data[:min(len(data), max(logHeader, usedLen(data))+4)]
	valid, last := validLog(data)
	torn := uint64(0) // the transaction being written at the crash
	if last > 0 {
		torn = last + 1
	}
	for i := valid; i < len(data); i++ {
		if data[i] == 0 {
			continue
		}
		if !newest {
			return 0, corrupt(name, "damaged at byte %d, in a log that was complete", valid)
		}
		if data[i]&(bitTxn|bitFinTxn) == 0 {
			continue
		}
		n, _, ts := record(data[i:])
		if n == 0 {
			continue
		}
		if torn == 0 {
			torn = ts
		}
		if ts != torn {
			return 0, corrupt(name, "damaged at byte %d: whole transactions follow", valid)
		}
		i += n - 1
	}
	return valid, nil
}
