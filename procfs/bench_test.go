package procfs

import "testing"

func BenchmarkParse(b *testing.B) {
	stat := []byte("42 (sh)" + statTail)
	status := []byte(statusText)
	call := []byte("202 0x7f0a4c000b60 0x189 0x0 0x0 0x0 0xffffffff 0x7f0a53dfec60 0x7f0a5c0a9f16\n")
	names := make([]string, 1000)
	for i := range names {
		names[i] = "12345"
	}
	dirents := direntBytes(names...)
	tids := make([]int, 0, len(names))
	for _, c := range []struct {
		name  string
		parse func()
	}{
		{"stat", func() { _, _ = parseStat(stat) }},
		{"status", func() { _, _ = parseStatus(status) }},
		{"syscall", func() { _, _ = parseSyscall(call) }},
		{"schedstat", func() { _, _ = parseSchedstat([]byte("123456789 1234567 4242\n")) }},
		{"auxv", func() { parseAuxv(dirents) }},
		{"dirent,n=1000", func() { tids = appendNumbers(tids[:0], dirents) }},
		{"glob", func() { matchGlob("pool-*-thread-*", "pool-12-thread-33") }},
	} {
		b.Run("what="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.parse()
			}
		})
	}
}
