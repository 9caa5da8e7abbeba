package serve

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// serveDaemon answers for a daemon that watches nobody, until the test ends, and answers where.
func serveDaemon(t testing.TB, config string) (base string, d *Daemon) {
	t.Helper()
	d = New(Options{})
	one := asFlags
	one.Name, one.Rule.Comm = "nobody", "no such process"
	if err := d.Watch([]Target{one}); err != nil {
		t.Fatal(err)
	}
	for !d.Ready() {
		time.Sleep(time.Millisecond)
	}
	h, err := NewHandler(d, "v1", false)
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := Listen([]string{"127.0.0.1:0"}, false)
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Listeners: listeners, Handler: h, ConfigFile: config, Say: t.Logf}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		d.Close()
	})
	return listeners[0].Addr().String(), d
}

func webConfig(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ValidateWeb(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// With basic auth nothing answers without credentials but the health pages.
func TestBasicAuth(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := serveDaemon(t, webConfig(t, fmt.Sprintf("basic_auth_users:\n  alice: %s\n", hash)))
	ask := func(method, path, user, password string) int {
		r, err := http.NewRequest(method, "http://"+base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for _, path := range []string{
		"/", "/metrics", "/api/v1/targets", "/api/v1/targets/1", "/debug/pprof/", "/nothing", "/-/", "/-/healthy/",
		"/-/healthy/../metrics", "/-//healthy", "/-/ready/x", "//-/healthy", "/-/healthy%2f..%2f..%2fmetrics",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			if got := ask(method, path, "", ""); got != http.StatusUnauthorized {
				t.Errorf("%s %s without credentials: %d", method, path, got)
			}
			if got := ask(method, path, "alice", "wrong"); got != http.StatusUnauthorized {
				t.Errorf("%s %s with wrong ones: %d", method, path, got)
			}
		}
		if got := ask("GET", path, "alice", "secret"); got == http.StatusUnauthorized {
			t.Errorf("GET %s with the right ones: %d", path, got)
		}
	}
	for _, path := range []string{pathHealthy, pathReady} {
		if got := ask("GET", path, "", ""); got != http.StatusOK {
			t.Errorf("%s: %d", path, got)
		}
	}
	if got := ask("GET", "/metrics", "alice", "secret"); got != http.StatusOK {
		t.Errorf("/metrics with credentials: %d", got)
	}
}

// With TLS all that is as well, in HTTP/2, too.
func TestTLS(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	// The certificate of httptest's own servers.
	theirs := httptest.NewTLSServer(nil)
	theirs.Close()
	certificate := theirs.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base, _ := serveDaemon(t, webConfig(t, fmt.Sprintf("tls_server_config: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem}\nbasic_auth_users: {alice: %s}\n", dir, hash)))
	for _, version := range []int{1, 2} {
		transport := theirs.Client().Transport.(*http.Transport).Clone()
		transport.ForceAttemptHTTP2 = version == 2
		if version == 1 {
			transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		c := http.Client{Transport: transport}
		for path, want := range map[string]int{pathHealthy: 200, pathReady: 200, "/metrics": 401, "/": 401} {
			answer, err := c.Get("https://" + base + path)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != want || answer.ProtoMajor != version {
				t.Errorf("%s by %s: %d, want %d", path, answer.Proto, answer.StatusCode, want)
			}
		}
		c.CloseIdleConnections()
	}
}

// 200 clients at a time, some of whom send rubbish, or nothing, or read nothing: no 5xx
// but 503, no crash, and scrapes go on.
func TestLoad(t *testing.T) {
	base, _ := serveDaemon(t, "")
	lasts := 2 * time.Second
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		lasts = time.Minute
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	var answers, unavailable atomic.Int64
	judge := func(status int) {
		answers.Add(1)
		switch {
		case status == http.StatusServiceUnavailable:
			unavailable.Add(1)
		case status >= 500:
			t.Errorf("%d", status)
		}
	}
	for i := range 200 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				client(ctx, base, i+n, judge)
			}
		})
	}
	scrapes := 0
	// Where the machine is busy the first may take its time.
	for start := time.Now(); time.Since(start) < lasts || scrapes == 0 && time.Since(start) < time.Minute; {
		began := time.Now()
		c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := c.Get("http://" + base + "/metrics")
		if err != nil {
			t.Fatalf("a scrape after %v: %v", time.Since(began), err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case err != nil:
			t.Fatal(err)
		case answer.StatusCode == http.StatusOK && strings.Contains(string(body), "massattach_build_info"):
			scrapes++
		case answer.StatusCode != http.StatusServiceUnavailable:
			t.Errorf("a scrape: %d", answer.StatusCode)
		}
	}
	cancel()
	clients.Wait()
	if scrapes == 0 {
		t.Error("no scrape went through")
	}
	t.Logf("%d scrapes meanwhile; %d answers to 200 clients, %d of them 503", scrapes, answers.Load(), unavailable.Load())
	// And everything is as before, when the requests of those that have gone are done with.
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		answer, err := http.Get("http://" + base + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			break
		}
		if answer.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			t.Fatalf("a scrape: %d", answer.StatusCode)
		}
	}
}

// client is one connection, in one of the ways in which clients behave.
func client(ctx context.Context, base string, manner int, judge func(status int)) {
	c, err := net.DialTimeout("tcp", base, 5*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	request := "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
	switch manner % 9 {
	case 0, 1: // well
	case 2:
		request = "GET /api/v1/targets HTTP/1.0\r\n\r\n"
	case 3:
		noise := make([]byte, 512)
		_, _ = rand.Read(noise)
		request = string(noise) + "\r\n\r\n"
	case 4: // a header that is too long
		request = "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 4*maxHeader) + "\r\n\r\n"
	case 5: // a body that never comes
		request = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx"
	case 6: // slowly
		for _, b := range []byte(request) {
			if _, err := c.Write([]byte{b}); err != nil || ctx.Err() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		return
	case 7: // asks many times, and reads nothing
		_, _ = io.WriteString(c, strings.Repeat(request, 20))
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
		return
	case 8: // what is no request of HTTP/1.1
		request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	}
	if _, err := io.WriteString(c, request); err != nil {
		return
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	judge(answer.StatusCode)
	_, _ = io.Copy(io.Discard, answer.Body)
}

// A listener is given more connections than it takes: the others wait, and are answered
// when somebody leaves.
func TestConnections(t *testing.T) {
	base, _ := serveDaemon(t, "")
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	for range maxConnections {
		c, err := net.Dial("tcp", base)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	answered := make(chan error, 1)
	go func() {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := c.Get("http://" + base + pathHealthy)
		if err == nil {
			answer.Body.Close()
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("one more was answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	idle[0].Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	if _, err := Listen([]string{"127.0.0.1:0", "no address"}, false); err == nil {
		t.Error("no address was listened on")
	}
	if _, err := Listen(nil, true); err == nil || !strings.Contains(err.Error(), "systemd") {
		t.Errorf("without systemd: %v", err)
	}
}
