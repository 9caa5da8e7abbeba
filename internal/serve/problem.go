package serve

import (
	"net/http"

	"massattach/internal/report"
)

// problem is an error of the API: an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func sendProblem(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Encoding")
	w.WriteHeader(status)
	// An error says that nobody reads it.
	_ = report.WriteJSON(w, problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}
