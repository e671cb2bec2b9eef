# What published Rego says of ways out, in words of our own: each rule is named after the one whose demand it makes
# (the Gatekeeper library's templates, trivy's checks), with the routes that it concerns. conftest itself ships none.
package main

import rego.v1

registries := ["registry.hospital.example/", "mirror.hospital.example:5000/llm/"]

# trivy's `cidr_allows_all_ips` knows these and no others
everywhere := {"0.0.0.0/0", "0000:0000:0000:0000:0000:0000:0000:0000/0", "*", "::/0"}

pod := input.spec if input.kind == "Pod"

pod := input.spec.template.spec if input.kind in {"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"}

pod := input.spec.jobTemplate.spec.template.spec if input.kind == "CronJob"

containers contains one if {
	some group in ["containers", "initContainers", "ephemeralContainers"]
	some one in pod[group]
}

said(id, routes) := {"msg": id, "id": id, "routes": routes}

# Gatekeeper: allowedreposv2
deny contains said("allowedreposv2", ["K16"]) if {
	some one in containers
	not from_the_zone(one.image)
}

from_the_zone(image) if {
	some registry in registries
	startswith(image, registry)
}

# Gatekeeper: imagedigests
deny contains said("imagedigests", ["K16"]) if {
	some one in containers
	not regex.match(`@[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`, one.image)
}

# Gatekeeper: host-namespaces
deny contains said("host-namespaces", ["K10"]) if pod.hostPID == true

# Gatekeeper: host-network-ports
deny contains said("host-network", ["K09"]) if pod.hostNetwork == true

deny contains said("host-ports", ["K10"]) if {
	some one in containers
	some port in one.ports
	port.hostPort > 0
}

# Gatekeeper: privileged-containers
deny contains said("privileged-containers", ["K10"]) if {
	some one in containers
	one.securityContext.privileged == true
}

# Gatekeeper: capabilities
deny contains said("capabilities", ["K10"]) if {
	some one in containers
	some name in one.securityContext.capabilities.add
	name != "NET_BIND_SERVICE"
}

# Gatekeeper: host-probes-lifecycle
deny contains said("host-probes-lifecycle", ["K15"]) if {
	some one in containers
	some probe in ["livenessProbe", "readinessProbe", "startupProbe"]
	some how in ["httpGet", "tcpSocket"]
	host := one[probe][how].host
	not host in {"", "127.0.0.1", "localhost"}
}

deny contains said("host-probes-lifecycle", ["K15"]) if {
	some one in containers
	some hook in ["postStart", "preStop"]
	some how in ["httpGet", "tcpSocket"]
	host := one.lifecycle[hook][how].host
	not host in {"", "127.0.0.1", "localhost"}
}

# Gatekeeper: externalip
deny contains said("externalip", ["K12"]) if {
	input.kind == "Service"
	count(input.spec.externalIPs) > 0
}

# Gatekeeper: block-nodeport-services
deny contains said("block-nodeport-services", ["K12"]) if {
	input.kind == "Service"
	input.spec.type == "NodePort"
}

# Gatekeeper: block-loadbalancer-services
deny contains said("block-loadbalancer-services", ["K12"]) if {
	input.kind == "Service"
	input.spec.type == "LoadBalancer"
}

# trivy: KUBE-0002, no public egress
deny contains said("no-public-egress", ["K02", "K03"]) if {
	input.kind == "NetworkPolicy"
	some rule in input.spec.egress
	some peer in rule.to
	peer.ipBlock.cidr in everywhere
}

# trivy: KSV-0050 and kin, rights over roles and pods/exec
deny contains said("no-pod-exec", ["K44"]) if {
	input.kind in {"Role", "ClusterRole"}
	some rule in input.rules
	"pods/exec" in rule.resources
	some verb in {"create", "*"}
	verb in rule.verbs
}

deny contains said("no-wildcard-rights", ["K44"]) if {
	input.kind in {"Role", "ClusterRole"}
	some rule in input.rules
	"*" in rule.resources
}

# trivy: AWS-0104, no public egress from a security group
deny contains said("AWS-0104", ["A01", "A02"]) if {
	some change in input.resource_changes
	change.type == "aws_security_group"
	some rule in change.change.after.egress
	some key in ["cidr_blocks", "ipv6_cidr_blocks"]
	some cidr in rule[key]
	cidr in everywhere
}

deny contains said("AWS-0104", ["A03"]) if {
	some change in input.resource_changes
	change.type == "aws_security_group_rule"
	change.change.after.type == "egress"
	some key in ["cidr_blocks", "ipv6_cidr_blocks"]
	some cidr in change.change.after[key]
	cidr in everywhere
}

# trivy: AWS-0104 since the check knows the newer rule
deny contains said("AWS-0104", ["A04"]) if {
	some change in input.resource_changes
	change.type == "aws_vpc_security_group_egress_rule"
	some key in ["cidr_ipv4", "cidr_ipv6"]
	change.change.after[key] in everywhere
}

# trivy: AWS-0164, a subnet that gives public addresses
deny contains said("AWS-0164", ["A12"]) if {
	some change in input.resource_changes
	change.type == "aws_subnet"
	change.change.after.map_public_ip_on_launch == true
}

# trivy: AWS-0086 to 0094, public access of a bucket not blocked
deny contains said("AWS-0086", ["A24"]) if {
	some change in input.resource_changes
	change.type == "aws_s3_bucket_public_access_block"
	some key in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
	not change.change.after[key] == true
}

# trivy: AWS-0040, an API server with a public endpoint
deny contains said("AWS-0040", ["A47"]) if {
	some change in input.resource_changes
	change.type == "aws_eks_cluster"
	not change.change.after.vpc_config.endpoint_public_access == false
}

# trivy: AWS-0053, a load balancer that faces the internet
deny contains said("AWS-0053", ["A46"]) if {
	some change in input.resource_changes
	change.type in {"aws_lb", "aws_alb"}
	not change.change.after.internal == true
}

# trivy: AZU-0051, a rule of a security group that lets traffic out to everywhere
deny contains said("AZU-0051", ["Z15"]) if {
	some resource in input.resources
	resource.type == "Microsoft.Network/networkSecurityGroups"
	some rule in resource.properties.securityRules
	rule.properties.direction == "Outbound"
	rule.properties.access == "Allow"
	rule.properties.destinationAddressPrefix in everywhere
}

deny contains said("AZU-0051", ["Z15"]) if {
	some resource in input.resources
	resource.type == "Microsoft.Network/networkSecurityGroups/securityRules"
	resource.properties.direction == "Outbound"
	resource.properties.access == "Allow"
	resource.properties.destinationAddressPrefix in everywhere
}

# trivy: AZU-0012, storage that lets every network in
deny contains said("AZU-0012", ["Z03"]) if {
	some resource in input.resources
	resource.type == "Microsoft.Storage/storageAccounts"
	not resource.properties.networkAcls.defaultAction == "Deny"
}

# trivy: AZU-0042 and kin, an API server for all addresses
deny contains said("AZU-0041", ["Z11"]) if {
	some resource in input.resources
	resource.type == "Microsoft.ContainerService/managedClusters"
	not resource.properties.apiServerAccessProfile.enablePrivateCluster == true
	not count(resource.properties.apiServerAccessProfile.authorizedIPRanges) > 0
}
