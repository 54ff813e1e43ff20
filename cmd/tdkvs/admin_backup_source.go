package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tdkvs/backup"
	"tdkvs/gateway/adminapi"
)

// remoteStore is a store that is backed up over its admin API.
type remoteStore struct {
	client *adminClient
	backup adminapi.Backup
}

// How long a stream may be silent, and how often bodies are asked for again.
const (
	streamPatience = 2 * time.Minute
	bodyAttempts   = 4
)

// beginBackup has the store hold what it has.
func beginBackup(ctx context.Context, c *adminClient, within time.Duration) (*remoteStore, error) {
	s := &remoteStore{client: c}
	err := c.call(ctx, http.MethodPost, "/backups", nil, adminapi.BackupStart{Seconds: int64(within / time.Second)}, &s.backup)
	return s, err
}

// end lets the store go on collecting garbage.
func (s *remoteStore) end(ctx context.Context) error {
	var b adminapi.Backup
	return s.client.call(context.WithoutCancel(ctx), http.MethodDelete, "/backups/"+s.backup.ID, nil, nil, &b)
}

// Cluster implements backup.Source.
func (s *remoteStore) Cluster() string { return s.backup.Cluster }

// Held implements backup.Source.
func (s *remoteStore) Held(ctx context.Context) error {
	var b adminapi.Backup
	return s.client.call(ctx, http.MethodGet, "/backups/"+s.backup.ID, nil, nil, &b)
}

// Rows implements backup.Source.
func (s *remoteStore) Rows(ctx context.Context, fn func(*backup.Row) error) error {
	var row backup.Row
	return s.client.stream(ctx, http.MethodGet, "/backups/"+s.backup.ID+"/rows", nil, func(r io.Reader) error {
		return adminapi.ReadRows(r, func(x *adminapi.BackupRow) error {
			row.Key, row.Value, row.Bodies = x.Key, x.Value, row.Bodies[:0]
			for _, b := range x.Bodies {
				row.Bodies = append(row.Bodies, backup.Body{ID: b.ID, Size: b.Size, Handle: b.Handle})
			}
			return fn(&row)
		})
	})
}

// Bodies implements backup.Source. A store that is busy, or out of reach for a
// moment, is asked again.
func (s *remoteStore) Bodies(ctx context.Context, wants []backup.Want) ([][]byte, error) {
	ask := adminapi.BackupWants{Bodies: make([]adminapi.BackupWant, len(wants))}
	for i, w := range wants {
		ask.Bodies[i] = adminapi.BackupWant{Handle: w.Handle, Offset: w.Offset, Length: w.Length}
	}
	content, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		bodies, err := s.bodies(ctx, content, wants)
		if err == nil || attempt == bodyAttempts || ctx.Err() != nil || final(err) {
			return bodies, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(attempt) * time.Second):
		}
	}
}

func (s *remoteStore) bodies(ctx context.Context, content []byte, wants []backup.Want) ([][]byte, error) {
	bodies := make([][]byte, 0, len(wants))
	err := s.client.stream(ctx, http.MethodPost, "/backups/"+s.backup.ID+"/bodies", content, func(r io.Reader) error {
		in := bufio.NewReaderSize(r, 64<<10)
		for _, w := range wants {
			b, err := adminapi.ReadBody(in, w.Length)
			if err != nil {
				return err
			}
			bodies = append(bodies, b)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			return adminapi.ErrStream
		}
		return nil
	})
	return bodies, err
}

// stream makes a request whose answer may take long, as long as something comes.
func (c *adminClient) stream(ctx context.Context, method, path string, content []byte, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(streamPatience, func() { cancel(fmt.Errorf("%s is silent for %v", c.base, streamPatience)) })
	defer silent.Stop()
	r, err := c.request(ctx, method, path, nil, content)
	if err != nil {
		return err
	}
	patient := http.Client{Transport: c.http.Transport}
	resp, err := patient.Do(r)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", c.base, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or given up
	if resp.StatusCode/100 != 2 {
		return readAnswer(resp, nil)
	}
	err = read(&watched{resp.Body, silent})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return err
}

// watched starts the time of a silence anew with every byte.
type watched struct {
	in    io.Reader
	timer *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	w.timer.Reset(streamPatience)
	return n, err
}
