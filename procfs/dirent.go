package procfs

import "encoding/binary"

// Offsets in struct linux_dirent64, getdents64(2).
const (
	direntReclen = 16 // u16
	direntName   = 19 // NUL-terminated
)

// appendNumbers appends the names in a buffer of getdents64 that are decimal
// numbers, and leaves out the others ("." and "..", and in the root of proc all
// that are no processes). A record that does not fit ends the buffer.
//
// It works on the bytes: no strings, no allocation but for what dst has to grow.
func appendNumbers(dst []int, buf []byte) []int {
	for len(buf) > direntName {
		reclen := int(binary.NativeEndian.Uint16(buf[direntReclen:]))
		if reclen <= direntName || reclen > len(buf) {
			return dst
		}
		n, digits := 0, 0
		name := buf[direntName:reclen]
		for digits < len(name) && digits < 10 && name[digits]-'0' <= 9 {
			n = n*10 + int(name[digits]-'0')
			digits++
		}
		if digits > 0 && digits < len(name) && name[digits] == 0 {
			dst = append(dst, n)
		}
		buf = buf[reclen:]
	}
	return dst
}
