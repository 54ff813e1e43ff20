package gateway

import (
	"fmt"
	"net/http"

	"tdkvs/master/meta"
)

// delete serves DELETE of a key. One that is not there is an error: that it must
// be there is checked in the same step that deletes it.
func (g *gateway) delete(w http.ResponseWriter, r *nativeRequest) error {
	condition, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	if condition.IfNoneMatch != "" {
		return &failure{status: http.StatusBadRequest, message: "If-None-Match does not apply to a delete; use If-Match"}
	}
	if condition.IfMatch == "" {
		condition.IfMatch = "*"
	}
	results, err := g.cfg.Store.DeleteObjects(r.Context(), Bucket, []meta.DeleteItem{{Key: r.key, Precondition: condition}})
	if err != nil {
		return err
	}
	if len(results) != 1 {
		return fmt.Errorf("delete of one key gave %d results", len(results))
	}
	if results[0].Err != nil {
		return results[0].Err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
