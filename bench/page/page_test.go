package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"massattach/internal/report"
)

// sample is the report of a run that never was, with all that a page has to show.
func sample(t *testing.T) *report.Bench {
	t.Helper()
	data, err := os.ReadFile("../../internal/report/testdata/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	b := new(report.Bench)
	if err := json.Unmarshal(data, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, b *report.Bench) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(f, b); err != nil {
		t.Fatal(err)
	}
	return path
}

// The page loads nothing, and says what was measured. What a tool says of itself is text.
func TestPage(t *testing.T) {
	b := sample(t)
	b.Peers[0].Version = `</script><img src="x">`
	html, err := os.ReadFile(write(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`src="`, `src='`, `@import`, `sourceMappingURL`, `<link rel="stylesheet"`} {
		if bytes.Contains(html, []byte(s)) {
			t.Errorf("the page contains %q", s)
		}
	}
	for _, s := range []string{"<strong>0</strong>", "as fast as gdb", "timeout", "6.18.44"} {
		if !bytes.Contains(html, []byte(s)) {
			t.Errorf("the page lacks %q", s)
		}
	}
}

// A browser shows it without a complaint, on a telephone and on a desk, by day and by
// night, also where next to nothing was measured. With MASSATTACH_PAGES the pictures are
// kept in the directory that it names.
func TestBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("chromium is not installed; by hand: apt-get install chromium")
	}
	little := sample(t)
	little.Cells, little.Ratios, little.Growth, little.Interrupted = little.Cells[:1], []report.Ratio{}, []report.Growth{}, true
	for _, page := range []struct {
		name   string
		b      *report.Bench
		charts int
	}{{"full", sample(t), 11}, {"little", little, 1}} {
		path := write(t, page.b)
		for _, width := range []int{360, 1440} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s/%d/%s", page.name, width, scheme), func(t *testing.T) {
					show(t, browser, path, fmt.Sprintf("%s-%d-%s", page.name, width, scheme), width, scheme, page.charts)
				})
			}
		}
	}
}

func show(t *testing.T, browser, path, name string, width int, scheme string, charts int) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	var mu sync.Mutex
	var said []string
	err := chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			said = append(said, fmt.Sprint(ev.Type, ev.Args))
		case *runtime.EventExceptionThrown:
			said = append(said, (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
		case *log.EventEntryAdded:
			said = append(said, ev.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	colours := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	err = chromedp.Do(ctx,
		chromedp.EmulateViewport(int64(width), 900),
		chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
			_, err := cdp.Call(ctx, to, emulation.SetEmulatedMedia, colours)
			return err
		}),
		chromedp.Navigate("file://"+path))
	if err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
		Drawn, Background string
		Width, Content    int
	}](`({
		Drawn: document.documentElement.dataset.drawn || "",
		Background: getComputedStyle(document.body).backgroundColor,
		Width: innerWidth, Content: document.documentElement.scrollWidth,
	})`))
	if err != nil {
		t.Fatal(err)
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range said {
		t.Errorf("on the console: %s", line)
	}
	if got.Drawn != fmt.Sprint(charts) {
		t.Errorf("%q charts were drawn, want %d", got.Drawn, charts)
	}
	if got.Width != width || got.Content > width {
		t.Errorf("the page is %d wide in a window of %d", got.Content, got.Width)
	}
	if (got.Background == "rgb(20, 23, 26)") != (scheme == "dark") {
		t.Errorf("%s: the background is %s", scheme, got.Background)
	}
	if dir := os.Getenv("MASSATTACH_PAGES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o666); err != nil {
			t.Error(err)
		}
	}
}
