// Package systemd has no code but tests: whether the unit beside it is well-formed, how
// exposed it leaves the service, and whether massattach serve can do its work with the
// rights that the unit leaves it, and with no fewer.
package systemd
