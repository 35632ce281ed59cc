import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { LineCounter, parseAllDocuments } from "yaml";
import {
  apiVersionOf,
  type Client,
  isAlreadyExists,
  type KubeObject,
  type Resource,
  resources,
  SOURCE_ANNOTATION,
} from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { canonicalJson } from "#base/json.ts";

/** What `kubectl apply` compares a manifest with (k8s.io/api/core/v1, LastAppliedConfigAnnotation). */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Reads the objects of manifests, each annotated with its file and line.
 * @param path a YAML file, or a folder whose *.yaml files are read in alphabetical order
 * @param root folder to which the annotation's file name is relative
 * @throws PodwireError "InvalidManifest" naming file and line
 */
export function readManifests(path: string, root: string): KubeObject[] {
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((f) => f.endsWith(".yaml"))
        .sort()
        .map((f) => join(path, f))
    : [path];
  return files.flatMap((file) => parseManifests(readFileSync(file, "utf8"), relative(root, file)));
}

/** The objects of one YAML text. @throws PodwireError "InvalidManifest" */
export function parseManifests(text: string, file: string): KubeObject[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines });
  const objects: KubeObject[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const problem = document.errors[0];
    if (problem)
      throw new PodwireError(
        "InvalidManifest",
        `${file}:${lines.linePos(problem.pos[0]).line}: ${problem.message.split("\n")[0]}`,
      );
    const object = document.toJS() as KubeObject | null;
    if (!object) continue;
    const line = lines.linePos(document.contents?.range?.[0] ?? 0).line;
    if (!object.kind || !object.apiVersion)
      throw new PodwireError("InvalidManifest", `${file}:${line}: an object needs apiVersion and kind`);
    const metadata = object.metadata ?? {};
    const annotations = {
      ...metadata.annotations,
      [SOURCE_ANNOTATION]: `${file}:${line}`,
      [LAST_APPLIED]: applied(object),
    };
    objects.push({ ...object, metadata: { ...metadata, annotations } });
  }
  return objects;
}

/** An object as kubectl remembers it: a later `kubectl apply` of the same manifest finds it unchanged. */
function applied(object: KubeObject): string {
  const { metadata } = object;
  const text = canonicalJson({ ...object, metadata: { ...metadata, annotations: metadata?.annotations ?? {} } });
  // Go's encoding/json escapes these for HTML.
  return `${text.replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)}\n`;
}

/** The resource of an object, by its apiVersion and kind. @throws PodwireError "InvalidManifest" for unknown kinds */
export function resourceOf(object: KubeObject): Resource {
  const found = (Object.values(resources) as Resource[]).find(
    (r) => r.kind === object.kind && apiVersionOf(r) === object.apiVersion,
  );
  if (!found) throw new PodwireError("InvalidManifest", `no resource for ${object.apiVersion} ${object.kind}`);
  return found;
}

/**
 * Creates objects: namespaces first, the rest at once. Those that exist already are left alone.
 * @throws ApiError
 */
export async function createAll(client: Client, objects: readonly KubeObject[]): Promise<void> {
  const namespaces = objects.filter((o) => o.kind === "Namespace");
  const others = objects.filter((o) => o.kind !== "Namespace");
  for (const group of [namespaces, others]) await Promise.all(group.map((object) => createOne(client, object)));
}

async function createOne(client: Client, object: KubeObject): Promise<void> {
  try {
    const resource = resourceOf(object);
    const namespaced = resource.namespaced && !object.metadata?.namespace;
    await client.create(
      resource,
      namespaced ? { ...object, metadata: { ...object.metadata, namespace: "default" } } : object,
    );
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
