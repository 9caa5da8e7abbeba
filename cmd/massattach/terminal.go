// What depends on whether somebody is watching: colours and bars are for
// terminals only, and NO_COLOR (no-color.org) and TERM=dumb are respected.

package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"massattach/internal/report"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style is how text on w is dressed.
func style(w io.Writer) report.Style {
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return report.Style{Colour: !plain && isTerminal(w)}
}

// width is the room on a line of the terminal w.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return cols
		}
	}
	return 80
}
