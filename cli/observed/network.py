"""The network of a landing zone, and its endpoints: read back as resources that the rules know."""

import json
from typing import TYPE_CHECKING, Any

from cli.observed.reader import Reader, names
from facts import aws

if TYPE_CHECKING:
    from stacks.aws_settings import UsedEndpoints, UsedNetwork

_GONE = ("deleted", "deleting", "failed", "rejected", "expired")


def network(reader: Reader, given: "UsedNetwork") -> None:
    """Addresses, gateways, routes, subnets, names and records of a VPC."""
    id = given.vpc.id
    found = reader.each("ec2", "describe_vpcs", "Vpcs", VpcIds=[id])
    if not found:
        reader.differ(f"there is no VPC {id} in {reader.account.region}")
        return
    blocks = [
        one["CidrBlock"]
        for one in found[0].get("CidrBlockAssociationSet", ())
        if one["CidrBlockState"]["State"] == "associated"
    ]
    reader.compare("the VPC's addresses", sorted(blocks), [given.cidr])
    support = reader.ask("ec2", "describe_vpc_attribute", VpcId=id, Attribute="enableDnsSupport") or {}
    vpc = reader.see(
        "aws:ec2/vpc:Vpc",
        id,
        {
            "cidrBlock": found[0]["CidrBlock"],
            "enableDnsSupport": support.get("EnableDnsSupport", {}).get("Value"),
            "assignGeneratedIpv6CidrBlock": bool(found[0].get("Ipv6CidrBlockAssociationSet")),
        },
    )
    _gateways(reader, id, vpc)
    _routes(reader, given, vpc)
    _subnets(reader, given, vpc)
    _default_group(reader, id, vpc)
    _flows(reader, id, vpc)
    _names(reader, id, vpc)


def _gateways(reader: Reader, id: str, vpc: str) -> None:
    # a gateway without a route carries nothing, so no rule refuses it; its owner said that there is none
    of_vpc = [{"Name": "attachment.vpc-id", "Values": [id]}]
    for one in reader.each("ec2", "describe_internet_gateways", "InternetGateways", Filters=of_vpc):
        type = "aws:ec2/internetGateway:InternetGateway"
        reader.differ(f"the internet gateway {one['InternetGatewayId']} is attached to the VPC (A08)")
        reader.see(type, one["InternetGatewayId"], {"vpcId": id}, {"vpcId": vpc})
    for one in reader.each("ec2", "describe_nat_gateways", "NatGateways", Filters=[_of(id)]):
        if one["State"] not in _GONE:
            inputs = {"subnetId": one["SubnetId"], "connectivityType": one.get("ConnectivityType", "public")}
            if inputs["connectivityType"] != "private":
                reader.differ(f"the public NAT gateway {one['NatGatewayId']} is in the VPC (A09)")
            reader.see("aws:ec2/natGateway:NatGateway", one["NatGatewayId"], inputs)
    call, member = "describe_egress_only_internet_gateways", "EgressOnlyInternetGateways"
    for one in reader.each("ec2", call, member):
        if id in names(one.get("Attachments", ()), "VpcId"):
            type = "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway"
            told = one["EgressOnlyInternetGatewayId"]
            reader.differ(f"the egress-only internet gateway {told} is attached to the VPC (A10)")
            reader.see(type, one["EgressOnlyInternetGatewayId"], {"vpcId": id}, {"vpcId": vpc})
    for one in reader.each("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections"):
        ends = (one["RequesterVpcInfo"], one["AccepterVpcInfo"])
        if one["Status"]["Code"] in _GONE or id not in names(ends, "VpcId"):
            continue
        other = next(end for end in ends if end.get("VpcId") != id)
        inputs = {
            "vpcId": id,
            "peerVpcId": other.get("VpcId"),
            "peerOwnerId": other.get("OwnerId"),
            "peerRegion": other.get("Region"),
        }
        type = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
        reader.see(type, one["VpcPeeringConnectionId"], inputs, {"vpcId": vpc})


def _routes(reader: Reader, given: "UsedNetwork", vpc: str) -> None:
    tables = reader.each("ec2", "describe_route_tables", "RouteTables", Filters=[_of(given.vpc.id)])
    missing = set(given.route_tables) - set(names(tables, "RouteTableId"))
    if tables and missing:
        reader.differ(f"the VPC has no route tables {', '.join(sorted(missing))}")
    for one in tables:
        routes = [_route(route) for route in one["Routes"] if _leads_out(route)]
        inputs = {"vpcId": given.vpc.id, "routes": routes}
        reader.see("aws:ec2/routeTable:RouteTable", one["RouteTableId"], inputs, {"vpcId": vpc})


