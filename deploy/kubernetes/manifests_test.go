package kubernetes

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// strictly reads YAML as the API server does when it validates: a field that the type
// does not have, in this very spelling, or one that is there twice, is an error.
func strictly(text []byte, v any) error {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := json.UnmarshalStrict(text, v)
	return errors.Join(append(strict, err)...)
}

// decode reads a manifest, strictly.
func decode[T any](t *testing.T, file string) *T {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := strictly(text, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &v
}

// Each manifest is of the types of the API, and all of them are of one house.
func TestManifests(t *testing.T) {
	ns := decode[core.Namespace](t, "namespace.yaml")
	account := decode[core.ServiceAccount](t, "serviceaccount.yaml")
	config := decode[core.ConfigMap](t, "configmap.yaml")
	set := decode[apps.DaemonSet](t, "daemonset.yaml")
	monitor := decode[monitoring.PodMonitor](t, "podmonitor.yaml")

	for _, in := range []string{account.Namespace, config.Namespace, set.Namespace, monitor.Namespace} {
		if in != ns.Name {
			t.Errorf("one is in namespace %q, not %q", in, ns.Name)
		}
	}
	pod := set.Spec.Template
	if pod.Spec.ServiceAccountName != account.Name {
		t.Errorf("service account %q", pod.Spec.ServiceAccountName)
	}
	for who, selector := range map[string]map[string]string{"DaemonSet": set.Spec.Selector.MatchLabels, "PodMonitor": monitor.Spec.Selector.MatchLabels} {
		for k, v := range selector {
			if pod.Labels[k] != v {
				t.Errorf("the %s selects %s=%s, which no pod is", who, k, v)
			}
		}
		if len(selector) == 0 {
			t.Errorf("the %s selects all", who)
		}
	}

	c := pod.Spec.Containers[0]
	var ports []string
	for _, p := range c.Ports {
		ports = append(ports, p.Name)
	}
	if p := monitor.Spec.PodMetricsEndpoints[0].Port; p == nil || !slices.Contains(ports, *p) {
		t.Errorf("the PodMonitor scrapes port %v of %q", p, ports)
	}
	for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if !slices.Contains(ports, p.HTTPGet.Port.String()) {
			t.Errorf("a probe of port %v", p.HTTPGet.Port)
		}
	}
	if v := pod.Spec.Volumes[0]; v.Name != c.VolumeMounts[0].Name || v.ConfigMap.Name != config.Name {
		t.Errorf("volume %+v", v)
	}
	file := filepath.Base(c.Args[slices.Index(c.Args, "--config")+1])
	if config.Data[file] == "" {
		t.Errorf("the ConfigMap has no %s", file)
	}
}

// It sees the processes of the node, and has three capabilities and no more.
func TestLeast(t *testing.T) {
	pod := decode[apps.DaemonSet](t, "daemonset.yaml").Spec.Template.Spec
	if !pod.HostPID || pod.HostNetwork || pod.HostIPC {
		t.Errorf("host: pid %t, network %t, IPC %t", pod.HostPID, pod.HostNetwork, pod.HostIPC)
	}
	for who, s := range map[string]*core.SecurityContext{
		"DaemonSet":     pod.Containers[0].SecurityContext,
		"debug profile": decode[core.Container](t, "debug-profile.yaml").SecurityContext,
	} {
		if s.Privileged == nil || *s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			t.Errorf("%s: privileged, or may become so", who)
		}
		if drop := s.Capabilities.Drop; !slices.Equal(drop, []core.Capability{"ALL"}) {
			t.Errorf("%s: drops %q", who, drop)
		}
		if add := s.Capabilities.Add; !slices.Equal(add, []core.Capability{"SYS_PTRACE", "BPF", "PERFMON"}) {
			t.Errorf("%s: adds %q", who, add)
		}
	}
}

// The kustomization has all manifests that kubectl is to apply.
func TestKustomization(t *testing.T) {
	k := decode[struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
	}](t, "kustomization.yaml")
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if isObject := strings.Contains(string(text), "\nkind:") && f != "kustomization.yaml"; isObject != slices.Contains(k.Resources, f) {
			t.Errorf("%s: an object %t, applied %t", f, isObject, !isObject)
		}
	}
}

// A field that does not exist is seen: what the tests above rest on.
func TestStrict(t *testing.T) {
	for _, bad := range []string{"spec: {template: {spec: {hostPid: true}}}", "spec: {tmplate: {}}", "kind: DaemonSet\nkind: DaemonSet"} {
		if err := strictly([]byte(bad), new(apps.DaemonSet)); err == nil {
			t.Errorf("nobody minds %s", bad)
		}
	}
}
