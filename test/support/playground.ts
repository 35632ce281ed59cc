import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type ClusterSuite, clusterSuite } from "./suite.ts";

/** Namespace of a suite's objects: pod `box` with a shell and Deployment `web`, two replicas of podwire/echo. */
export const NS = "play";

/** A suite's cluster, and what its tests type with. */
export interface Playground {
  readonly suite: ClusterSuite;
  /** Runs kubectl, which has to succeed. @param command split at spaces */
  k(command: string, input?: string): Promise<string>;
  /** A folder for files. */
  readonly folder: string;
}

/** Brings up a cluster without an example, with something in it to look at and to change. */
export function playground(): Playground {
  const suite = clusterSuite(["--example", "none"]);
  const folder = mkdtempSync(join(tmpdir(), "pw-kubectl-"));
  const k = (command: string, input?: string): Promise<string> => suite.kubectl.ok(command, input);
  beforeAll(async () => {
    await k(`create ns ${NS}`);
    await k(`run box -n ${NS} --image=podwire/toolbox -- sleep infinity`);
    await k(`create deployment web -n ${NS} --image=podwire/echo --port=8080 --replicas=2`);
    await k(`wait --for=condition=Ready pod/box -n ${NS} --timeout=60s`);
    await k(`rollout status deployment/web -n ${NS} --timeout=60s`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return { suite, folder, k };
}

/** Lines of a text that ends in a newline, or not. */
export function lines(text: string): string[] {
  return text.trimEnd().split("\n");
}
