package attachertest_test

import (
	"slices"
	"testing"
)

// script is a rule of the fake, in the language of scene_test.go, that the real
// kernel obeys as well.
type script struct{ rule, text string }

var scripts = slices.Concat(attachScripts, signalScripts, jobctlScripts, exitScripts)

func TestConformanceFake(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.rule, func(t *testing.T) { runScript(t, newFakeWorld(t, cast(s.text)), s.text) })
	}
}
