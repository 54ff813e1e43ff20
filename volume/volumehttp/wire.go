package volumehttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"time"

	"tdkvs/volume"
)

// The headers of the protocol.
const (
	headerProtocol = "Tdkvs-Protocol" // in each response: who is speaking
	headerVolume   = "Tdkvs-Volume"   // the volume expected; in a response, the one that is
	headerSize     = "Tdkvs-Size"     // payload bytes, where they are known beforehand
	headerCreated  = "Tdkvs-Created"
	headerError    = "Tdkvs-Error"  // the code of an error, for HEAD as well
	headerCRC      = "Tdkvs-Crc32c" // of a JSON body, hexadecimal
	headerSigns    = "Tdkvs-Signs"  // in a put: signs of life are wanted (102) while the body is taken
	headerLane     = "Tdkvs-Lane"   // in the first request of a connection: it will carry nothing but gets, and puts of known length
	headerAuth     = "Authorization"

	// paramInfo asks for the info frame of a get stream; infoFirst is its only value.
	paramInfo = "info"
	infoFirst = "first"

	protocolVersion = "1"
	typeFrames      = "application/vnd.tdkvs.frames"
	typeJSON        = "application/json"

	// maxJSON bounds a JSON body in either direction, in bytes.
	maxJSON = 1 << 20
	// pageSize bounds a page of a listing and a batch of deletes on the wire.
	pageSize = 1000
)

// wireError is one row of the table of errors.
type wireError struct {
	code   string
	status int
	err    error
}

const (
	codeOK       = "ok"
	codeInternal = "internal"
)

// wireErrors returns how errors cross the wire: the first row that matches by
// errors.Is gives the code; the client turns a code back into its row's error.
func wireErrors() []wireError {
	return []wireError{
		{"not_found", http.StatusNotFound, volume.ErrNotFound},
		{"exists", http.StatusConflict, volume.ErrExists},
		{"corrupt", http.StatusInternalServerError, volume.ErrCorrupt},
		{"read_only", http.StatusServiceUnavailable, volume.ErrReadOnly},
		{"no_space", http.StatusInsufficientStorage, volume.ErrNoSpace},
		{"wrong_volume", http.StatusMisdirectedRequest, volume.ErrWrongVolume},
		{"locked", http.StatusLocked, volume.ErrLocked},
		{"denied", http.StatusForbidden, volume.ErrDenied},
		{"invalid", http.StatusBadRequest, volume.ErrInvalid},
		{"unavailable", http.StatusServiceUnavailable, volume.ErrUnavailable},
		{"unavailable", http.StatusServiceUnavailable, errDamaged},
		{"unavailable", http.StatusServiceUnavailable, context.Canceled},
		{"unavailable", http.StatusServiceUnavailable, context.DeadlineExceeded},
	}
}

// encodeError returns the code and HTTP status of an error.
func encodeError(err error) (code string, status int) {
	for _, row := range wireErrors() {
		if errors.Is(err, row.err) {
			return row.code, row.status
		}
	}
	return codeInternal, http.StatusInternalServerError
}

// remoteError is an error that a server reported.
type remoteError struct {
	message string
	err     error // one of package volume's; nil for an internal error
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.err }

// decodeError is the reverse of encodeError. A code that it does not know comes
// from a newer server or a damaged message: then nothing is known.
func decodeError(code, message string) error {
	if code == codeInternal {
		return &remoteError{message: message}
	}
	for _, row := range wireErrors() {
		if row.code == code {
			return &remoteError{message: message, err: row.err}
		}
	}
	return &remoteError{message: fmt.Sprintf("unknown error %q: %s", code, message), err: volume.ErrUnavailable}
}