def _leads_out(route: dict[str, Any]) -> bool:
    """Whether a route is more than the VPC's own and those of gateway endpoints, whose policies are judged."""
    to = route.get("GatewayId", "")
    return to != "local" and not (to.startswith("vpce-") and "DestinationPrefixListId" in route)


def _route(route: dict[str, Any]) -> dict[str, Any]:
    keys = {
        "DestinationCidrBlock": "cidrBlock",
        "DestinationIpv6CidrBlock": "ipv6CidrBlock",
        "DestinationPrefixListId": "destinationPrefixListId",
        "EgressOnlyInternetGatewayId": "egressOnlyGatewayId",
        "GatewayId": "gatewayId",
        "NatGatewayId": "natGatewayId",
        "NetworkInterfaceId": "networkInterfaceId",
        "TransitGatewayId": "transitGatewayId",
        "VpcPeeringConnectionId": "vpcPeeringConnectionId",
    }
    return {ours: route[theirs] for theirs, ours in keys.items() if route.get(theirs)}


def _subnets(reader: Reader, given: "UsedNetwork", vpc: str) -> None:
    subnets = reader.each("ec2", "describe_subnets", "Subnets", Filters=[_of(given.vpc.id)])
    zones = {one["SubnetId"]: one["AvailabilityZone"] for one in subnets}
    for part, declared in (
        ("nodes", given.nodes),
        ("endpoints", given.endpoints),
        ("controlPlane", given.control_plane),
    ):
        for zone, subnet in declared.items() if subnets else ():
            reader.compare(f"the zone of the subnet {subnet} ({part})", zones.get(subnet), zone)
    for one in subnets:
        inputs = {
            "vpcId": given.vpc.id,
            "cidrBlock": one["CidrBlock"],
            "availabilityZone": one["AvailabilityZone"],
            "mapPublicIpOnLaunch": one["MapPublicIpOnLaunch"],
            "assignIpv6AddressOnCreation": one.get("AssignIpv6AddressOnCreation", False),
        }
        reader.see("aws:ec2/subnet:Subnet", one["SubnetId"], inputs, {"vpcId": vpc})


def _default_group(reader: Reader, id: str, vpc: str) -> None:
    asked = [_of(id), {"Name": "group-name", "Values": ["default"]}]
    for one in reader.each("ec2", "describe_security_groups", "SecurityGroups", Filters=asked):
        type = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
        reader.see(type, one["GroupId"], {"vpcId": id, **_rules(one)}, {"vpcId": vpc})


def _rules(group: dict[str, Any]) -> dict[str, Any]:
    """The rules of a security group, as an inline group has them."""
    return {
        side: [
            {
                "protocol": one["IpProtocol"],
                "fromPort": one.get("FromPort", 0),
                "toPort": one.get("ToPort", 0),
                "cidrBlocks": names(one.get("IpRanges", ()), "CidrIp"),
                "ipv6CidrBlocks": names(one.get("Ipv6Ranges", ()), "CidrIpv6"),
                "prefixListIds": names(one.get("PrefixListIds", ()), "PrefixListId"),
                "securityGroups": names(one.get("UserIdGroupPairs", ()), "GroupId"),
            }
            for one in group[theirs]
        ]
        for side, theirs in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress"))
    }


def _flows(reader: Reader, id: str, vpc: str) -> None:
    asked = [{"Name": "resource-id", "Values": [id]}]
    logs = reader.each("ec2", "describe_flow_logs", "FlowLogs", Filters=asked)
    if not any(one["TrafficType"] == "ALL" and one["FlowLogStatus"] == "ACTIVE" for one in logs):
        reader.differ("no flow log of the VPC is active for all traffic")
    for one in logs:
        inputs = {
            "vpcId": id,
            "trafficType": one["TrafficType"],
            "logDestinationType": one.get("LogDestinationType"),
            "logDestination": one.get("LogDestination"),
        }
        reader.see("aws:ec2/flowLog:FlowLog", one["FlowLogId"], inputs, {"vpcId": vpc})


