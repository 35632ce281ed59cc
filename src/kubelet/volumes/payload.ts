import type { ConfigMap, KeyToPath, Pod, Secret, Volume, VolumeProjection } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { ContainerConfigError, fieldValue, namedContainer, resourceValue } from "../spec/env.ts";

/** A volume cannot be set up: event FailedMount. */
export class VolumeError extends PodwireError {
  constructor(message: string) {
    super("ERR_VOLUME", message);
  }
}

/** A bound token and when it ends, in ms since 1970. */
export interface BoundToken {
  readonly token: string;
  readonly expiresMs: number;
}

/** Where the contents of volumes come from. */
export interface VolumeSources {
  readonly pod: Pod;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  readonly allocatable: Readonly<Record<string, string>>;
  readonly configMap: (name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (name: string) => Promise<Secret | undefined>;
  readonly token: (audience: string | undefined, expirationSeconds: number) => Promise<BoundToken>;
}

/** Contents of a volume, and when they have to be made anew. */
export interface Payload {
  readonly files: Map<string, { readonly data: Uint8Array; readonly mode: number }>;
  readonly refreshMs?: number;
}

const DEFAULT_MODE = 0o644;
const TOKEN_SECONDS = 3600;

type Data = Readonly<Record<string, Uint8Array>>;

function configMapData(map: ConfigMap): Data {
  const text = Object.entries(map.data ?? {}).map(([k, v]) => [k, Buffer.from(v)] as const);
  const binary = Object.entries(map.binaryData ?? {}).map(([k, v]) => [k, Buffer.from(v, "base64")] as const);
  return Object.fromEntries([...text, ...binary]);
}

function secretData(secret: Secret): Data {
  return Object.fromEntries(Object.entries(secret.data ?? {}).map(([k, v]) => [k, Buffer.from(v, "base64")]));
}

interface Keyed {
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

/** A kind of object whose keys become files: as errors name it, and its keys. */
const KEYED = { configMap: ["configmap", "config key"], secret: ["secret", "secret key"] } as const;

function addKeys(
  into: Payload["files"],
  { kind, name }: { readonly kind: keyof typeof KEYED; readonly name: string },
  data: Data | undefined,
  source: Keyed,
  mode: number,
): void {
  const [noun, keyNoun] = KEYED[kind];
  if (!data) {
    if (source.optional) return;
    throw new VolumeError(`${noun} "${name}" not found`);
  }
  const items = source.items ?? Object.keys(data).map((key): KeyToPath => ({ key, path: key }));
  for (const item of items) {
    const bytes = data[item.key];
    if (bytes) into.set(item.path, { data: bytes, mode: item.mode ?? mode });
    else if (!source.optional) throw new VolumeError(`references non-existent ${keyNoun}: ${item.key}`);
  }
}

type DownwardItems = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;

/** @throws VolumeError for a container that the pod does not have, or a field that the API does not name */
function downwardText({ fieldRef, resourceFieldRef: ref }: DownwardItems[number], sources: VolumeSources): string {
  try {
    if (fieldRef) return fieldValue(fieldRef.fieldPath, sources);
    if (!ref) return "";
    const container = namedContainer(sources.pod, ref.containerName ?? "");
    return resourceValue(container, ref.resource, ref.divisor, sources.allocatable);
  } catch (error) {
    throw error instanceof ContainerConfigError ? new VolumeError(error.message) : error;
  }
}

function addDownward(into: Payload["files"], items: DownwardItems, sources: VolumeSources, mode: number): void {
  for (const item of items)
    into.set(item.path, { data: Buffer.from(downwardText(item, sources)), mode: item.mode ?? mode });
}

async function addProjection(
  payload: { files: Payload["files"]; refreshMs?: number },
  source: VolumeProjection,
  sources: VolumeSources,
  mode: number,
): Promise<void> {
  if (source.configMap) {
    const name = source.configMap.name ?? "";
    const map = await sources.configMap(name);
    addKeys(payload.files, { kind: "configMap", name }, map && configMapData(map), source.configMap, mode);
  }
  if (source.secret) {
    const name = source.secret.name ?? "";
    const secret = await sources.secret(name);
    addKeys(payload.files, { kind: "secret", name }, secret && secretData(secret), source.secret, mode);
  }
  if (source.downwardAPI) addDownward(payload.files, source.downwardAPI.items ?? [], sources, mode);
  if (source.serviceAccountToken) {
    const { audience, expirationSeconds = TOKEN_SECONDS, path } = source.serviceAccountToken;
    const { token, expiresMs } = await sources.token(audience, expirationSeconds);
    payload.files.set(path, { data: Buffer.from(token), mode });
    // Renewed when a fifth of its life is left, as upstream does.
    const renew = expiresMs - expirationSeconds * 200;
    payload.refreshMs = Math.min(payload.refreshMs ?? renew, renew);
  }
}

/**
 * The files of a ConfigMap, Secret, downward API or projected volume.
 * @returns undefined for a volume of another kind
 * @throws VolumeError when something it refers to is not there
 */
export async function volumePayload(volume: Volume, sources: VolumeSources): Promise<Payload | undefined> {
  const payload: { files: Payload["files"]; refreshMs?: number } = { files: new Map() };
  if (volume.configMap) {
    const mode = volume.configMap.defaultMode ?? DEFAULT_MODE;
    await addProjection(payload, { configMap: volume.configMap }, sources, mode);
  } else if (volume.secret) {
    const { secretName, defaultMode, ...rest } = volume.secret;
    const secret = secretName === undefined ? rest : { ...rest, name: secretName };
    await addProjection(payload, { secret }, sources, defaultMode ?? DEFAULT_MODE);
  } else if (volume.downwardAPI) {
    await addProjection(
      payload,
      { downwardAPI: volume.downwardAPI },
      sources,
      volume.downwardAPI.defaultMode ?? DEFAULT_MODE,
    );
  } else if (volume.projected) {
    const mode = volume.projected.defaultMode ?? DEFAULT_MODE;
    await Promise.all((volume.projected.sources ?? []).map((s) => addProjection(payload, s, sources, mode)));
  } else return undefined;
  return payload;
}
