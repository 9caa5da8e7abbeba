package procfs

import (
	"path"
	"unicode/utf8"
)

// validGlob says whether pattern is one that path.Match takes.
func validGlob(pattern string) error {
	_, err := path.Match(pattern, "") // checks all of it, also without a match
	return err
}

// matchGlob is path.Match without a separator: '*', '?' and classes match '/',
// too, which names of kernel threads are full of (kworker/0:1). A byte that is
// no UTF-8 counts as one character. The pattern has to be a valid one.
//
// Time is at most length times length: a star that has been passed is never
// looked at again.
func matchGlob(pattern, name string) bool {
	p, n := 0, 0
	starP, starN := -1, 0 // behind the last star, and what it has matched so far
	for n < len(name) || p < len(pattern) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			starP, starN = p, n
			continue
		}
		if p < len(pattern) && n < len(name) {
			if nextP, nextN, ok := matchOne(pattern, p, name, n); ok {
				p, n = nextP, nextN
				continue
			}
		}
		if starP < 0 || starN >= len(name) {
			return false
		}
		starN++
		p, n = starP, starN
	}
	return true
}

// matchOne matches the character of name at n against the element of the pattern
// at p, which is no star, and says what comes behind both. Letters are compared
// as bytes: two broken ones are not the same because both are no UTF-8.
func matchOne(pattern string, p int, name string, n int) (nextP, nextN int, ok bool) {
	switch pattern[p] {
	case '?':
		_, size := utf8.DecodeRuneInString(name[n:])
		return p + 1, n + size, true
	case '[':
		c, size := utf8.DecodeRuneInString(name[n:])
		ok, p = matchClass(pattern, p+1, c)
		return p, n + size, ok
	case '\\':
		p++
	}
	return p + 1, n + 1, pattern[p] == name[n]
}

// matchClass matches c against the class whose first character is at i.
func matchClass(pattern string, i int, c rune) (ok bool, next int) {
	negated := i < len(pattern) && pattern[i] == '^'
	if negated {
		i++
	}
	for first := true; i < len(pattern) && (first || pattern[i] != ']'); first = false {
		lo, after := patternRune(pattern, i)
		hi := lo
		if i = after; i+1 < len(pattern) && pattern[i] == '-' {
			hi, i = patternRune(pattern, i+1)
		}
		ok = ok || lo <= c && c <= hi
	}
	return ok != negated, i + 1
}

// patternRune is the character at i, which a backslash may stand before.
func patternRune(pattern string, i int) (r rune, next int) {
	if pattern[i] == '\\' && i+1 < len(pattern) {
		i++
	}
	r, size := utf8.DecodeRuneInString(pattern[i:])
	return r, i + size
}