// The JSON bodies.
type (
	errorJSON struct {
		Code    string `json:"code"`
		Message string `json:"message,omitempty"`
	}
	deleteJSON struct {
		IDs []string `json:"ids"`
	}
	claimJSON struct {
		Cluster string `json:"cluster"`
	}
	listJSON struct {
		Blobs []infoJSON `json:"blobs"`
		More  bool       `json:"more"` // the page was cut short: ask on from its last id
	}
	infoJSON struct {
		ID         string    `json:"id"`
		Size       int64     `json:"size"`
		Created    time.Time `json:"created"`
		Descriptor []byte    `json:"descriptor,omitempty"`
	}
	damagedJSON struct {
		Damaged []damageJSON `json:"damaged"`
		More    bool         `json:"more"` // the page was cut short: ask on from its last number
	}
	damageJSON struct {
		Seq   uint64    `json:"seq"`
		Blob  string    `json:"blob,omitempty"` // none: it is not known
		Part  string    `json:"part"`
		Found time.Time `json:"found"`
	}
	statusJSON struct {
		Volume       string `json:"volume"`
		Cluster      string `json:"cluster"`
		Blobs        int64  `json:"blobs"`
		Bytes        int64  `json:"bytes"`
		DeadBytes    int64  `json:"dead_bytes"`
		Capacity     uint64 `json:"capacity"`
		Free         uint64 `json:"free"`
		Reserve      uint64 `json:"reserve"`
		Full         bool   `json:"full"`
		ReadOnly     string `json:"read_only"`
		Syncs        uint64 `json:"syncs"`
		Writes       uint64 `json:"writes"`
		Quarantined  int64  `json:"quarantined"`
		CorruptReads uint64 `json:"corrupt_reads"`
		Run          uint64 `json:"run"`
		Damaged      uint64 `json:"damaged"`

		Metadata heldJSON  `json:"metadata"`
		Scrub    scrubJSON `json:"scrub"`
	}
	heldJSON struct {
		Blobs int64 `json:"blobs"`
		Bytes int64 `json:"bytes"`
	}
	scrubJSON struct {
		Rate     int64     `json:"rate"`
		Running  bool      `json:"running"`
		Began    time.Time `json:"began"`
		Finished time.Time `json:"finished"`
		Read     int64     `json:"read"`
		Total    int64     `json:"total"`
		Bad      int64     `json:"bad"`
	}
)

func encodeInfo(info volume.Info) infoJSON {
	return infoJSON{ID: info.ID.String(), Size: info.Size, Created: info.Created, Descriptor: info.Descriptor}
}

func (j infoJSON) decode() (volume.Info, error) {
	id, err := volume.ParseBlobID(j.ID)
	return volume.Info{ID: id, Size: j.Size, Created: j.Created, Descriptor: j.Descriptor}, err
}

func encodeDamage(d volume.Damage) damageJSON {
	j := damageJSON{Seq: d.Seq, Part: bounded(d.Part), Found: d.Found}
	if d.Blob != (volume.BlobID{}) {
		j.Blob = d.Blob.String()
	}
	return j
}

func (j damageJSON) decode() (volume.Damage, error) {
	d := volume.Damage{Seq: j.Seq, Part: j.Part, Found: j.Found}
	if j.Blob == "" {
		return d, nil
	}
	var err error
	d.Blob, err = volume.ParseBlobID(j.Blob)
	return d, err
}

func encodeStatus(s volume.Status) statusJSON {
	return statusJSON{
		Volume: s.Volume, Cluster: s.Cluster,
		Blobs: s.Blobs, Bytes: s.Bytes, DeadBytes: s.DeadBytes,
		Capacity: s.Capacity, Free: s.Free, Reserve: s.Reserve, Full: s.Full, ReadOnly: s.ReadOnly,
		Syncs: s.Syncs, Writes: s.Writes, Quarantined: s.Quarantined, CorruptReads: s.CorruptReads,
		Run: s.Run, Damaged: s.Damaged, Metadata: heldJSON(s.Metadata), Scrub: scrubJSON(s.Scrub),
	}
}

func (j statusJSON) decode() volume.Status {
	return volume.Status{
		Identity: volume.Identity{Volume: j.Volume, Cluster: j.Cluster},
		Blobs:    j.Blobs, Bytes: j.Bytes, DeadBytes: j.DeadBytes,
		Capacity: j.Capacity, Free: j.Free, Reserve: j.Reserve, Full: j.Full, ReadOnly: j.ReadOnly,
		Syncs: j.Syncs, Writes: j.Writes, Quarantined: j.Quarantined, CorruptReads: j.CorruptReads,
		Run: j.Run, Damaged: j.Damaged, Metadata: volume.Held(j.Metadata), Scrub: volume.Scrub(j.Scrub),
	}
}

// jsonChecksum is the value of headerCRC for a body.
func jsonChecksum(body []byte) string {
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) // MakeTable returns one shared table
	return strconv.FormatUint(uint64(sum), 16)
}

// unmarshalChecked decodes a JSON body whose checksum must agree.
func unmarshalChecked(body []byte, checksum string, v any) error {
	if checksum != jsonChecksum(body) {
		return fmt.Errorf("checksum of a message of %d bytes: %w", len(body), errDamaged)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("message: %v: %w", err, volume.ErrInvalid)
	}
	return nil
}

func blobPath(id volume.BlobID) string { return "/v1/blobs/" + id.String() }
