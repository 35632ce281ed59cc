import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import {
  endpointsOf,
  familiarName,
  hexOf,
  type ImageRecord,
  type ImageSettings,
  type ImageStore,
  type Keyring,
  loadImages,
  Puller,
  parseKeyring,
  parseWithTag,
  type Removed,
  shownName,
} from "#images/index.ts";
import { imageSettings, parseConfigFile } from "#lab/config/index.ts";
import { openImageStore, StageKeeper } from "#lab/images/index.ts";
import { askHelpers, type HelperNames, helperNames } from "./credentialHelpers.ts";
import { LayerProgress } from "./imageProgress.ts";
import { installation } from "./installation.ts";

/** Flags of `podwire images pull`. */
export interface PullFlags {
  readonly json?: boolean;
  readonly config?: string;
  readonly insecureRegistry?: readonly string[];
  readonly authFile?: string;
}

/** A command on the store, with what may make and remove layers. */
async function withStore<T>(work: (store: ImageStore, keeper: StageKeeper) => Promise<T>): Promise<T> {
  const store = openImageStore();
  const keeper = new StageKeeper(installation(), store);
  try {
    return await work(store, keeper);
  } finally {
    await keeper.close();
  }
}

/** @throws PodwireError "InvalidConfig" */
function readText(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new PodwireError("InvalidConfig", `${flag} ${path}: ${(error as Error).message}`);
  }
}

function settingsOf({ config, insecureRegistry = [] }: PullFlags): ImageSettings {
  const file = config === undefined ? {} : parseConfigFile(readText(config, "--config"), config);
  const settings = imageSettings(file.images);
  return { ...settings, insecure: [...settings.insecure, ...insecureRegistry] };
}

/** Credentials for registries, and who may be asked for more. */
interface Known {
  readonly keyring: Keyring;
  readonly helpers: HelperNames;
}

/** The credentials of `--auth-file`, or those that `docker login` and `podman login` keep. */
function knownCredentials({ authFile }: PullFlags): Known {
  const usual = [
    process.env["REGISTRY_AUTH_FILE"],
    join(process.env["DOCKER_CONFIG"] || join(homedir(), ".docker"), "config.json"),
  ].find((path) => path && existsSync(path));
  const path = authFile ?? usual;
  if (path === undefined) return { keyring: { entries: [] }, helpers: { byHost: {} } };
  try {
    const text = readText(path, "--auth-file");
    return { keyring: parseKeyring(text, "dockerconfigjson"), helpers: helperNames(text) };
  } catch (error) {
    if (error instanceof PodwireError) throw error;
    throw new PodwireError("InvalidConfig", `${path}: ${(error as Error).message}`);
  }
}

/** Credentials for one image's registry and its mirrors: those of helpers before those of the file, as Docker has it. */
async function keyringFor(name: string, { keyring, helpers }: Known, settings: ImageSettings): Promise<Keyring> {
  const hosts = endpointsOf(parseWithTag(name).registry, settings).map(({ host }) => host);
  const asked = await askHelpers(helpers, hosts);
  return { entries: [...asked.entries, ...keyring.entries] };
}

/** What is said of an image. */
function described(store: ImageStore, record: ImageRecord) {
  const { created } = store.config(record);
  return {
    name: record.name,
    id: record.id,
    digest: record.digest,
    size: record.size,
    layers: record.layers.length,
    ...(created === undefined ? {} : { created }),
    pulledAt: record.pulledAt,
  };
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** `podwire images pull` */
export function runPull(names: readonly string[], flags: PullFlags): Promise<void> {
  return withStore(async (store, keeper) => {
    const settings = settingsOf(flags);
    const puller = new Puller({ settings });
    const known = knownCredentials(flags);
    const records: ImageRecord[] = [];
    try {
      for (const name of names) {
        const keyring = await keyringFor(name, known, settings);
        const progress = new LayerProgress(process.stderr);
        const onProgress = progress.report.bind(progress);
        const record = await puller.pull(name, keyring, { store, keeper, onProgress }).finally(() => progress.end());
        records.push(record);
        if (!flags.json) process.stdout.write(`${shownName(record.name)}  ${record.digest}\n`);
      }
    } finally {
      puller.close();
    }
    if (flags.json) print(records.map((record) => described(store, record)));
  });
}

/** `podwire images load` */
export function runLoad(path: string, flags: { readonly name?: string; readonly json?: boolean }): Promise<void> {
  return withStore(async (store, keeper) => {
    const progress = new LayerProgress(process.stderr);
    const onProgress = progress.report.bind(progress);
    const records = await loadImages(path, flags.name, { store, keeper, onProgress }).finally(() => progress.end());
    if (flags.json) print(records.map((record) => described(store, record)));
    else for (const { name, id } of records) process.stdout.write(`${shownName(name)}  ${id}\n`);
  });
}

/** `podwire images ls` */
export function runList(flags: { readonly json?: boolean }): void {
  const store = openImageStore();
  const records = store.records.list();
  if (flags.json) return print(records.map((record) => described(store, record)));
  const rows = records.map(({ name, id, size }) => {
    const reference = parseWithTag(name);
    const tag = reference.tag ?? reference.digest?.slice(0, 19) ?? "";
    return [familiarName(reference), tag, hexOf(id).slice(0, 12), sizeText(size)];
  });
  process.stdout.write(`${table([["REPOSITORY", "TAG", "IMAGE ID", "SIZE"], ...rows])}\n`);
}

/** `podwire images rm` */
export function runRemove(names: readonly string[], flags: { readonly json?: boolean }): Promise<void> {
  return withStore(async (store, keeper) => tell(await store.remove(names, keeper), flags));
}

/** `podwire images prune` */
export function runPrune(flags: { readonly all?: boolean; readonly json?: boolean }): Promise<void> {
  return withStore(async (store, keeper) => tell(await store.prune(flags.all ?? false, keeper), flags));
}

function tell(removed: Removed, { json }: { readonly json?: boolean }): void {
  if (json) return print(removed);
  for (const name of removed.images) process.stdout.write(`removed ${shownName(name)}\n`);
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const parts = `${count(removed.layers, "unpacked layer")}, ${count(removed.blobs, "blob")} of ${sizeText(removed.bytes)}`;
  process.stdout.write(`removed ${parts}\n`);
}

/** A size as people read it: decimal units, as Docker's. */
export function sizeText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))}${units[unit]}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
