package procfs

import (
	"bytes"
	"math"
)

// The numbers of /proc, read from bytes without making strings of them. Like
// strconv they are strict (digits only, no overflow): a number that was cut off
// or is not one must not pass for another.

func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || n*10 > math.MaxUint64-d {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

func parseInt(b []byte) (int, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	n, ok := parseUint(b)
	if !ok || n > math.MaxInt {
		return 0, false
	}
	if neg {
		return -int(n), true
	}
	return int(n), true
}

// parseHex reads hexadecimal digits without a prefix.
func parseHex(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | uint64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// parse0x reads hexadecimal digits after 0x, as %#x and 0x%llx print them.
func parse0x(b []byte) (uint64, bool) {
	rest, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok {
		return 0, false
	}
	return parseHex(rest)
}

// cutField gives the first field of b, up to a blank, and what follows it. What
// is not followed by anything is no field: it may be the head of a longer one in
// a file that was cut off.
func cutField(b []byte) (field, rest []byte, ok bool) {
	i := bytes.IndexAny(b, " \t\n")
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}
