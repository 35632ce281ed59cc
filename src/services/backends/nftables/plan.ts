import { concat, type Element, type Verdict } from "#kernel/nft/index.ts";
import { addressKey, type Frontend, numberedOf, type Target } from "../../model/index.ts";
import type { Layout, SetName } from "./layout.ts";
import { packNumbered, packTargets } from "./slots.ts";
import { type Gate, gateName, type Treatment, treatmentName } from "./treatment.ts";

/** What a frontend wants in the kernel. */
export interface FrontendPlan {
  /** The key of its entry in @services as text ({@link addressKey}): keys of its endpoints begin with it. */
  readonly key: string;
  /** The port of the Service. */
  readonly origin: Frontend["origin"];
  /** What its entry in @services says, and the comment beside it. */
  readonly verdict: Verdict;
  readonly label: string;
  /** The chain that its entry goes to, when it needs one of its own kind. */
  readonly treatment?: Treatment;
  /** The chain that its entry goes to first, when it is not for everybody. */
  readonly gate?: Gate;
  /**
   * Its endpoint list ({@link packTargets}): what the numbers of its treatment's chain choose from. The order inside of
   * its two parts is free; it is brought near to what the kernel has when changes are planned.
   */
  list: string;
  /** The first so many of the list are a part of their own: those on this node. */
  readonly first: number;
  /** A client stays with its endpoint: the list is one of numbers of endpoints. */
  readonly isSticky: boolean;
  /** Elements that other frontends may want too. */
  readonly shared: readonly (readonly [SharedSet, Element])[];
  /** An entry for another port of the address, which several frontends of the Service may ask for. */
  readonly beside?: FrontendPlan;
}

/** Sets whose elements several frontends may want. */
export type SharedSet = Extract<SetName, "cluster-ips" | "hairpin">;

/** nft's comments hold so many bytes. */
const COMMENT_BYTES = 127;

/** The map elements of one frontend in its family's table. Pure. */
export function planFrontend(layout: Layout, frontend: Frontend): FrontendPlan {
  const { ip, origin, action, affinitySeconds, kind } = frontend;
  const key = addressKey(frontend);
  const label = entryComment(frontend);
  const shared: [SharedSet, Element][] = [];
  if (kind === "ClusterIP") {
    const comment = label.replace(/:.*/, "");
    shared.push(["cluster-ips", { key: ip.bytes, comment, origin: { ...origin, field: "spec.clusterIP" } }]);
  }
  const base = { key, origin, label, list: "", first: 0, isSticky: false, shared };
  const way = (to: string): Pick<FrontendPlan, "gate" | "verdict"> => {
    const gate = frontend.sources && { sources: frontend.sources, to };
    return { ...(gate && { gate }), verdict: { kind: "goto", chain: gate ? gateName(gate) : to } };
  };
  if (action.kind === "reject") return { ...base, ...way(layout.refuse.name) };
  if (action.kind === "drop") return { ...base, verdict: { kind: "drop" } };

  const { list, near, first, treatment } = arrange(layout.family, frontend, action);
  for (const target of near) shared.push(["hairpin", hairpin(target)]);
  const isSticky = affinitySeconds !== undefined;
  return { ...base, ...way(treatmentName(treatment)), treatment, list, first, isSticky };
}

/** The comment of a frontend's entry: its label, as far as nft's comments go. */
export function entryComment({ label }: Frontend): string {
  return label.slice(0, COMMENT_BYTES);
}

/** The endpoints of a frontend. */
interface Arrangement {
  readonly list: string;
  /** Those that may come to themselves by this node's rules. */
  readonly near: readonly Target[];
  readonly first: number;
  readonly treatment: Treatment;
}

/** The endpoint list of a frontend, and which numbers of it are whose. */
function arrange(
  family: "ip" | "ip6",
  frontend: Frontend,
  action: Extract<Frontend["action"], { kind: "balance" | "balance-local" }>,
): Arrangement {
  const affinity = frontend.affinitySeconds === undefined ? {} : { affinitySeconds: frontend.affinitySeconds };
  if (action.kind === "balance-local") return arrangeLocal(family, action, affinity);
  const policy = frontend.kind === "ClusterIP" ? "cluster" : "external";
  const arranged = (count: number, list: string, near: readonly Target[]): Arrangement => {
    const treatment = { policy, count, from: 0, ...affinity } as const;
    return { list, near, first: 0, treatment };
  };
  const numbered = numberedOf(action);
  if (numbered) return arranged(numbered.addresses.length, packNumbered(numbered), numbered.near);
  const { targets } = action;
  const near = targets.filter(({ isElsewhere }) => !isElsewhere);
  return arranged(targets.length, packTargets(targets, family), near);
}

function arrangeLocal(
  family: "ip" | "ip6",
  { targets, local }: Extract<Frontend["action"], { kind: "balance-local" }>,
  affinity: Pick<Treatment, "affinitySeconds">,
): Arrangement {
  // Usually the node's own endpoints are among all: then one list, with them first, serves both.
  const others = targets.filter((target) => !local.includes(target));
  const isPart = others.length + local.length === targets.length;
  const list = isPart ? [...local, ...others] : [...local, ...targets];
  return {
    list: packTargets(list, family),
    near: list,
    first: local.length,
    treatment: {
      policy: "external-local",
      count: targets.length,
      from: isPart ? 0 : local.length,
      local: local.length,
      ...affinity,
    },
  };
}

/**
 * A pod's connection to a Service that ends at the pod itself. Only this node's pods can come to themselves by its
 * rules; another node's when it sends what is external here, as those are exceptions from externalTrafficPolicy Local.
 */
export function hairpin({ ip, origin }: Target): Element {
  return { key: concat(ip.bytes, ip.bytes), origin };
}
