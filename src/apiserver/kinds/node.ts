import type { V1Node } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { badCidr, isCidr } from "./cidr.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { validateTaints } from "./node-taints.ts";
import { age, orNone } from "./print.ts";

type Node = Stored<V1Node>;

/** core/v1 Node. */
export const node = defineKind<Node>({
  group: "",
  kind: "Node",
  plural: "nodes",
  type: "core.v1.Node",
  shortNames: ["no"],
  namespaced: false,
  status: true,
  keepsStatusOnCreate: true,
  generation: false,
  subresources: { proxy: { kind: "NodeProxyOptions", verbs: ["create", "delete", "get", "patch", "update"] } },
  columns: columns(
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "+Internal-IP",
    "+External-IP",
    "+OS-Image",
    "+Kernel-Version",
    "+Container-Runtime",
  ),
  row: nodeRow,
  selectableFields: ["spec.unschedulable"],
  selectable: (o) => ({ "spec.unschedulable": String(o.spec?.unschedulable ?? false) }),
  defaults(o) {
    o.spec ??= {};
    o.status ??= {};
    agreeOnCidrs(o.spec);
    if (!o.status.allocatable && o.status.capacity) o.status.allocatable = { ...o.status.capacity };
  },
  prepareUpdate: (o) => taintUnschedulable(o),
  prepareCreate(o, { pluginOn }) {
    taintUnschedulable(o);
    if (pluginOn("TaintNodesByCondition")) taintNew(o);
  },
  validate(o, errors) {
    validateTaints(o.spec?.taints, "metadata.taints", errors);
    o.spec?.podCIDRs?.forEach((cidr, i) => {
      if (!isCidr(cidr)) errors.invalid(`spec.podCIDRs[${i}]`, cidr, badCidr);
    });
  },
  validateUpdate(o, old, errors) {
    const [now, before] = [o.spec?.podCIDRs ?? [], old.spec?.podCIDRs ?? []];
    if (before.length > 0 && !equalJson(now, before))
      errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid');
    if (old.spec?.providerID && o.spec?.providerID !== old.spec.providerID) {
      errors.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid');
    }
  },
});

/** podCIDR is the first of podCIDRs, and the whole where the two differ (Convert_v1_NodeSpec_To_core_NodeSpec). */
function agreeOnCidrs(spec: NonNullable<Node["spec"]>): void {
  const [first] = spec.podCIDRs ?? [];
  if (spec.podCIDR && spec.podCIDR !== first) spec.podCIDRs = [spec.podCIDR];
  else if (first) spec.podCIDR = first;
}

/** The node controller's taint follows spec.unschedulable. */
function taintUnschedulable(o: Node): void {
  const key = "node.kubernetes.io/unschedulable";
  const others = (o.spec?.taints ?? []).filter((t) => t.key !== key);
  if (!o.spec) return;
  if (o.spec.unschedulable)
    o.spec.taints = [...others, o.spec.taints?.find((t) => t.key === key) ?? { key, effect: "NoSchedule" }];
  else if (others.length > 0) o.spec.taints = others;
  else delete o.spec.taints;
}

/** As the TaintNodesByCondition admission plugin: nothing runs on a node before the controllers know its conditions. */
function taintNew(o: Node): void {
  const key = "node.kubernetes.io/not-ready";
  const taints = o.spec?.taints ?? [];
  if (o.spec && !taints.some((t) => t.key === key && t.effect === "NoSchedule"))
    o.spec.taints = [...taints, { key, effect: "NoSchedule" }];
}

function nodeRow(o: Node, now: number): unknown[] {
  const ready = o.status?.conditions?.find((c) => c.type === "Ready");
  const state = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (o.spec?.unschedulable) state.push("SchedulingDisabled");
  const roles = Object.entries(o.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith("node-role.kubernetes.io/")) return [key.slice("node-role.kubernetes.io/".length)];
    return key === "kubernetes.io/role" && value ? [value] : [];
  });
  const address = (type: string) => o.status?.addresses?.find((a) => a.type === type)?.address ?? "<none>";
  const info = o.status?.nodeInfo;
  return [
    o.metadata.name,
    state.join(","),
    orNone([...new Set(roles.filter(Boolean))].sort()),
    age(o.metadata.creationTimestamp, now),
    info?.kubeletVersion ?? "",
    address("InternalIP"),
    address("ExternalIP"),
    info?.osImage || "<unknown>",
    info?.kernelVersion || "<unknown>",
    info?.containerRuntimeVersion || "<unknown>",
  ];
}
