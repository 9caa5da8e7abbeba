package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const file = "../massattach.json"

// The file is what the list of panels makes.
func TestFileIsGenerated(t *testing.T) {
	want, err := Grafana()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("grafana/massattach.json is not what the panels make: run go run ./grafana in deploy")
	}
}

// The file satisfies the schema that Grafana publishes (CUE, as Go types in the
// foundation SDK): no field is unknown, missing or of another type, also in the panels
// and queries, and all values are allowed.
func TestSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(text); err != nil {
		t.Error(err)
	}

	// That this can fail.
	for _, spoil := range []struct{ old, new string }{
		{`"legendFormat"`, `"legendForm"`},
		{`"mode": "scheme"`, `"mode": 1`},
		{`"uid": "massattach"`, `"uid": 7`},
		{`"gridPos"`, `"gridPosition"`},
		{`"w": 24`, `"w": 25`},
	} {
		bad := bytes.Replace(text, []byte(spoil.old), []byte(spoil.new), 1)
		if bytes.Equal(bad, text) || check(bad) == nil {
			t.Errorf("nobody minds %s instead of %s", spoil.new, spoil.old)
		}
	}
}

func check(text []byte) error {
	//lint:ignore SA1019 as in Grafana
	var strict, d sdk.Dashboard
	// It answers an empty list of errors for none, and so does not keep the panels
	// that it has found nothing wrong with: they are checked in a second copy.
	var several cog.BuildErrors
	if err := strict.UnmarshalJSONStrict(text); !errors.As(err, &several) && err != nil || len(several) > 0 {
		return err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	panels := 0
	for _, p := range d.Panels {
		if p.Panel != nil {
			panels++
		}
	}
	if want := len(all()); panels != want {
		return fmt.Errorf("%d panels have come through, not %d", panels, want)
	}
	return d.Validate()
}

func all() (panels []Panel) {
	for _, r := range Rows() {
		panels = append(panels, r.Panels...)
	}
	return panels
}

// What no schema says: ids are there once, panels lie beside each other, each query has
// a name of its own, and knows only variables that exist.
func TestPanels(t *testing.T) {
	ids := make(map[uint32]bool)
	once := func(id uint32, title string) {
		if id == 0 || ids[id] {
			t.Errorf("%s: id %d is another's", title, id)
		}
		ids[id] = true
	}
	for _, r := range Rows() {
		once(r.ID, r.Title)
		for _, p := range r.Panels {
			once(p.ID, p.Title)
			if p.ID/100 != r.ID/100 {
				t.Errorf("%s: id %d in row %d", p.Title, p.ID, r.ID)
			}
			if p.About == "" || p.Width == 0 || p.Height == 0 || len(p.Queries) == 0 {
				t.Errorf("%s is not complete", p.Title)
			}
			legends := make(map[string]bool)
			for _, q := range p.Queries {
				if q.Legend == "" || legends[q.Legend] {
					t.Errorf("%s: legend %q", p.Title, q.Legend)
				}
				legends[q.Legend] = true
				if strings.Contains(q.PromQL("1m"), "$") {
					t.Errorf("%s: a variable in %s", p.Title, q.PromQL("1m"))
				}
			}
		}
	}

	text, err := Grafana()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %q, or out of the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
