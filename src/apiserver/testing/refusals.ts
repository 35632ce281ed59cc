import { expect } from "vitest";
import type { Transport } from "#api/index.ts";
import type { Dict } from "../object.ts";
import { ask } from "./client.ts";
import { type LocalServer, startLocalServer } from "./local.ts";

/** A container that is right. */
export const c = { name: "c", image: "podwire/echo:1" };

/** A pod whose one container is changed. */
export const inContainer = (change: Dict, pod: Dict = {}) => ({
  spec: { containers: [{ ...c, ...change }], ...pod },
});

/** A pod that is changed. */
export const inPod = (change: Dict) => ({ spec: { containers: [c], ...change } });

/** The pod of a workload. */
export const template = (spec: Dict = {}, labels: Dict = { app: "x" }) => ({
  metadata: { labels },
  spec: { containers: [c], ...spec },
});

/** The selector that goes with it. */
export const selector = { matchLabels: { app: "x" } };

/** A Service's port. */
export const port = { port: 80 };

/** The causes of the answer in the order they are said in, after `Kind "name" is invalid: `. */
export type Row = readonly [what: string, body: Dict, text: string];

/** Path of a collection in the namespace default. */
export function pathOf(apiVersion: string, plural: string): string {
  return `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}/namespaces/default/${plural}`;
}

/** Starts a server in which pods can be made. */
export async function startForPods(): Promise<LocalServer> {
  const local = await startLocalServer();
  await ask(local.api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  return local;
}

/** Posts an object and expects that it is invalid, with this text. */
export async function refused(
  api: Transport,
  apiVersion: string,
  kind: string,
  plural: string,
  body: Dict,
  text: string,
): Promise<void> {
  const object = { apiVersion, kind, metadata: { name: "bad" }, ...body };
  const answer = await ask(api, "POST", pathOf(apiVersion, plural), object);
  expect(answer.body.message).toContain(text);
  expect([answer.status, answer.body.reason]).toEqual([422, "Invalid"]);
}
