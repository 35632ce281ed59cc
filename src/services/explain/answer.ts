import type { Service } from "#api/index.ts";
import { cidrContains, formatCidr, formatIp, ipEquals } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import {
  addressKey,
  type ClientKind,
  type ClientOutcome,
  explainService,
  type FrontendExplanation,
  type FrontendKind,
  type LeftOutReason,
  outcomeFor,
  serviceFrontends,
} from "../model/index.ts";
import { inMode, type ModeOutcome } from "./byMode.ts";
import { type Found, findService, nameOf } from "./find.ts";
import { parseQuestion } from "./question.ts";
import { type ClusterObjects, type KnownClient, type Situation, situationOf, type Viewpoint } from "./situation.ts";
import { addressText, socketText } from "./words.ts";

/** An endpoint that may get a new connection. */
export interface ExplainedCandidate {
  /** `10.244.1.2:8080` */
  readonly address: string;
  readonly node?: string;
  readonly origin: Origin;
}

/** What happens to the new connections of a client. */
export interface ExplainedClient {
  /** `pods of node01`, `node01 itself`, `elsewhere`, or a pod by name. */
  readonly from: string;
  readonly verdict: ClientOutcome["verdict"];
  /**
   * Whether the endpoint sees the node's address in place of the client's; `itself`: only where the client is the
   * endpoint.
   */
  readonly masquerade: "yes" | "no" | "itself";
  readonly because: string;
  /** What says so. */
  readonly origin: Origin;
}

/** Clients that have the same endpoints to go to. */
export interface ExplainedPath {
  readonly candidates: readonly ExplainedCandidate[];
  readonly leftOut: readonly {
    readonly address: string;
    readonly reason: LeftOutReason;
    readonly because: string;
    readonly origin: Origin;
  }[];
  readonly clients: readonly ExplainedClient[];
}

/** One address of the Service on the node. */
export interface ExplainedAddress {
  readonly kind: FrontendKind;
  /** `10.96.0.1:80/TCP` */
  readonly address: string;
  /** The fields that say the address and the port. */
  readonly origins: readonly Origin[];
  /** Another Service that has this address and port, so that this one does not get it. */
  readonly heldBy?: string;
  readonly policy: { readonly value: "Cluster" | "Local"; readonly origin: Origin };
  /** Where hints lead; absent where there are none. */
  readonly hints?: string;
  /** ClientIP affinity, in s. */
  readonly affinitySeconds?: number;
  /** Whose connections are not dropped at once; absent: everybody's. */
  readonly sources?: readonly string[];
  readonly paths: readonly ExplainedPath[];
}

/** What a node does for a Service, with the reasons. */
export interface Answer {
  /** `namespace/name` */
  readonly service: string;
  readonly node: string;
  readonly mode: string;
  /** Why the node may do something else: its kube-proxy goes on with what it had before. */
  readonly unsettled?: string;
  /** The client, where one was named. */
  readonly from?: string;
  readonly addresses: readonly ExplainedAddress[];
}

/**
 * Answers `podwire services explain`. Pure.
 * @param text what is asked about, as {@link parseQuestion} reads it
 * @throws PodwireError "InvalidConfig", "NotFound", "NotProxied", "WrongConfig": in words for who asked
 */
export function explainQuestion(objects: ClusterObjects, text: string, viewpoint: Viewpoint): Answer {
  const question = parseQuestion(text, viewpoint.namespace);
  const situation = situationOf(objects, question, viewpoint);
  const found = findService(objects, question, situation);
  const { service, slices } = found;
  const explained = explainService(service, slices, situation.view).frontends;
  // Pods and the node itself reach all endpoints, whatever the external policy.
  const everywhere = { ...service, spec: { ...service.spec, externalTrafficPolicy: "Cluster" as const } };
  const around = explainService(everywhere, slices, situation.view).frontends;
  const addresses = explained.flatMap((one, index) =>
    found.isMeant(one.frontend)
      ? [explainAddress({ objects, situation, found, one, around: around[index] ?? one })]
      : [],
  );
  return {
    service: nameOf(service),
    node: situation.view.name,
    mode: situation.mode,
    ...unsettledBy(objects, situation.view.name),
    ...(situation.client && { from: situation.client.words }),
    addresses,
  };
}

/** A mode that a node cannot have, and rules that cannot be changed, leave what was there. */
function unsettledBy({ pods }: ClusterObjects, node: string): Pick<Answer, "unsettled"> {
  const proxy = pods.find(
    ({ metadata, spec }) =>
      metadata.namespace === "kube-system" && metadata.labels?.["k8s-app"] === "kube-proxy" && spec?.nodeName === node,
  );
  const ready = proxy?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  if (proxy === undefined || ready !== "False") return {};
  const log = `kubectl logs -n kube-system ${proxy.metadata.name} says why`;
  return { unsettled: `kube-proxy on ${node} is not ready: the node goes on with what it had before; ${log}` };
}

interface Asked {
  readonly objects: ClusterObjects;
  readonly situation: Situation;
  readonly found: Found;
  readonly one: FrontendExplanation;
  /** The same with external policy Cluster. */
  readonly around: FrontendExplanation;
}

