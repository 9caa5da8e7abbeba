package serve

import (
	"net/http"

	"massattach/internal/report"
)

const contentProblem = "application/problem+json"

// problem is an error of the API: an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func sendProblem(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", contentProblem)
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Encoding")
	h.Del("Content-Length") // of what it is sent instead of
	w.WriteHeader(status)
	// An error says that nobody reads it.
	_ = report.WriteJSON(w, problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}

// problems makes a problem of each error that is answered to it in other words: the
// toolkit's, which knows nothing of them.
type problems struct {
	http.ResponseWriter
	instead bool // one was sent in the place of what follows
}

func (p *problems) WriteHeader(status int) {
	if status >= 400 && p.Header().Get("Content-Type") != contentProblem {
		p.instead = true
		sendProblem(p.ResponseWriter, status, "")
		return
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *problems) Write(b []byte) (int, error) {
	if p.instead {
		return len(b), nil
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (p *problems) Unwrap() http.ResponseWriter { return p.ResponseWriter }
