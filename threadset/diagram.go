package threadset

import (
	"fmt"
	"strings"
)

// Diagram draws the phases and every possible move as a Mermaid state
// diagram, without a fence around it, generated from the table behind
// [Next]. It is the same text each time.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> found\n")
	for from := range Phase(NumPhases) {
		for to := range Phase(NumPhases) {
			var events []string
			for e := range endOfEvents {
				if p, ok := Next(from, e); ok && p == to {
					events = append(events, e.String())
				}
			}
			if events != nil {
				fmt.Fprintf(&b, "    %v --> %v : %s\n", from, to, strings.Join(events, ", "))
			}
		}
	}
	for p := range Phase(NumPhases) {
		if p.Ended() {
			fmt.Fprintf(&b, "    %v --> [*]\n", p)
		}
	}
	return b.String()
}
