import type { V1Service, V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { type Ip, ipToBigInt, tryParseIp } from "#base/ip.ts";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import { form, oneOf, oneOfOrNone } from "./checks.ts";
import { isCidr } from "./cidr.ts";
import type { Stored } from "./definition.ts";
import { validateLabels } from "./metadata.ts";
import { dnsLabel, dnsSubdomain, portName, portNumber, qualifiedName } from "./names.ts";

/** Validation of Services (ValidateService of k8s.io/kubernetes/pkg/apis/core/validation). */

type Service = Stored<V1Service>;

const badIp = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/** Whether clients outside the cluster can reach it: then externalTrafficPolicy means something. */
export function reachableFromOutside(spec: V1ServiceSpec): boolean {
  const { type = "ClusterIP", externalIPs } = spec;
  return type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && (externalIPs?.length ?? 0) > 0);
}

/** Validates a Service that has its addresses. */
export function validateService(o: Service, errors: FieldErrors): void {
  const spec = o.spec as V1ServiceSpec;
  const headless = spec.clusterIP === "None";
  if (!spec.ports?.length && !headless && spec.type !== "ExternalName") errors.required("spec.ports");
  validateType(spec, headless, errors);
  validatePorts(spec, errors);
  if (spec.selector) validateLabels(spec.selector, "spec.selector", errors);
  validateAffinity(spec, errors);
  validateAddresses(spec, errors);
  const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
  if (!types.includes(spec.type ?? "")) errors.unsupported("spec.type", spec.type, types);
  validateNodePorts(spec, errors);
  validateLoadBalancer(spec, errors);
  validatePolicies(spec, errors);
}

function validateType(spec: V1ServiceSpec, headless: boolean, errors: FieldErrors): void {
  if (spec.type === "LoadBalancer")
    spec.ports?.forEach(({ port }, i) => {
      if (port === 10250)
        errors.invalid(`spec.ports[${i}]`, port, "may not expose port 10250 externally since it is used by kubelet");
    });
  if (headless && (spec.type === "LoadBalancer" || spec.type === "NodePort"))
    errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  if (spec.type !== "ExternalName") return;
  for (const field of ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] as const) {
    const given = field === "clusterIPs" ? (spec.clusterIPs ?? spec.clusterIP) : spec[field];
    if (given?.length) errors.forbidden(`spec.${field}`, "may not be set for ExternalName services");
  }
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (!name) errors.required("spec.externalName");
  else form(name, dnsSubdomain(name), "spec.externalName", errors);
}

const protocols = ["SCTP", "TCP", "UDP"];

function validatePorts(spec: V1ServiceSpec, errors: FieldErrors): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  ports.forEach((port, i) => {
    const path = `spec.ports[${i}]`;
    if (ports.length > 1 && !port.name) errors.required(`${path}.name`);
    else if (port.name) {
      form(port.name, dnsLabel(port.name), `${path}.name`, errors);
      if (names.has(port.name)) errors.duplicate(`${path}.name`, port.name);
      names.add(port.name);
    }
    for (const problem of portNumber(port.port)) errors.invalid(`${path}.port`, port.port ?? 0, problem);
    oneOf(port.protocol, protocols, `${path}.protocol`, errors);
    validateTarget(port, `${path}.targetPort`, errors);
    if (port.appProtocol !== undefined)
      form(port.appProtocol, qualifiedName(port.appProtocol), `${path}.appProtocol`, errors);
  });
}

function validateTarget({ targetPort }: V1ServicePort, path: string, errors: FieldErrors): void {
  if (typeof targetPort === "string") form(targetPort, portName(targetPort), path, errors);
  else for (const problem of portNumber(targetPort)) errors.invalid(path, targetPort ?? 0, problem);
}

/** Seconds in a day: the longest affinity. */
const longestAffinity = 86400;

function validateAffinity(spec: V1ServiceSpec, errors: FieldErrors): void {
  oneOf(spec.sessionAffinity, ["ClientIP", "None"], "spec.sessionAffinity", errors);
  if (spec.sessionAffinity === "None" && spec.sessionAffinityConfig)
    errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
  if (spec.sessionAffinity !== "ClientIP") return;
  const path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) errors.required(path);
  else if (seconds <= 0 || seconds > longestAffinity)
    errors.invalid(path, seconds, `must be greater than 0 and less than ${longestAffinity}`);
}

function validateAddresses(spec: V1ServiceSpec, errors: FieldErrors): void {
  const families = new Set<string>();
  spec.ipFamilies?.forEach((family, i) => {
    oneOf(family, ["IPv4", "IPv6"], `spec.ipFamilies[${i}]`, errors);
    if (families.has(family)) errors.duplicate(`spec.ipFamilies[${i}]`, family);
    families.add(family);
  });
  oneOfOrNone(
    spec.ipFamilyPolicy,
    ["PreferDualStack", "RequireDualStack", "SingleStack"],
    "spec.ipFamilyPolicy",
    errors,
  );
  const ips = spec.clusterIPs ?? [];
  if (ips.length > 0 && spec.clusterIP !== ips[0])
    errors.invalid("spec.clusterIPs", ips, "first value must match `clusterIP`");
  if (ips.length > 2) errors.invalid("spec.clusterIPs", ips, "may only hold up to 2 values");
  if (ips.length > 1 && ips.includes("None"))
    errors.invalid("spec.clusterIPs", ips, "'None' must be the first and only value");
  ips.forEach((ip, i) => {
    if (ip !== "None" && !tryParseIp(ip)) errors.invalid(`spec.clusterIPs[${i}]`, ip, badIp);
  });
  spec.externalIPs?.forEach((text, i) => {
    const ip = tryParseIp(text);
    if (!ip) errors.invalid(`spec.externalIPs[${i}]`, text, badIp);
    else for (const why of specialUses(ip)) errors.invalid(`spec.externalIPs[${i}]`, text, why);
  });
}

