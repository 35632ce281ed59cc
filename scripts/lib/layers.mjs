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
  ["cni", "network", "services", "policy", "dns", "ingress", "routing", "devices"],
  ["api"],
  ["kernel"],
  ["wire"],
  ["base"],
];

const depth = new Map(layers.flatMap((names, index) => names.map((name) => [name, index])));

/** Modules that call the operating system by themselves, and who may import them. */
const guarded = new Map([["koffi", ["src/kernel/"]]]);

const folderOf = (file) => file.split("/")[1];

/** What is wrong with one import; undefined when nothing is. */
export function faultOf(file, target) {
  const from = folderOf(file);
  const test = isTest(file);
  const holders = guarded.get(target);
  if (holders && !test && !holders.some((place) => file.startsWith(place)))
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
