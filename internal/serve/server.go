package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// The limits of a connection.
const (
	maxConnections = 512 // a listener; more of them wait
	maxHeader      = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	profileTimeout = 2 * time.Minute // instead, where profiles are served
	idleTimeout    = 2 * time.Minute // a scraper comes back each minute
	goodbye        = time.Second     // for who is being answered at the end
)

// Listen opens addresses, or takes what systemd has opened (sd_listen_fds(3)).
func Listen(addresses []string, systemd bool) ([]net.Listener, error) {
	if systemd {
		all, err := activation.Listeners()
		if err == nil && len(all) == 0 {
			err = errors.New("systemd has passed no socket")
		}
		if err == nil && slices.Contains(all, nil) {
			err = errors.New("systemd has passed a socket that accepts no connections: its unit needs ListenStream=")
		}
		return all, err
	}
	var all []net.Listener
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// ValidateWeb says what is wrong with the file of the web side: TLS, users.
func ValidateWeb(file string) error { return web.Validate(file) }

// Server is the web side.
type Server struct {
	Listeners []net.Listener
	Handler   http.Handler
	// ConfigFile is the exporter-toolkit's, for TLS and basic auth; "" for neither.
	ConfigFile string
	// Profiling: answers may take as long as a profile.
	Profiling bool
	// Say is told what an operator should know.
	Say func(format string, args ...any)
}

// Serve answers until ctx ends, and then closes the listeners and all connections. An
// error says what kept it from answering.
func (s *Server) Serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range s.Listeners {
		// One each: the toolkit changes what it is given.
		server := s.newServer()
		group.Go(func() error {
			gate := &gate{Listener: netutil.LimitListener(l, maxConnections), opened: func() {
				server.Handler = withOpenPages(s.Handler, server.Handler)
			}}
			off := false
			err := web.Serve(gate, server, &web.FlagConfig{WebConfigFile: &s.ConfigFile, WebSystemdSocket: &off}, s.logger())
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("%v: %w", l.Addr(), err)
		})
		group.Go(func() error {
			<-ctx.Done()
			bye, cancel := context.WithTimeout(context.Background(), goodbye)
			defer cancel()
			if server.Shutdown(bye) != nil {
				_ = server.Close() // nobody waits for who does not read
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *Server) newServer() *http.Server {
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(&panics{s.Say}, "", 0),
	}
	if s.Profiling {
		server.WriteTimeout = profileTimeout
	}
	return server
}

// gate is a listener that tells when it is first asked for a connection: the toolkit has
// set up its server by then, and nobody has been answered.
type gate struct {
	net.Listener
	once   sync.Once
	opened func()
}

func (g *gate) Accept() (net.Conn, error) {
	g.once.Do(g.opened)
	return g.Listener.Accept()
}

// withOpenPages has the health pages answered by open, and all others by guarded, which
// may ask for credentials: who looks whether a daemon lives has none. The toolkit knows
// no exceptions.
func withOpenPages(open, guarded http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathHealthy || r.URL.Path == pathReady {
			open.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, pathAPI) {
			w = &problems{ResponseWriter: w}
		}
		guarded.ServeHTTP(w, r)
	})
}

// logger has what the toolkit has to complain about said.
func (s *Server) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&lines{s.Say}, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// lines says each line that is written.
type lines struct {
	say func(format string, args ...any)
}

func (l *lines) Write(b []byte) (int, error) {
	if l.say != nil {
		l.say("web: %s", bytes.TrimSpace(b))
	}
	return len(b), nil
}

// panics says those lines of a server that are about a mistake of ours. What clients do
// wrong is said nowhere: it has no bounds.
type panics struct {
	say func(format string, args ...any)
}

var _ io.Writer = (*panics)(nil)

func (p *panics) Write(b []byte) (int, error) {
	if p.say != nil && bytes.HasPrefix(b, []byte("http: panic serving")) {
		p.say("web: %s", bytes.TrimSpace(b))
	}
	return len(b), nil
}
