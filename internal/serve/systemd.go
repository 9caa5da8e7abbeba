package serve

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Systemd tells the service manager how the daemon is (sd_notify(3)). Where there is
// none nobody hears it.
type Systemd struct{}

// Ready says that targets are watched, and the web side answers; also at the end of a
// reload.
func (Systemd) Ready() { notify(daemon.SdNotifyReady) }

// Reloading says that a reload has begun.
func (Systemd) Reloading() {
	// Type=notify-reload goes by the time (systemd 253).
	notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that targets are being let go.
func (Systemd) Stopping() { notify(daemon.SdNotifyStopping) }

// Watchdog says that the daemon lives, as often as the manager wants to hear it
// (WatchdogSec=), as long as alive returns, until ctx ends.
func (Systemd) Watchdog(ctx context.Context, alive func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			alive()
			notify(daemon.SdNotifyWatchdog)
		case <-ctx.Done():
			return
		}
	}
}

// notify sends a state. An error says that nobody hears.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }
