package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestHandler(t *testing.T) {
	d := New(Options{})
	defer d.Close()
	one := asFlags
	one.Name, one.Rule.Comm = "nobody", "no such process"
	if err := d.Watch([]Target{one}); err != nil {
		t.Fatal(err)
	}
	h, err := NewHandler(d, "v1", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method, path string
		status       int
		kind         string
		has          string
	}{
		{"GET", "/", 200, "text/html; charset=UTF-8", "v1"},
		{"HEAD", "/", 200, "text/html; charset=UTF-8", ""},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", `massattach_tracers{target="nobody"} 0`},
		{"GET", "/metrics?name[]=x", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", ""},
		{"GET", "/-/healthy", 200, "text/plain; charset=utf-8", "healthy"},
		{"GET", "/api/v1/targets", 200, "application/json", `"name":"nobody"`},
		{"GET", "/api/v1/targets/1", 404, "application/problem+json", "no target is process 1"},
		{"GET", "/api/v1/targets/0", 404, "application/problem+json", "not a process number"},
		{"GET", "/api/v1/targets/x", 404, "application/problem+json", "not a process number"},
		{"GET", "/api/v1/targets/99999999999999999999", 404, "application/problem+json", "not a process number"},
		{"GET", "/api/v1/targets/", 404, "application/problem+json", ""},
		{"GET", "/api/v1", 404, "application/problem+json", "no such page"},
		{"GET", "/debug/pprof/", 404, "application/problem+json", "no such page"},
		{"GET", "/metrics/", 404, "application/problem+json", "no such page"},
		{"POST", "/metrics", 405, "application/problem+json", "read-only"},
		{"PUT", "/api/v1/targets/1", 405, "application/problem+json", "read-only"},
		{"DELETE", "/api/v1/targets", 405, "application/problem+json", "read-only"},
		{"OPTIONS", "*", 405, "application/problem+json", "read-only"},
		{"ATTACH", "/-/healthy", 405, "application/problem+json", "read-only"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, nil))
		r := w.Result()
		if r.StatusCode != tc.status || r.Header.Get("Content-Type") != tc.kind || !strings.Contains(w.Body.String(), tc.has) {
			t.Errorf("%s %s: %d, %s, %.200s", tc.method, tc.path, r.StatusCode, r.Header.Get("Content-Type"), w.Body)
		}
		if r.StatusCode == 405 && r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: allows %q", tc.method, tc.path, r.Header.Get("Allow"))
		}
		if r.StatusCode >= 400 {
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != tc.status || p.Type != "about:blank" || p.Title != http.StatusText(tc.status) {
				t.Errorf("%s %s: %+v, %v", tc.method, tc.path, p, err)
			}
		}
	}
}

func TestHandlerProfiling(t *testing.T) {
	h, err := NewHandler(New(Options{}), "v1", true)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/goroutine?debug=1", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("%d, %.100s", w.Code, w.Body)
	}
}

// Nobody is told that all is ready before each target has been looked for.
func TestHandlerReady(t *testing.T) {
	d := New(Options{})
	h, err := NewHandler(d, "v1", false)
	if err != nil {
		t.Fatal(err)
	}
	d.watchers["x"] = &watcher{status: newStatus(asFlags)} // its goroutine has not run yet
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", pathReady, nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d", w.Code)
	}
	d.watchers["x"].looked = true
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", pathReady, nil))
	if w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
}

// More requests than there are places are told to come back.
func TestHandlerLimit(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	h := limited(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-leave
	}))
	for range maxRequests {
		go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		<-inside
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	close(leave)
}

// What is shown follows the conventions.
func TestMetricsLint(t *testing.T) {
	d := New(Options{})
	defer d.Close()
	one := asFlags
	one.Rule.Comm = "no such process"
	if err := d.Watch([]Target{one}); err != nil {
		t.Fatal(err)
	}
	h, err := NewHandler(d, "v1", false)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(w.Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		// Go's own collector has a name that promlint does not like.
		if strings.HasPrefix(p.Metric, "massattach_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Whatever is asked, there is an answer: no 5xx but 503, and nothing but problem
// documents for errors of the API.
func FuzzHandler(f *testing.F) {
	d := New(Options{})
	f.Cleanup(d.Close)
	one := asFlags
	one.Rule.Comm = "no such process"
	if err := d.Watch([]Target{one}); err != nil {
		f.Fatal(err)
	}
	h, err := NewHandler(d, "v1", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/metrics", "text/plain", "gzip")
	f.Add("GET", "/api/v1/targets/1", "application/openmetrics-text; version=1.0.0", "zstd")
	f.Add("HEAD", "/api/v1/targets?x=%zz", "*/*", "")
	f.Add("PUT", "//-/../metrics", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "gzip;q=0")
	f.Fuzz(func(t *testing.T, method, path, accept, encoding string) {
		r, err := http.NewRequest(method, "http://x", nil)
		if err != nil {
			return
		}
		r.URL.Path, r.RequestURI = path, path
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case w.Code >= 500 && w.Code != http.StatusServiceUnavailable:
			t.Errorf("%d", w.Code)
		case w.Code < 300 && r.Method != http.MethodGet && r.Method != http.MethodHead:
			t.Errorf("%s was answered: %d", method, w.Code)
		case w.Code >= 400 && !json.Valid(w.Body.Bytes()):
			t.Errorf("%d, %q", w.Code, w.Body)
		}
	})
}
