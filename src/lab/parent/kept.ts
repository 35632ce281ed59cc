import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { type ClusterConfig, type ClusterInput, resolveConfig } from "#lab/config/index.ts";
import type { KeptKeys } from "#lab/pki/index.ts";
import type { DataDirectory } from "#lab/state/index.ts";

/** What cluster.json of a data directory says. */
interface KeptCluster {
  /** What the cluster was asked to be. */
  readonly input: ClusterInput;
  /** What was made of it. */
  readonly config: ClusterConfig;
  /** The add-ons and the example were put in: from then on the objects are the user's. */
  readonly complete: boolean;
}

const keyFiles = { ca: "pki/ca.crt", caKey: "pki/ca.key", accounts: "pki/sa.key" } as const;

/** A cluster that outlives its end: its configuration, its authority, and whether it was complete once. */
export class KeptState {
  readonly directory: DataDirectory;
  #config: ClusterConfig;
  #input: ClusterInput;
  /** True when the cluster was complete before: nothing is put into it any more. */
  readonly resumed: boolean;

  /**
   * Opens what a data directory holds of a cluster. Flags win over what is kept, but a network cannot change under
   * the objects.
   * @throws PodwireError "InvalidConfig"
   */
  constructor(directory: DataDirectory, given: ClusterInput) {
    this.directory = directory;
    const text = directory.read("cluster.json");
    const kept = text === undefined ? undefined : (JSON.parse(text) as KeptCluster);
    this.#input = { ...kept?.input, ...given };
    this.#config = resolveConfig(this.#input);
    this.resumed = kept?.complete ?? false;
    if (kept) checkSame(directory.path, kept.config, this.#config);
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  /** Takes over the nodes of a configuration: they are there when the cluster comes back. */
  change(config: ClusterConfig): void {
    const nodes = config.nodes.map(({ name, role, addresses }) => ({ name, role, address: addresses.join(",") }));
    this.#input = { ...this.#input, nodes };
    this.#config = config;
    this.note(true);
  }

  /** Notes the configuration; `complete` when the cluster has all that belongs in it. */
  note(complete: boolean): void {
    const content: KeptCluster = { input: this.#input, config: this.#config, complete: complete || this.resumed };
    this.directory.write("cluster.json", `${JSON.stringify(content, null, 2)}\n`);
  }

  /** The keys of a cluster that was there before. */
  keys(): KeptKeys | undefined {
    const [cert, key, serviceAccountKey] = Object.values(keyFiles).map((name) => this.directory.read(name));
    return cert && key && serviceAccountKey ? { authority: { cert, key }, serviceAccountKey } : undefined;
  }

  /** Puts the keys aside. */
  keepKeys({ authority, serviceAccountKey }: KeptKeys): void {
    this.directory.write(keyFiles.ca, authority.cert);
    this.directory.write(keyFiles.caKey, authority.key);
    this.directory.write(keyFiles.accounts, serviceAccountKey);
  }
}

function textOf(value: string | readonly string[] | ClusterConfig["nodeCidrMaskSizes"]): string {
  return typeof value === "string" ? value : Object.values(value).join(",");
}

function checkSame(path: string, before: ClusterConfig, now: ClusterConfig): void {
  const [was, is] = [before, now].map(({ privileged }) => (privileged ? "privileged" : "not privileged"));
  if (was !== is) {
    const why = "its files belong to other ids";
    throw new PodwireError(
      "InvalidConfig",
      `${join(path, "cluster.json")}: the cluster is ${was}, now one that is ${is} is asked for; ${why}`,
    );
  }
  for (const field of ["podCidrs", "serviceCidrs", "nodeCidrs", "nodeCidrMaskSizes", "clusterDomain"] as const) {
    // A state of before there was such a choice has the defaults.
    const [old, wanted] = [before[field] ?? now[field], now[field]].map(textOf);
    if (old !== wanted)
      throw new PodwireError(
        "InvalidConfig",
        `${join(path, "cluster.json")}: the cluster's ${field} are ${old}, now ${wanted} is asked for; its objects have addresses of the old`,
      );
  }
}