function explainAddress(asked: Asked): ExplainedAddress {
  const { one, found } = asked;
  const { frontend, topology, policy } = one;
  const { kind, affinitySeconds, sources, origin } = frontend;
  const heldBy = holder(asked);
  const hints = [...(topology.mode ? [topology.mode] : []), ...topology.ignored].join("; ");
  const at = (field: string): Origin => fieldOf(found.service, field);
  return {
    kind,
    address: addressText(frontend),
    origins: kind === "NodePort" ? [{ ...origin, field: one.addressField }] : [at(one.addressField), origin],
    ...(heldBy !== undefined && { heldBy }),
    policy: { value: policy.value, origin: at(policy.field) },
    ...(hints && { hints }),
    ...(affinitySeconds !== undefined && { affinitySeconds }),
    ...(sources && { sources: sources.map(formatCidr) }),
    paths: pathsOf(asked),
  };
}

function fieldOf({ metadata }: Service, field: string): Origin {
  const { namespace, name } = metadata;
  return { kind: "Service", ...(namespace !== undefined && { namespace }), name, field };
}

/** Who has the address, where the Service itself does not. */
function holder({ objects, situation, found, one }: Asked): string | undefined {
  const own = nameOf(found.service);
  const key = addressKey(one.frontend);
  return objects.services
    .filter((other) => nameOf(other) < own)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    .map((other) => ({ name: nameOf(other), frontends: serviceFrontends(other, [], situation.view) }))
    .find(({ frontends }) => frontends.some((frontend) => addressKey(frontend) === key))?.name;
}

/** What happens, and the field of the Service that says so where it is not the policy's. */
type Outcome = ModeOutcome & { readonly field?: string };

const kinds: readonly ClientKind[] = ["pod", "node", "outside"];

function pathsOf(asked: Asked): ExplainedPath[] {
  const { situation, one } = asked;
  const { action } = one.frontend;
  const clients: readonly (KnownClient | ClientKind)[] = situation.client ? [situation.client] : kinds;
  const groups = new Map<boolean, { outcome: Outcome; clients: ExplainedClient[] }>();
  for (const client of clients) {
    const outcome = outcomeOf(asked, client);
    const goesAround =
      action.kind === "balance-local" && outcome.verdict === "balance" && outcome.targets === action.targets;
    const group = groups.get(goesAround) ?? { outcome, clients: [] };
    group.clients.push(explainClient(asked, client, outcome));
    groups.set(goesAround, group);
  }
  return [...groups].map(([goesAround, { outcome, clients }]) => ({
    candidates: outcome.targets.map((target) => {
      const node = nodeOf(asked, target.origin);
      return { address: socketText(target), ...(node !== undefined && { node }), origin: target.origin };
    }),
    leftOut: (goesAround ? asked.around : one).leftOut,
    clients,
  }));
}

/** Asked with the client's address: sources are looked at before everything else. */
function outcomeOf({ situation, one }: Asked, client: KnownClient | ClientKind): Outcome {
  const { frontend } = one;
  const kind = typeof client === "string" ? client : client.kind;
  const outcome = inMode(outcomeFor(frontend, kind, situation.tells), frontend, kind, situation);
  const { sources } = frontend;
  if (!sources || typeof client === "string") return outcome;
  const address = client.addresses.find(({ family }) => family === frontend.ip.family);
  if (!address || sources.some((cidr) => cidrContains(cidr, address))) return outcome;
  const because = `${formatIp(address)} is not in spec.loadBalancerSourceRanges`;
  return { verdict: "drop", targets: [], masquerade: "hairpin", because, field: "spec.loadBalancerSourceRanges" };
}

function explainClient(asked: Asked, client: KnownClient | ClientKind, outcome: Outcome): ExplainedClient {
  const { situation } = asked;
  const names = { pod: `pods of ${situation.view.name}`, node: `${situation.view.name} itself`, outside: "elsewhere" };
  return {
    from: typeof client === "string" ? names[client] : client.words,
    verdict: outcome.verdict,
    masquerade: masqueradeOf(client, outcome),
    because: outcome.because,
    origin: reasonOf(asked, outcome),
  };
}

function masqueradeOf(client: KnownClient | ClientKind, { masquerade, targets }: ModeOutcome) {
  if (masquerade === "always") return "yes";
  if (masquerade === "never") return "no";
  if (client === "pod") return targets.length ? "itself" : "no";
  if (typeof client === "string") return "no";
  return targets.some(({ ip }) => client.addresses.some((own) => ipEquals(own, ip))) ? "itself" : "no";
}

/** The object and field that decide whether a connection is masqueraded, or why there is none. */
function reasonOf({ found, situation, one }: Asked, { verdict, field, byMode }: Outcome): Origin {
  const { kind } = one.frontend;
  if (byMode) return situation.toldBy.mode;
  if (verdict === "reject") return fieldOf(found.service, refusedBy(one));
  if (field !== undefined) return fieldOf(found.service, field);
  if (verdict === "drop" || kind !== "ClusterIP") return fieldOf(found.service, one.policy.field);
  return situation.tells.masqueradeAll ? situation.toldBy.masqueradeAll : situation.toldBy.pods;
}

/** The field by which a Service has no endpoints: those that its selector finds may lack the port. */
function refusedBy({ frontend, leftOut }: FrontendExplanation): string {
  const [port] = /^spec\.ports\[\d+\]/.exec(frontend.origin.field ?? "") ?? [];
  const lackPort = leftOut.length > 0 && leftOut.every(({ reason }) => reason === "other-port");
  return lackPort && port !== undefined ? `${port}.targetPort` : "spec.selector";
}

/** The node of an endpoint. */
function nodeOf({ found }: Asked, { name, field }: Origin): string | undefined {
  const slice = found.slices.find(({ metadata }) => metadata.name === name);
  return slice?.endpoints[Number(/\d+/.exec(field ?? "")?.[0])]?.nodeName;
}
