package volumehttp

import (
	"fmt"
	"net/http"

	"tdkvs/volume"
)

func (s *Server) deleteOne(w *response, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return s.delete(w, r, []volume.BlobID{id})
}

func (s *Server) deleteMany(w *response, r *http.Request) error {
	var request deleteJSON
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	if len(request.IDs) > pageSize {
		return fmt.Errorf("delete of %d blobs, %d at most: %w", len(request.IDs), pageSize, volume.ErrInvalid)
	}
	ids := make([]volume.BlobID, len(request.IDs))
	for i, text := range request.IDs {
		id, err := volume.ParseBlobID(text)
		if err != nil {
			return fmt.Errorf("%v: %w", err, volume.ErrInvalid)
		}
		ids[i] = id
	}
	return s.delete(w, r, ids)
}

func (s *Server) delete(w *response, r *http.Request, ids []volume.BlobID) error {
	if err := s.blobs.Delete(r.Context(), ids); err != nil {
		return err
	}
	w.json(http.StatusOK, errorJSON{Code: codeOK})
	return nil
}

func (s *Server) list(w *response, r *http.Request) error {
	limit, err := queryInt(r, "limit", pageSize)
	if err != nil {
		return err
	}
	var after volume.BlobID
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = volume.ParseBlobID(text); err != nil {
			return fmt.Errorf("%v: %w", err, volume.ErrInvalid)
		}
	}
	page := min(max(0, limit), pageSize)
	infos, err := s.blobs.List(r.Context(), after, int(page))
	if err != nil {
		return err
	}
	answer := listJSON{Blobs: make([]infoJSON, len(infos)), More: int64(len(infos)) == page && page < limit}
	for i, info := range infos {
		answer.Blobs[i] = encodeInfo(info)
	}
	w.json(http.StatusOK, answer)
	return nil
}

func (s *Server) damaged(w *response, r *http.Request) error {
	limit, err := queryInt(r, "limit", pageSize)
	if err != nil {
		return err
	}
	after, err := queryInt(r, "after", 0)
	if err != nil {
		return err
	}
	if limit <= 0 || after < 0 {
		return fmt.Errorf("damage after %d, limit %d: %w", after, limit, volume.ErrInvalid)
	}
	page := min(limit, pageSize)
	found, err := s.blobs.Damaged(r.Context(), uint64(after), int(page))
	if err != nil {
		return err
	}
	answer := damagedJSON{Damaged: make([]damageJSON, len(found)), More: int64(len(found)) == page && page < limit}
	for i, d := range found {
		answer.Damaged[i] = encodeDamage(d)
	}
	w.json(http.StatusOK, answer)
	return nil
}

func (s *Server) status(w *response, r *http.Request) error {
	status, err := s.blobs.Status(r.Context())
	if err != nil {
		return err
	}
	w.json(http.StatusOK, encodeStatus(status))
	return nil
}

func (s *Server) claim(w *response, r *http.Request) error {
	var request claimJSON
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	if err := s.blobs.Claim(r.Context(), request.Cluster); err != nil {
		return err
	}
	w.json(http.StatusOK, errorJSON{Code: codeOK})
	return nil
}
