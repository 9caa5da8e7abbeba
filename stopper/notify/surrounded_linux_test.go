//go:build linux && (amd64 || arm64)

package notify_test

// surrounded is what other processes of the tests do, by name.
var surrounded = map[string]func() error{}
