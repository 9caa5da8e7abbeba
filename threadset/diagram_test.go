package threadset_test

import (
	"os"
	"strings"
	"testing"

	. "massattach/threadset"
)

func TestDiagramShowsTheTable(t *testing.T) {
	d := Diagram()
	if d != Diagram() {
		t.Fatal("not the same text each time")
	}
	arrows := map[string]string{}
	for line := range strings.Lines(d) {
		if arrow, label, ok := strings.Cut(strings.TrimSpace(line), " : "); ok {
			arrows[arrow] = ", " + label + ", "
		}
	}
	labels := 0
	for _, a := range arrows {
		labels += strings.Count(a, ",") - 1
	}
	for _, p := range phases {
		for _, e := range events {
			q, ok := Next(p, e)
			if !ok {
				continue
			}
			labels--
			if !strings.Contains(arrows[p.String()+" --> "+q.String()], ", "+e.String()+", ") {
				t.Errorf("%v --> %v : %v is not drawn", p, q, e)
			}
		}
	}
	if labels != 0 {
		t.Errorf("%d moves are drawn that are not in the table", labels)
	}
}

func TestPackageDocEmbedsTheDiagram(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	want := "//\t" + strings.ReplaceAll(strings.TrimSuffix(Diagram(), "\n"), "\n", "\n//\t") + "\n"
	if !strings.Contains(string(doc), want) {
		t.Errorf("doc.go lacks the diagram as it is now:\n%s", want)
	}
}
