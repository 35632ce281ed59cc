import { request } from "node:https";
import { errorMessage } from "#base/errors.ts";
import { methodNotAllowed, notFound } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import { acceptedForm } from "./accept.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { includeObject } from "./list.ts";
import { columnsJson, partialMetadata, rowJson, tableJson } from "./table.ts";

/** Where the other parts of the control plane answer `/healthz`, on this machine. */
const ports: Readonly<Record<string, number>> = { "controller-manager": 10257, scheduler: 10259 };

/** Milliseconds to wait for a part's answer. */
const patience = 1000;

/** Answers GET of core/v1 ComponentStatus by asking each part how it is. Throws StatusError 404, 405. */
export async function componentStatuses({ kind, info, call }: KindCall): Promise<Reply> {
  if (info.verb !== "get" && info.verb !== "list") throw methodNotAllowed();
  const names = ["controller-manager", "etcd-0", "scheduler"].filter((name) => !info.name || name === info.name);
  if (names.length === 0) throw notFound(kind, info.name);
  const objects = await Promise.all(names.map(lookUp));
  const form = acceptedForm(call.headers.accept);
  if (form === "table") {
    const rows = objects.map((o) => rowJson(kind, o, includeObject(info.query), Date.now()));
    return jsonReply(tableJson({}, columnsJson(kind), rows));
  }
  const shown = form === "metadata" ? objects.map(partialMetadata) : objects;
  if (info.name) return jsonReply(shown[0]);
  return jsonReply(list(kind, form === "metadata", shown));
}

function list(kind: Kind, metadataOnly: boolean, items: readonly unknown[]): object {
  const head = metadataOnly
    ? { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1" }
    : { kind: `${kind.kind}List`, apiVersion: "v1" };
  return { ...head, metadata: {}, items };
}

/** One part's state. The store is a part of this very process: it answers when anything does. */
async function lookUp(name: string): Promise<StoredObject> {
  const port = ports[name];
  const { healthy, message, error } =
    port === undefined ? { healthy: true, message: "ok", error: "" } : await askHealth(port);
  const condition = {
    type: "Healthy",
    status: healthy ? "True" : "False",
    message,
    ...(error ? { error } : {}),
  };
  return { apiVersion: "v1", kind: "ComponentStatus", metadata: { name }, conditions: [condition] };
}

interface Health {
  readonly healthy: boolean;
  readonly message: string;
  readonly error: string;
}

function askHealth(port: number): Promise<Health> {
  const url = `https://127.0.0.1:${port}/healthz`;
  return new Promise((resolve) => {
    const failed = (error: unknown) =>
      resolve({ healthy: false, message: `Get "${url}": ${errorMessage(error)}`, error: "" });
    // Only the answer matters here, never who gives it: upstream looks no closer.
    const asked = request(url, { rejectUnauthorized: false, timeout: patience }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text = (text + chunk.toString()).slice(0, 1024);
      });
      response.on("error", failed);
      response.on("end", () => resolve({ healthy: response.statusCode === 200, message: text.trim(), error: "" }));
    });
    asked.on("timeout", () => asked.destroy(new Error("context deadline exceeded")));
    asked.on("error", failed);
    asked.end();
  });
}
