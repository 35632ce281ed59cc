import {
  back,
  type Chain,
  ctBits,
  ctState,
  drop,
  fibType,
  fibTypes,
  hostU32,
  inSet,
  jump,
  match,
  protocols,
  type Rule,
  type Statement,
  type Verdict,
} from "#kernel/nft/index.ts";
import { addressKey, type Frontend } from "../../model/index.ts";
import type { TrafficSettings } from "../backend.ts";
import {
  entryComment,
  type FrontendPlan,
  type Gate,
  gateName,
  hairpin,
  type Layout,
  type LayoutConditions,
  layoutRule,
  serviceLayout,
  type TableForm,
} from "../nftables/index.ts";
import { targetsOf } from "./servers.ts";

/** Chains that entries of @services go to. */
const chainNames = ["cluster", "external", "external-local", "external-elsewhere"] as const;
type ChainName = (typeof chainNames)[number];

/**
 * The rules beside IPVS: the tables of the nftables mode, whose chains mark, refuse and drop, and leave it to IPVS to
 * lead connections to endpoints. kube-proxy has sets of ipset and chains of iptables in their place.
 *
 * ```
 * services ── daddr . protocol . port ──> vmap @services
 *    │   ├─ goto cluster              (ClusterIP) mark sources outside the pod network
 *    │   ├─ goto external             mark everything
 *    │   ├─ goto external-local       mark what comes from the node itself
 *    │   ├─ goto external-elsewhere   pods and the node go on; others are dropped
 *    │   └─ goto refuse, drop
 *    └─ other port of an address that is on kube-ipvs0: refuse
 * ```
 * @param isBound whether the address is on kube-ipvs0, so that nothing but the Service is to answer there
 */
export function ipvsForm(isBound: (frontend: Frontend) => boolean): TableForm {
  return { layout: ipvsLayout, plan: (layout, frontend) => planFrontend(layout, frontend, isBound(frontend)) };
}

const conditions: LayoutConditions = {
  // IPVS leaves no mark of its own on a connection; a pod's packets to itself pass here in no other way.
  ledHere: [],
  // The node's own connections to such an address have it as their source: what refuses them goes there too.
  refusable: [ctState(ctBits.new)],
};

function ipvsLayout(family: "ip" | "ip6", settings: TrafficSettings, tableName: string): Layout {
  const base = serviceLayout(family, settings, tableName, conditions);
  const chains = Object.fromEntries(chainNames.map((name) => [name, { table: base.table, name }])) as Record<
    ChainName,
    Chain
  >;
  const rule = (name: ChainName, comment: string, ...statements: Statement[]): Rule =>
    layoutRule(base, chains[name], comment, ...statements);
  const fromNode = match(fibType("saddr"), hostU32(fibTypes.local));
  // A connection of the node to an address on kube-ipvs0 has that address as its source.
  const fromAddress = inSet([base.fields.saddr], base.sets["cluster-ips"]);
  const untold = base.fromPods.length === 0;
  return {
    ...base,
    chains: [...Object.values(chains), ...base.chains],
    rules: [
      ...base.rules,
      rule("cluster", "", jump(base.markOffCluster)),
      ...(untold ? [rule("cluster", "the node, from the Service's address", fromAddress, jump(base.mark))] : []),
      rule("external", "", jump(base.mark)),
      rule("external-local", "the node, from the Service's address", fromNode, jump(base.mark)),
      ...base.fromPods.map((isFromPod) =>
        rule("external-elsewhere", "pods reach endpoints elsewhere", isFromPod, back),
      ),
      rule("external-elsewhere", "", fromNode, jump(base.mark)),
      rule("external-elsewhere", "the node reaches endpoints elsewhere", fromNode, back),
      rule("external-elsewhere", "no endpoint on this node", drop),
    ],
  };
}

function planFrontend(layout: Layout, frontend: Frontend, isBound: boolean): FrontendPlan {
  const { ip, origin, action, sources, healthCheckNodePort: healthPort } = frontend;
  const label = entryComment(frontend);
  const entry = (key: string, verdict: Verdict, comment: string): FrontendPlan => ({
    ...{ key, verdict, label: comment, origin },
    ...{ list: "", first: 0, isSticky: false, shared: [] },
  });
  const shared: FrontendPlan["shared"][0][] = targetsOf(frontend).map((target) => ["hairpin", hairpin(target)]);
  if (isBound) {
    const field = frontend.kind === "ClusterIP" ? "spec.clusterIP" : origin.field;
    const held = { ...origin, ...(field !== undefined && { field }) };
    shared.push(["cluster-ips", { key: ip.bytes, comment: label.replace(/:.*/, ""), origin: held }]);
  }
  const health =
    isBound && healthPort !== undefined
      ? entry(addressKey({ ip, protocol: protocols.TCP, port: healthPort }), { kind: "accept" }, "health checks")
      : undefined;
  const key = addressKey(frontend);
  const beside = { shared, ...(health && { beside: health }) };
  if (action.kind === "drop") return { ...entry(key, { kind: "drop" }, label), ...beside };
  const to = action.kind === "reject" ? layout.refuse.name : chainOf(frontend);
  const gate: Gate | undefined = sources && { sources, to };
  const verdict: Verdict = { kind: "goto", chain: gate ? gateName(gate) : to };
  return { ...entry(key, verdict, label), ...beside, ...(gate && { gate }) };
}

function chainOf({ kind, action }: Frontend): ChainName {
  if (action.kind === "balance-local") return action.local.length ? "external-local" : "external-elsewhere";
  return kind === "ClusterIP" ? "cluster" : "external";
}
