import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { type Container, type Pod, PROCESS_ANNOTATION } from "#api/index.ts";
import { attempt } from "../probes/index.ts";
import type { NodeModule } from "./mirrors.ts";
import type { ModuleNode, ModuleSpec } from "./model.ts";
import { findProcess } from "./process.ts";

const PROBE_TIMEOUT_MS = 1000;

/**
 * A module from the manifest of a static pod; undefined when the manifest does not name the process that does its work.
 * @param logs folder of the node's logs
 */
export function staticModule(manifest: Pod | undefined, logs: string): ModuleSpec | undefined {
  const process = manifest?.metadata?.annotations?.[PROCESS_ANNOTATION];
  const container = manifest?.spec?.containers?.[0];
  if (!manifest || process === undefined || container === undefined) return undefined;
  const { name, labels = {} } = manifest.metadata;
  return { pod: name, naming: "node", labels, container, process, log: `${logs}/${name}.log` };
}

/** The modules that a node's manifests of static pods describe. Other static pods are run as pods. */
export function staticModules(folder: string, logs: string, node: ModuleNode): NodeModule[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .flatMap((name) => {
      const spec = staticModule(readManifest(`${folder}/${name}`), logs);
      return spec ? [fromManifest(spec, node)] : [];
    });
}

/** A file that is no manifest describes no module; who runs static pods says so. */
function readManifest(path: string): Pod | undefined {
  try {
    return parse(readFileSync(path, "utf8")) as Pod;
  } catch {
    return undefined;
  }
}

function fromManifest(spec: ModuleSpec, node: ModuleNode): NodeModule {
  return {
    spec,
    run: () => findProcess(spec.process),
    problem: () => probe(spec.container, node),
  };
}

/** What the container's own liveness probe finds wrong. */
async function probe(container: Container, { addresses }: ModuleNode): Promise<string | undefined> {
  if (!container.livenessProbe) return undefined;
  const target = {
    podIP: addresses[0] ?? "127.0.0.1",
    container,
    exec: () => Promise.reject(new Error("a module of a process runs no commands")),
  };
  const { success, message } = await attempt(container.livenessProbe, target, PROBE_TIMEOUT_MS);
  return success ? undefined : message;
}
