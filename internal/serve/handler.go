package serve

import (
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"

	"massattach/internal/report"
)

// How many requests are worked on at a time. Who comes while there are so many is told
// to come back: 503.
const (
	maxRequests = 64
	maxScrapes  = 16
)

// The pages that answer without credentials, where some are asked for.
const (
	pathAPI     = "/api/"
	pathHealthy = "/-/healthy"
	pathReady   = "/-/ready"
)

// NewHandler answers for a daemon: its metrics, its API, its health, and pprof if that
// is asked for. Everything is GET or HEAD, and nothing of it changes anything.
func NewHandler(d *Daemon, version string, profiling bool) (http.Handler, error) {
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        "massattach",
		Description: "How long it takes to attach to processes, and to arrest their threads",
		Version:     version,
		Profiling:   strconv.FormatBool(profiling),
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "Metrics"},
			{Address: "/api/v1/targets", Text: "Targets", Description: "what is watched, as JSON; /api/v1/targets/PID has the last report of a process"},
			{Address: pathHealthy, Text: "Health"},
			{Address: pathReady, Text: "Readiness"},
		},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", landing)
	mux.Handle("/metrics", promhttp.InstrumentMetricHandler(d.registry, promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{
		Registry:            d.registry,
		ErrorHandling:       promhttp.ContinueOnError, // half of the truth, and not a 500
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})))
	mux.HandleFunc("/api/v1/targets", d.serveTargets)
	mux.HandleFunc("/api/v1/targets/{pid}", d.serveReport)
	mux.HandleFunc(pathHealthy, d.serveHealthy)
	mux.HandleFunc(pathReady, d.serveReady)
	if profiling {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		sendProblem(w, http.StatusNotFound, "there is no such page: / lists those that there are")
	})
	return readOnly(limited(mux)), nil
}

// readOnly refuses what is not a question.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			sendProblem(w, http.StatusMethodNotAllowed, "everything here is read-only")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limited bounds how many requests are worked on at a time.
func limited(next http.Handler) http.Handler {
	places := make(chan struct{}, maxRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			sendProblem(w, http.StatusServiceUnavailable, "too many requests at a time")
		}
	})
}

func (d *Daemon) serveHealthy(w http.ResponseWriter, _ *http.Request) { sendLine(w, "healthy\n") }

func (d *Daemon) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !d.Ready() {
		sendProblem(w, http.StatusServiceUnavailable, "targets are still being looked for")
		return
	}
	sendLine(w, "ready\n")
}

func (d *Daemon) serveTargets(w http.ResponseWriter, _ *http.Request) {
	sendJSON(w, struct {
		Targets []Status `json:"targets"`
	}{d.Targets()})
}

func (d *Daemon) serveReport(w http.ResponseWriter, r *http.Request) {
	pid, err := strconv.Atoi(r.PathValue("pid"))
	if err != nil || pid <= 0 {
		sendProblem(w, http.StatusNotFound, "that is not a process number: /api/v1/targets has those that are watched")
		return
	}
	switch last, known := d.Report(pid); {
	case !known:
		sendProblem(w, http.StatusNotFound, "no target is process "+strconv.Itoa(pid))
	case last == nil:
		sendProblem(w, http.StatusNotFound, "process "+strconv.Itoa(pid)+" has not been probed yet")
	default:
		sendJSON(w, last)
	}
}

func sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = report.WriteJSON(w, v) // nobody reads it
}

func sendLine(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, line) // nobody reads it
}
