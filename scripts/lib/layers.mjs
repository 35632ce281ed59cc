// The layers of src/: arrows point down only, and into another folder only by its index.ts.
import fs from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";
import { filesBelow, importsOf, isTest, read } from "./sources.mjs";

/** From the top down; folders of one layer do not know each other. */
export const layers = [
  ["programs"],
  ["lab", "check", "explain"],
  ["apiserver", "controllers", "kubelet"],
  ["cni", "network", "services", "dns", "ingress", "images", "run"],
  ["api"],
  ["kernel"],
  ["wire"],
  ["base"],
];

const depth = new Map(layers.flatMap((names, index) => names.map((name) => [name, index])));

/**
 * Modules by which code reaches past Node, and who may import them: files, or folders with a slash at the end.
 * Processes in namespaces of their own are made by kernel/process alone; these start ordinary programs beside themselves.
 */
const guarded = new Map([
  ["koffi", ["src/kernel/"]],
  [
    "node:child_process",
    [
      "src/cni/runtime/execute.ts", // CNI plugins are programs
      "src/ingress/nginx.ts", // the proxy
      "src/kubelet/echo/client.ts", // the process that serves what template images answer
      "src/lab/doctor/probe.ts", // asks this machine's programs what it can do
      "src/lab/parent/", // the engine, and what is asked of it
      "src/lab/stage/", // newuidmap and the engine's first process, before there is a namespace to work in
      "src/services/backends/iptables/programs.ts", // iptables-restore and its kin
      "src/run/execute.ts", // ip, iptables and sysctl, typed as --explain says
      "src/programs/agnhost/", // a pod's program that runs what it is asked to
      "src/programs/run/detached.ts", // the process that keeps a container when nobody is attached
      "src/programs/podwire/", // what people type: kubectl, shells, other programs
    ],
  ],
]);

const folderOf = (file) => file.split("/")[1];

/** What is wrong with one import; undefined when nothing is. */
export function faultOf(file, target) {
  const from = folderOf(file);
  const test = isTest(file);
  const holders = guarded.get(target);
  if (holders && !test && !holders.some((place) => (place.endsWith("/") ? file.startsWith(place) : file === place)))
    return `only ${holders.join(", ")} may import ${target}`;
  if (target.startsWith(".")) {
    const to = path.normalize(path.join(path.dirname(file), target));
    if (!to.startsWith("src/")) return test ? undefined : `${target} leaves src/`;
    return folderOf(to) === from ? undefined : `${target} leaves src/${from}: import #${folderOf(to)}/…/index.ts`;
  }
  if (!target.startsWith("#")) return undefined;
  const to = target.slice(1).split("/")[0];
  if (to === "test") return test ? undefined : "only tests may import #test/";
  if (!depth.has(to)) return `#${to}/ is no layer`;
  if (to !== from && to !== "base" && !target.endsWith("/index.ts") && !test)
    return `${target} is not a folder's index.ts`;
  if (to !== from && depth.get(to) <= depth.get(from) && !test)
    return `${from}/ may not import ${to}/: arrows point down only`;
  return undefined;
}

/** All faults of src/, as `file:line: words`. */
export function layerFaults() {
  const unknown = fs
    .readdirSync(path.join(root, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !depth.has(entry.name))
    .map((entry) => `src/${entry.name}: is in no layer (scripts/lib/layers.mjs)`);
  const faults = filesBelow("src").flatMap((file) =>
    importsOf(read(file)).flatMap(({ target, line }) => {
      const fault = faultOf(file, target);
      return fault ? [`${file}:${line}: ${fault}`] : [];
    }),
  );
  return [...unknown, ...faults];
}

/** Which folder of src/ imports which, tests left out: `from` → set of `to`. */
export function folderImports() {
  const edges = new Map();
  for (const file of filesBelow("src").filter((name) => !isTest(name))) {
    const from = folderOf(file);
    if (!edges.has(from)) edges.set(from, new Set());
    for (const { target } of importsOf(read(file))) {
      const to = target.startsWith("#") ? target.slice(1).split("/")[0] : from;
      if (to !== from && depth.has(to)) edges.get(from).add(to);
    }
  }
  return edges;
}
