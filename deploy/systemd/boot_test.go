package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"massattach/deploy/internal/try"
)

// A real systemd, in a container, starts the service, which probes a process of another
// user's in both styles, is reloaded and stopped. Only in campaigns: it boots a machine.
func TestBoot(t *testing.T) {
	if os.Getenv("MASSATTACH_CAMPAIGN") != "1" {
		t.Skip("MASSATTACH_CAMPAIGN is not 1")
	}
	try.Root(t)
	try.Need(t, "systemd-nspawn", "unshare", "curl")
	unit, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "bash", "testdata/boot.sh", try.Massattach(t), unit, t.TempDir())
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	said := string(text)
	for _, want := range []string{
		"ActiveState=active\n",
		"reloaded\n",
		"CapEff:\t000000c000080000\n", // BPF, PERFMON, SYS_PTRACE
		"massattach_converged{target=\"sleepy\"} 1\n",
		"style=\"notify\",target=\"sleepy\"}",
		"style=\"interrupt\",target=\"sleepy\"}",
		"Result=success\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q", want)
		}
	}
	t.Logf("\n%s", said)
}