/** Why an address cannot be an endpoint or an external address (ValidateNonSpecialIP). */
export function specialUses(ip: Ip): string[] {
  const value = ipToBigInt(ip);
  const top = (bits: number) => value >> BigInt((ip.family === 4 ? 32 : 128) - bits);
  const v4 = ip.family === 4;
  const uses: string[] = [];
  if (value === 0n) uses.push("may not be unspecified (0.0.0.0 or ::)");
  if (v4 ? top(8) === 127n : value === 1n) uses.push("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (v4 ? top(16) === 0xa9fen : top(10) === 0x3fan)
    uses.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (v4 ? top(24) === 0xe00000n : top(16) === 0xff02n)
    uses.push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  return uses;
}

function validateNodePorts(spec: V1ServiceSpec, errors: FieldErrors): void {
  const nodePorts = new Set<string>();
  const keys = new Set<string>();
  spec.ports?.forEach((port, i) => {
    const path = `spec.ports[${i}]`;
    if (port.nodePort && spec.type === "ClusterIP")
      errors.forbidden(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'");
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (port.nodePort && nodePorts.has(nodeKey)) errors.duplicate(`${path}.nodePort`, port.nodePort);
    nodePorts.add(nodeKey);
    const key = `${port.protocol}/${port.port}`;
    if (keys.has(key)) errors.duplicate(path, goPort(port));
    keys.add(key);
  });
}

/** A port as Go prints the API's internal type: its field names, protocol and number set. */
function goPort({ protocol, port }: V1ServicePort): object {
  return { Name: "", Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
}

function validateLoadBalancer(spec: V1ServiceSpec, errors: FieldErrors): void {
  const only = "may only be used when `type` is 'LoadBalancer'";
  const balanced = spec.type === "LoadBalancer";
  if (spec.loadBalancerSourceRanges?.length) {
    if (!balanced) errors.forbidden("spec.loadBalancerSourceRanges", only);
    spec.loadBalancerSourceRanges.forEach((range, i) => {
      if (!isCidr(range.trim()))
        errors.invalid(
          `spec.loadBalancerSourceRanges[${i}]`,
          range,
          "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        );
    });
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !balanced)
    errors.forbidden("spec.allocateLoadBalancerNodePorts", only);
  if (spec.loadBalancerClass === undefined) return;
  if (!balanced) errors.forbidden("spec.loadBalancerClass", only);
  form(spec.loadBalancerClass, qualifiedName(spec.loadBalancerClass), "spec.loadBalancerClass", errors);
}

function validatePolicies(spec: V1ServiceSpec, errors: FieldErrors): void {
  const { externalTrafficPolicy, internalTrafficPolicy, healthCheckNodePort, trafficDistribution } = spec;
  const policies = ["Cluster", "Local"];
  if (reachableFromOutside(spec)) oneOf(externalTrafficPolicy, policies, "spec.externalTrafficPolicy", errors);
  else if (externalTrafficPolicy)
    errors.invalid(
      "spec.externalTrafficPolicy",
      externalTrafficPolicy,
      "may only be set for externally-accessible services",
    );
  if (healthCheckNodePort && !(spec.type === "LoadBalancer" && externalTrafficPolicy === "Local"))
    errors.invalid(
      "spec.healthCheckNodePort",
      healthCheckNodePort,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  oneOfOrNone(internalTrafficPolicy, policies, "spec.internalTrafficPolicy", errors);
  const distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];
  oneOfOrNone(trafficDistribution, distributions, "spec.trafficDistribution", errors);
}

/** What may not change in a Service. */
export function validateServiceUpdate(o: Service, old: Service, errors: FieldErrors): void {
  const [now, before] = [o.spec as V1ServiceSpec, old.spec as V1ServiceSpec];
  if (now.type === "ExternalName" || before.type === "ExternalName") return;
  if (before.clusterIP && before.clusterIP !== now.clusterIP)
    errors.invalid("spec.clusterIPs[0]", now.clusterIPs, "may not change once set");
  if (before.ipFamilies?.[0] && before.ipFamilies[0] !== now.ipFamilies?.[0])
    errors.invalid("spec.ipFamilies[0]", now.ipFamilies?.[0], "may not change once set");
  const stays = before.type === "LoadBalancer" && now.type === "LoadBalancer";
  if (stays && !equalJson(before.loadBalancerClass, now.loadBalancerClass))
    errors.invalid("spec.loadBalancerClass", now.loadBalancerClass, "may not change once set");
}