def _names(reader: Reader, id: str, vpc: str) -> None:
    """What Amazon's resolver answers in the VPC, and whom it asks."""
    service = "route53resolver"
    call, member = "list_firewall_rule_group_associations", "FirewallRuleGroupAssociations"
    for one in reader.each(service, call, member, VpcId=id):
        group = one["FirewallRuleGroupId"]
        urn = reader.see("aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup", group, {})
        _firewall_rules(reader, group, urn)
        reader.see(
            "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation",
            one["Id"],
            {"vpcId": id, "firewallRuleGroupId": group, "priority": one.get("Priority")},
            {"vpcId": vpc, "firewallRuleGroupId": urn},
        )
    config = reader.ask(service, "get_firewall_config", ResourceId=id)
    if config is not None:
        inputs = {"resourceId": id, "firewallFailOpen": config["FirewallConfig"]["FirewallFailOpen"]}
        type = "aws:route53/resolverFirewallConfig:ResolverFirewallConfig"
        reader.see(type, id, inputs, {"resourceId": vpc})
    call, member = "list_resolver_rule_associations", "ResolverRuleAssociations"
    for one in reader.each(service, call, member, Filters=[{"Name": "VPCId", "Values": [id]}]):
        found = reader.ask(service, "get_resolver_rule", ResolverRuleId=one["ResolverRuleId"])
        rule = (found or {}).get("ResolverRule", {})
        if rule.get("RuleType") == "FORWARD":
            inputs = {
                "domainName": rule["DomainName"],
                "ruleType": rule["RuleType"],
                "targetIps": [
                    {key.lower(): str(target[key]) for key in ("Ip", "Ipv6") if key in target}
                    for target in rule.get("TargetIps", ())
                ],
            }
            reader.see("aws:route53/resolverRule:ResolverRule", rule["Id"], inputs)


def _firewall_rules(reader: Reader, group: str, urn: str) -> None:
    service, call = "route53resolver", "list_firewall_rules"
    for one in reader.each(service, call, "FirewallRules", FirewallRuleGroupId=group):
        domains, refers = one.get("FirewallDomainListId"), {"firewallRuleGroupId": urn}
        if domains:
            listed = reader.each(service, "list_firewall_domains", "Domains", FirewallDomainListId=domains)
            # AWS writes each name with the dot of the root
            inputs = {"domains": [name.removesuffix(".") or "." for name in listed]}
            type = "aws:route53/resolverFirewallDomainList:ResolverFirewallDomainList"
            refers["firewallDomainListId"] = reader.see(type, domains, inputs)
        reader.see(
            "aws:route53/resolverFirewallRule:ResolverFirewallRule",
            f"{group}-{one['Priority']}",
            {
                "action": one["Action"],
                "priority": one["Priority"],
                "firewallRuleGroupId": group,
                "firewallDomainListId": domains,
                "qType": one.get("Qtype"),
            },
            refers,
        )


def endpoints(reader: Reader, given: "UsedEndpoints", vpc: str) -> None:
    """Every endpoint of the network with its policy, and whether those are there that nodes call. `vpc`: the
    id of their network."""
    from components.aws.endpoints import services

    found = reader.each("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=[_of(vpc)])
    region = aws.region(reader.account.region)
    there = {one["ServiceName"] for one in found if one["State"] not in _GONE}
    for service in services(region) if found else ():
        if region.endpoint_service(service) not in there:
            reader.differ(f"no endpoint leads to {service}, which nodes call")
    s3 = next((one for one in found if one["VpcEndpointId"] == given.s3.id), None)
    seen = s3 and (s3["VpcEndpointType"], s3["ServiceName"])
    if not reader.part.unread:
        wanted = ("Gateway", region.endpoint_service("s3"))
        reader.compare(f"the endpoint {given.s3.id}", seen and " of ".join(seen), " of ".join(wanted))
    for one in found:
        inputs = {
            "vpcId": vpc,
            "serviceName": one["ServiceName"],
            "vpcEndpointType": one["VpcEndpointType"],
            "privateDnsEnabled": one.get("PrivateDnsEnabled"),
            "serviceRegion": one.get("ServiceRegion"),
            "policy": _document(one.get("PolicyDocument")),
        }
        reader.see("aws:ec2/vpcEndpoint:VpcEndpoint", one["VpcEndpointId"], inputs)
    lists = reader.each(
        "ec2", "describe_managed_prefix_lists", "PrefixLists", PrefixListIds=[given.prefix_list]
    )
    if lists:
        wanted_name = region.endpoint_service("s3")
        reader.compare(f"the list {given.prefix_list}", lists[0]["PrefixListName"], wanted_name)
    for one in reader.each("ec2", "describe_security_groups", "SecurityGroups", GroupIds=[given.group]):
        reader.compare(f"the network of the group {given.group}", one["VpcId"], vpc)
        inputs = {"vpcId": vpc, "description": one["Description"], **_rules(one)}
        reader.see("aws:ec2/securityGroup:SecurityGroup", one["GroupId"], inputs)


def _document(policy: str | None) -> str | None:
    """A policy as one line, so that two readings compare."""
    return policy and json.dumps(json.loads(policy))


def _of(vpc: str) -> dict[str, Any]:
    return {"Name": "vpc-id", "Values": [vpc]}
