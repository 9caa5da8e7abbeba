package metrics

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// module is the name of this one.
const module = "massattach"

// NewBuildInfo is a collector of one metric, always 1, whose labels say which
// massattach this is.
func NewBuildInfo() prometheus.Collector {
	version, revision := built()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "massattach_build_info",
		Help: "Always 1; its labels say which version of massattach this is.",
		ConstLabels: prometheus.Labels{
			"version": version, "revision": revision, "goversion": runtime.Version(),
			"goos": runtime.GOOS, "goarch": runtime.GOARCH,
		},
	})
	info.Set(1)
	return info
}

// built is what the build knows of its version, "unknown" where it does not.
func built() (version, revision string) {
	version, revision = "unknown", "unknown"
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	if b.Main.Path != module {
		for _, d := range b.Deps {
			if d.Path == module {
				version = d.Version
			}
		}
		return version, revision
	}
	version = b.Main.Version
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}
