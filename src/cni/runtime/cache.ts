import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "#base/errors.ts";
import { isObject, type Json, type JsonObject } from "../config/json.ts";
import { type NetworkConfig, parseNetworkConfig } from "../config/network.ts";
import { type CniResult, parseResult, resultJson } from "../result.ts";
import { tryJson } from "./execute.ts";

/** What is remembered of an attachment. */
export interface CachedAttachment {
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  readonly args: Readonly<Record<string, string>>;
  readonly capabilities: JsonObject;
  readonly network: NetworkConfig;
  readonly result: CniResult;
}

/**
 * Attachments as files in libcni's layout: `<dir>/results/<network>-<container>-<interface>`. A DEL works with the
 * configuration of its ADD, whatever the directory of configurations says by then.
 */
export class ResultCache {
  readonly #directory: string;
  /** Networks that attachments were made to, mostly one: by its name a file is found without a look at all others. */
  readonly #networks = new Set<string>();

  constructor(directory: string) {
    this.#directory = join(directory, "results");
  }

  /** Remembers an attachment, in one step. */
  write(entry: CachedAttachment): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const file = this.#file(entry.network.name, entry.containerId, entry.ifName);
    const { network } = entry;
    const config = {
      cniVersion: network.cniVersion,
      name: network.name,
      disableCheck: network.disableCheck,
      plugins: network.plugins,
    };
    const text = JSON.stringify({
      kind: "cniCacheV1",
      containerId: entry.containerId,
      config: Buffer.from(JSON.stringify(config)).toString("base64"),
      ifName: entry.ifName,
      networkName: network.name,
      netns: entry.netns,
      cniArgs: Object.entries(entry.args),
      capabilityArgs: entry.capabilities,
      result: resultJson(entry.result, network.cniVersion),
    });
    writeFileSync(`${file}.draft`, text, { mode: 0o600 });
    renameSync(`${file}.draft`, file);
    this.#networks.add(network.name);
  }

  /** All attachments; files that are not ours or broken are left out. */
  list(): CachedAttachment[] {
    return this.#entries(() => true);
  }

  #entries(wanted: (file: string) => boolean): CachedAttachment[] {
    let names: string[];
    try {
      names = readdirSync(this.#directory);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return [];
      throw error;
    }
    return names.filter(wanted).flatMap((name) => {
      const entry = this.#read(join(this.#directory, name));
      return entry ? [entry] : [];
    });
  }

  /** Attachment of a container's interface, to whatever network. */
  find(containerId: string, ifName: string): CachedAttachment | undefined {
    for (const network of this.#networks) {
      const entry = this.#tryRead(this.#file(network, containerId, ifName));
      if (entry?.containerId === containerId && entry.ifName === ifName) return entry;
    }
    const named = this.#entries((file) => file.endsWith(`-${containerId}-${ifName}`));
    return named.find((entry) => entry.containerId === containerId && entry.ifName === ifName);
  }

  /** Forgets an attachment. */
  remove(network: string, containerId: string, ifName: string): void {
    rmSync(this.#file(network, containerId, ifName), { force: true });
  }

  #file(network: string, containerId: string, ifName: string): string {
    return join(this.#directory, `${network}-${containerId}-${ifName}`);
  }

  /** As #read(), of a file that may not be there. */
  #tryRead(file: string): CachedAttachment | undefined {
    try {
      return this.#read(file);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  #read(file: string): CachedAttachment | undefined {
    if (file.endsWith(".draft")) return undefined;
    const value = tryJson(readFileSync(file, "utf8"));
    if (!isObject(value) || value.kind !== "cniCacheV1") return undefined;
    try {
      const network = parseNetworkConfig(Buffer.from(String(value.config), "base64").toString("utf8"), file);
      const pairs = Array.isArray(value.cniArgs) ? (value.cniArgs as Json[]) : [];
      return {
        containerId: String(value.containerId),
        ifName: String(value.ifName),
        netns: typeof value.netns === "string" ? value.netns : "",
        args: Object.fromEntries(pairs.filter((pair): pair is [string, string] => Array.isArray(pair))),
        capabilities: isObject(value.capabilityArgs) ? value.capabilityArgs : {},
        network,
        result: parseResult(value.result, network.cniVersion),
      };
    } catch {
      return undefined;
    }
  }
}
