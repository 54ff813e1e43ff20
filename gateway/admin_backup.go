package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tdkvs/gateway/adminapi"
	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// BackupKeeper is what the admin API needs of the engine to back it up.
type BackupKeeper interface {
	BeginBackup(limit time.Duration) (master.BackupStatus, error)
	Backups() []master.BackupStatus
	Backup(id string) (master.BackupStatus, error)
	BackupRows(ctx context.Context, id string, fn func(master.BackupRow) error) error
	BackupBody(ctx context.Context, id string, handle []byte, offset, length int64) (io.ReadCloser, error)
	EndBackup(id string) (master.BackupStatus, error)
}

// adminStream is an answer that is not one document. What it fails with once
// something was sent breaks the connection.
type adminStream func(w io.Writer) error

// sendStream sends such an answer.
func (g *gateway) sendStream(w http.ResponseWriter, status int, stream adminStream) error {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	lazy := &lazyStatus{w: w, status: status}
	err := stream(lazy)
	if err != nil && !lazy.begun {
		h.Del("Content-Type")
		return err
	}
	if err != nil {
		s3api.InfoOf(w).Err = err
		panic(http.ErrAbortHandler)
	}
	lazy.begin()
	return nil
}

// lazyStatus sends the status with the first byte: what fails before is an error
// of its own.
type lazyStatus struct {
	w      http.ResponseWriter
	status int
	begun  bool
}

func (l *lazyStatus) begin() {
	if !l.begun {
		l.begun = true
		s3api.InfoOf(l.w).Status = l.status
		l.w.WriteHeader(l.status)
	}
}

func (l *lazyStatus) Write(p []byte) (int, error) {
	l.begin()
	return l.w.Write(p)
}

func adminBackup(b master.BackupStatus) adminapi.Backup {
	return adminapi.Backup{ID: b.ID, Cluster: b.Cluster, Began: b.Began.UTC(), Until: b.Until.UTC(), Used: b.Used.UTC(), Rows: b.Rows, Bytes: b.Bytes}
}

// backupFailure finds out what an operator is to see of a backup that failed.
func backupFailure(err error) error {
	var gone *master.BackupGone
	if errors.As(err, &gone) {
		return &failure{status: http.StatusNotFound, code: "NoSuchBackup", message: gone.Error(), err: err}
	}
	return err
}

func (g *gateway) adminBeginBackup(r *adminRequest) (any, error) {
	var want adminapi.BackupStart
	if err := r.decode(&want); err != nil {
		return nil, err
	}
	if most := int64(master.MaxBackupFor / time.Second); want.Seconds < 0 || want.Seconds > most {
		return nil, badAdmin("InvalidArgument", "seconds: want 0 (a day) to 604800")
	}
	b, err := g.cfg.Admin.Operator.BeginBackup(time.Duration(want.Seconds) * time.Second)
	if err != nil {
		return nil, err
	}
	return adminBackup(b), nil
}

func (g *gateway) adminBackups(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	all := adminapi.Backups{Backups: []adminapi.Backup{}}
	for _, b := range g.cfg.Admin.Operator.Backups() {
		all.Backups = append(all.Backups, adminBackup(b))
	}
	return all, nil
}

func (g *gateway) adminBackup(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	b, err := g.cfg.Admin.Operator.Backup(r.name)
	if err != nil {
		return nil, backupFailure(err)
	}
	return adminBackup(b), nil
}

func (g *gateway) adminEndBackup(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	b, err := g.cfg.Admin.Operator.EndBackup(r.name)
	if err != nil {
		return nil, backupFailure(err)
	}
	return adminBackup(b), nil
}

// adminBackupRows sends all rows as of one moment.
func (g *gateway) adminBackupRows(r *adminRequest) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return adminStream(func(w io.Writer) error {
		out := adminapi.NewRowWriter(w)
		var row adminapi.BackupRow
		err := g.cfg.Admin.Operator.BackupRows(r.Context(), r.name, func(x master.BackupRow) error {
			row.Key, row.Value, row.Bodies = x.Key, x.Value, row.Bodies[:0]
			for _, b := range x.Bodies {
				row.Bodies = append(row.Bodies, adminapi.BackupBody{ID: b.ID, Size: b.Size, Handle: b.Handle})
			}
			return out.Write(&row)
		})
		if err != nil {
			return backupFailure(err)
		}
		return out.Close()
	}), nil
}

// adminBackupBodies sends the bodies that are asked for.
func (g *gateway) adminBackupBodies(r *adminRequest) (any, error) {
	var want adminapi.BackupWants
	if err := r.decode(&want); err != nil {
		return nil, err
	}
	if _, err := g.cfg.Admin.Operator.Backup(r.name); err != nil {
		return nil, backupFailure(err)
	}
	return adminStream(func(w io.Writer) error {
		out := adminapi.NewBodyWriter(w)
		for _, x := range want.Bodies {
			if err := g.sendBody(r, out, x); err != nil {
				g.cfg.Logger.ErrorContext(r.Context(), "a body can not be backed up", "backup", r.name, "error", err)
				return out.Fail(bodyFailureText(err))
			}
		}
		return out.Flush()
	}), nil
}

// bodyFailureText is what an operator is to see of a body that can not be read.
func bodyFailureText(err error) string {
	text := classifyAdmin(backupFailure(err)).message
	if text == "" {
		text = "internal error, see the log of the store"
	}
	if at := (*meta.Error)(nil); errors.As(err, &at) && at.Bucket != "" {
		text = fmt.Sprintf("%q in bucket %s: %s", at.Key, at.Bucket, text)
	}
	return text
}

// sendBody sends one body.
func (g *gateway) sendBody(r *adminRequest, out *adminapi.BodyWriter, x adminapi.BackupWant) error {
	body, err := g.cfg.Admin.Operator.BackupBody(r.Context(), r.name, x.Handle, x.Offset, x.Length)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	if closing := body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return out.End()
}
