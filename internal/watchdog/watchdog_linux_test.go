package watchdog

import (
	"os"
	"path/filepath"
	"testing"
)

// The state is the field behind the name, whatever the name is.
func TestStateOf(t *testing.T) {
	for stat, want := range map[string]byte{
		"1 (x) T 1 2": 'T', "1 (x) S) t 1": 't', "1 () R (x) S 1 2": 'S', "1 (x": 0, "": 0, "1 (x)": 0,
	} {
		name := filepath.Join(t.TempDir(), "stat")
		if err := os.WriteFile(name, []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := stateOf(int(f.Fd())); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %q, %v", stat, got, err)
		}
	}
}
