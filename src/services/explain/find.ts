import type { EndpointSlice, Service } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { formatIp, type Ip, ipEquals } from "#base/ip.ts";
import { nearest } from "#base/nearest.ts";
import { type Frontend, notProxied, serviceFrontends, serviceOfSlice } from "../model/index.ts";
import { factsOf } from "../module/node.ts";
import type { Question } from "./question.ts";
import type { ClusterObjects, Situation } from "./situation.ts";
import { addressText, protocolName } from "./words.ts";

/** The Service that is meant. */
export interface Found {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  /** Whether an address of the Service is asked about. */
  isMeant(frontend: Pick<Frontend, "ip" | "port" | "protocol" | "label">): boolean;
}

/**
 * The Service that a question means on a node.
 * @throws PodwireError "NotFound" saying what there is instead; "NotProxied" for a Service without rules, with its field
 */
export function findService(objects: ClusterObjects, question: Question, situation: Situation): Found {
  const service = question.service
    ? serviceByName(objects, question.service)
    : serviceByAddress(objects, question, situation);
  const name = nameOf(service);
  const slices = objects.slices.filter((slice) => serviceOfSlice(slice) === name);
  const excluded = notProxied(service);
  if (excluded) throw new PodwireError("NotProxied", unproxiedWords(service, slices, excluded));
  const isMeant: Found["isMeant"] = (frontend) => matches(question, frontend);
  const offered = serviceFrontends(service, [], situation.view);
  if (!offered.some(isMeant)) throw notOffered(`Service ${name}`, question, offered);
  return { service, slices, isMeant };
}

/** `namespace/name` */
export function nameOf({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function serviceByName({ services }: ClusterObjects, wanted: { namespace: string; name: string }): Service {
  const found = services.find((one) => nameOf(one) === `${wanted.namespace}/${wanted.name}`);
  if (found) return found;
  const here = services.filter(({ metadata }) => metadata.namespace === wanted.namespace);
  const same = services.filter(({ metadata }) => metadata.name === wanted.name).map(nameOf);
  const near = nearest(
    wanted.name,
    here.map(({ metadata }) => metadata.name),
  );
  const hints = [
    ...(near.length ? [`near are ${near.join(", ")}`] : []),
    ...(same.length ? [`there is ${same.join(", ")}`] : []),
    ...(near.length || same.length || !here.length
      ? []
      : [
          `there are ${here
            .slice(0, 10)
            .map(({ metadata }) => metadata.name)
            .join(", ")}`,
        ]),
  ];
  const words = `no Service ${JSON.stringify(wanted.name)} in namespace ${wanted.namespace}`;
  throw new PodwireError("NotFound", [words, ...hints].join("; "));
}

/** Of two Services with one address that whose name sorts first has it, as `Holders` decides. */
function serviceByAddress(objects: ClusterObjects, question: Question, situation: Situation): Service {
  const ip = question.ip as Ip;
  const sorted = [...objects.services].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const withIp = sorted.flatMap((service) => {
    const frontends = serviceFrontends(service, [], situation.view).filter((one) => ipEquals(one.ip, ip));
    return frontends.length ? [{ service, frontends }] : [];
  });
  const found = withIp.find(({ frontends }) => frontends.some((one) => matches(question, one)));
  if (found) return found.service;
  const offered = withIp.flatMap(({ frontends }) => frontends);
  if (offered.length) throw notOffered(formatIp(ip), question, offered);
  throw new PodwireError("NotFound", nobodyWords(objects, ip, situation.view.name));
}

function matches(
  { ip, port, protocol }: Question,
  frontend: Pick<Frontend, "ip" | "port" | "protocol" | "label">,
): boolean {
  const [, portName = ""] = frontend.label.split(":");
  return (
    (ip === undefined || ipEquals(ip, frontend.ip)) &&
    (port === undefined || port === String(frontend.port) || (port === portName && portName !== "")) &&
    (protocol === undefined || protocol === protocolName(frontend.protocol))
  );
}

function notOffered(who: string, { port, protocol }: Question, offered: readonly Frontend[]): PodwireError {
  const asked = port === undefined ? "such address" : `port ${port}${protocol ? `/${protocol}` : ""}`;
  const ports = offered.map((one) => `${addressText(one)} (${one.label})`);
  return new PodwireError("NotFound", `${who} has no ${asked}; it offers ${[...new Set(ports)].join(", ") || "none"}`);
}

/** What an address is that no Service has. */
function nobodyWords({ services, nodes, pods }: ClusterObjects, ip: Ip, nodeName: string): string {
  const text = formatIp(ip);
  const words = `no Service has the address ${text} on ${nodeName}`;
  const pod = pods.find(({ status, spec }) => !spec?.hostNetwork && status?.podIPs?.some((one) => one.ip === text));
  if (pod) return `${words}: it is pod ${nameOf(pod)}'s own, packets go there as they are`;
  const node = nodes.find((one) => factsOf(one).addresses.some((address) => ipEquals(address, ip)));
  if (node) return `${words}: it is node ${node.metadata.name}'s own, and no NodePort answers there`;
  const proxy = services.find(({ status }) =>
    status?.loadBalancer?.ingress?.some((one) => one.ip === text && one.ipMode === "Proxy"),
  );
  if (proxy) return `${words}: Service ${nameOf(proxy)} says ipMode Proxy, so that packets go to the balancer itself`;
  return ip.family === 6 ? `${words}; an address with a port is written as [fd00::a]:53` : words;
}

function unproxiedWords(
  service: Service,
  slices: readonly EndpointSlice[],
  { reason, field }: { readonly reason: string; readonly field: string },
): string {
  const words = `Service ${nameOf(service)} has no rules on any node: ${reason} (${field})`;
  if (service.spec.type === "ExternalName") return `${words}; it is another name of ${service.spec.externalName}`;
  if (service.spec.clusterIP !== "None") return words;
  const addresses = slices.flatMap(({ endpoints }) => (endpoints ?? []).map((one) => one.addresses[0] ?? ""));
  const shown = addresses.slice(0, 10).join(", ") + (addresses.length > 10 ? ", …" : "");
  return `${words}; ${addresses.length ? `its endpoints are ${shown}` : "it has no endpoints"}`;
}
