import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BootRequest } from "#lab/engine/index.ts";
import type { Topology } from "#lab/topology/index.ts";
import { EngineLink } from "./engineLink.ts";
import { type CommandResult, placeOf, runOnMachine } from "./nsenter.ts";
import type { Installation } from "./options.ts";

/** Machines and links without a cluster on them. */
export class Lab {
  readonly #installation: Installation;
  readonly #directory: string;
  #engine: EngineLink | undefined;

  constructor(installation: Installation) {
    this.#installation = installation;
    this.#directory = mkdtempSync(join(tmpdir(), "podwire-lab-"));
  }

  /**
   * Builds a topology.
   * @param options files by machine (absolute path inside → content), addresses at which the router answers DNS
   * @throws PodwireError when the machine refuses namespaces
   */
  async start(topology: Topology, options: Partial<Pick<BootRequest, "files" | "resolver">> = {}): Promise<void> {
    const state = join(this.#directory, "disk");
    mkdirSync(state);
    this.#engine = await EngineLink.start(
      { ...this.#installation, state },
      "engine.cjs",
      join(this.#directory, "engine.log"),
    );
    await this.#engine.boot({
      topology,
      files: {},
      resolver: [],
      ...options,
      listeners: [],
      processes: [],
      stateMounts: {},
    });
  }

  /** Runs a command on a machine. */
  exec(machine: string, command: readonly string[]): Promise<CommandResult> {
    return runOnMachine(placeOf(this.#engine as EngineLink, machine), command);
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await this.#engine?.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
