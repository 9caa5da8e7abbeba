// --metrics-file and --metrics-listen: what attach, stop and watch measure, for
// Prometheus.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/serve"
	"massattach/metrics"
	"massattach/stopper"
)

// measures is where the metrics of a run go; to nobody when nothing was asked for.
type measures struct {
	file   string
	listen string

	rec    metrics.Recorder
	census *metrics.Census
	reg    *prometheus.Registry // nil: to nobody
	stop   func()               // ends the server; nil: there is none
	ended  chan struct{}        // closed when it has ended
}

// addFile adds --metrics-file to cmd.
func (m *measures) addFile(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.file, "metrics-file", "", "write metrics to `FILE` at the end, for node_exporter's textfile collector")
	_ = cmd.MarkFlagFilename("metrics-file", "prom") // it fails only for a flag that doesn't exist
}

// addListen adds --metrics-listen to cmd.
func (m *measures) addListen(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.listen, "metrics-listen", "", "serve metrics on `ADDR` meanwhile: localhost:19847")
}

// begin has the metrics collected and served that were asked for, and answers at
// which address, if at any. An error comes before anybody is attached to.
func (m *measures) begin(all []int) (at string, err error) {
	if m.file == "" && m.listen == "" {
		return "", nil
	}
	if m.file != "" {
		if err := m.writable(); err != nil {
			return "", fmt.Errorf("--metrics-file %s: %w", m.file, err)
		}
	}
	m.reg = prometheus.NewRegistry()
	m.census = metrics.NewCensus(func() []int { return all })
	m.reg.MustRegister(&m.rec, m.census, metrics.NewBuildInfo())
	if m.listen == "" {
		return "", nil
	}
	l, err := net.Listen("tcp", m.listen)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return "", fmt.Errorf("--metrics-listen %s: %w", m.listen, err)
	}
	m.serve(l)
	return l.Addr().String(), nil
}

// writable says what is in the way of the file, which is replaced, not written to.
func (m *measures) writable() error {
	if st, err := os.Stat(m.file); err == nil && !st.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	dir := filepath.Dir(m.file)
	st, err := os.Stat(dir)
	switch {
	case err == nil && st.IsDir():
		return nil
	case err == nil:
		err = syscall.ENOTDIR
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", dir, err)
}

// scrapes is how many readers of the metrics are answered at a time.
const scrapes = 4

func (m *measures) serve(l net.Listener) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
	ctx, cancel := context.WithCancel(context.Background())
	m.ended, m.stop = make(chan struct{}), cancel
	go func() {
		defer close(m.ended)
		server := serve.Server{Listeners: []net.Listener{l}, Handler: mux}
		_ = server.Serve(ctx) // that the listener is broken who asks will see
	}()
}

// end serves no more, and writes the file.
func (m *measures) end() error {
	if m.stop != nil {
		m.stop()
		<-m.ended
	}
	if m.reg == nil {
		return nil
	}
	defer m.census.Close()
	if m.file == "" {
		return nil
	}
	if err := prometheus.WriteToTextfile(m.file, m.reg); err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		return fmt.Errorf("--metrics-file %s: %w", m.file, err)
	}
	return nil
}

// session answers the hooks of a session, to which the caller may add his own.
func (m *measures) session() *attacher.Trace {
	if m.reg == nil {
		return new(attacher.Trace)
	}
	return m.rec.Session()
}

func (m *measures) stopper() *stopper.Trace {
	if m.reg == nil {
		return nil
	}
	return m.rec.Stopper()
}
