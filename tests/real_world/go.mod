module sovereign/tests/real_world

go 1.24

require (
	github.com/NVIDIA/gpu-operator v0.0.0-20250917190837-d73a0086a6ba
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cilium/cilium v1.20.2
	github.com/flannel-io/flannel v0.28.10
	github.com/ray-project/kuberay/ray-operator v1.5.0
	k8s.io/pod-security-admission v0.37.2
	sigs.k8s.io/metrics-server v0.9.0
)
