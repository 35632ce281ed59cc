import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { inNetns, type Netns, setSysctl, sysctlPath } from "#kernel/namespaces/index.ts";
import { inPieces } from "./pieces.ts";

/** Seconds to wait for the lock that programs of iptables hold (kube-proxy's). */
const LOCK_SECONDS = "5";
/** A program that hangs is killed after this time, in ms. */
const TIME_LIMIT = 120_000;
/** Lines of a transaction where a larger one is refused: some 700 bytes each in the kernel's form. */
const MOST_LINES = 150;
/** Of what a program prints: the rules of 10,000 Services with 50 endpoints are some 300 MB. */
const MAX_OUTPUT = 1 << 30;
const MAX_ERROR = 64 << 10;

/** How they are called: what the distribution chose, or one flavour alone. */
const flavours = ["iptables", "iptables-nft", "iptables-legacy"] as const;

/** The first with `iptables-restore --wait` and `MASQUERADE --random-fully`. */
const MIN_VERSION = [1, 6, 2] as const;

/** The programs of iptables on this node. */
export interface Iptables {
  /** What `iptables --version` says: `iptables v1.8.9 (nf_tables)`. */
  readonly version: string;
  /** All tables as text. @throws PodwireError "CommandFailed" */
  save(family: 4 | 6): Promise<string>;
  /**
   * Changes the chains that stand in the text, each table in one step; in several where the kernel takes no message that
   * large from this process.
   * @throws PodwireError "CommandFailed"
   */
  restore(family: 4 | 6, text: string): Promise<void>;
  hasChain(family: 4 | 6, table: string, chain: string): Promise<boolean>;
  /** Writes a setting of the network namespace. @throws Error with code ENOENT when the kernel has none such */
  setSysctl(name: string, value: string): void;
}

/** Where programs are found and what they work on. */
export interface IptablesPlace {
  /** Folders to look in, with colons between. Default: this process's PATH. */
  readonly path?: string;
  /** Network namespace to work in. Default: this process's. */
  readonly netns?: Pick<Netns, "fd">;
}

/**
 * Finds the programs of iptables, of whichever flavour.
 * @throws PodwireError "NoIptables" when there are none, or they are too old
 */
export function openIptables({ path = process.env["PATH"] ?? "", netns }: IptablesPlace = {}): Iptables {
  const flavour = flavours.find((name) => programsOf(name).every((program) => isProgram(program, path)));
  if (!flavour) {
    throw new PodwireError(
      "NoIptables",
      `proxy mode iptables needs ${programsOf("iptables").join(", ")}, and none of their flavours (nft, legacy) is in PATH (${path}): install the package iptables, or choose the mode nftables`,
    );
  }
  const call = (family: 4 | 6, kind: "" | "-save" | "-restore", args: readonly string[], input = "") =>
    run(netns, path, `${nameOf(flavour, family)}${kind}`, args, input);
  const version = execFileSync(flavour, ["--version"], {
    ...{ env: environment(path), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  }).trim();
  if (!isRecent(version)) {
    throw new PodwireError(
      "NoIptables",
      `proxy mode iptables needs iptables ${MIN_VERSION.join(".")}: this is ${version}`,
    );
  }
  return {
    version,
    save: (family) => call(family, "-save", []),
    restore: async (family, text) => {
      const restore = (input: string) => call(family, "-restore", ["-w", LOCK_SECONDS, "--noflush"], input);
      try {
        await restore(text);
      } catch (error) {
        if (!isTooLong(error)) throw error;
        await restore(inPieces(text, MOST_LINES));
      }
    },
    hasChain: (family, table, chain) =>
      call(family, "", ["-w", LOCK_SECONDS, "-t", table, "-S", chain]).then(
        () => true,
        (error: unknown) => {
          // 1: no such chain, or no such table. Anything else says nothing about the chain.
          if (error instanceof PodwireError && error.data["exitCode"] === 1) return false;
          throw error;
        },
      ),
    setSysctl: (name, value) => (netns ? setSysctl(netns, name, value) : writeFileSync(sysctlPath(name), value)),
  };
}

/**
 * Whether a transaction of the nft flavour was larger than its socket's buffer (wmem_default, 212,992 bytes on stock
 * kernels), which only root of the machine may enlarge.
 */
function isTooLong(error: unknown): boolean {
  return error instanceof PodwireError && error.message.includes("Message too long");
}

function programsOf(flavour: string): string[] {
  return ([4, 6] as const).flatMap((family) => ["", "-save", "-restore"].map((kind) => nameOf(flavour, family) + kind));
}

function nameOf(flavour: string, family: 4 | 6): string {
  return family === 4 ? flavour : flavour.replace("iptables", "ip6tables");
}

function isProgram(name: string, path: string): boolean {
  return path.split(":").some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

function isRecent(text: string): boolean {
  const parts = /v(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number) ?? [];
  const at = MIN_VERSION.findIndex((number, i) => parts[i] !== number);
  return parts.length === MIN_VERSION.length && (at < 0 || (parts[at] ?? 0) > (MIN_VERSION[at] ?? 0));
}

function environment(path: string): NodeJS.ProcessEnv {
  return { ...process.env, PATH: path, LC_ALL: "C" };
}

/** @returns what the program printed */
function run(
  netns: IptablesPlace["netns"],
  path: string,
  program: string,
  args: readonly string[],
  input: string,
): Promise<string> {
  const start = () =>
    spawn(program, args, {
      env: environment(path),
      timeout: TIME_LIMIT,
      killSignal: "SIGKILL",
    });
  // The process inherits the namespace of the thread that forks it.
  const child = netns ? inNetns(netns, start) : start();
  return outputOf(child, [program, ...args].join(" "), input);
}

function outputOf(child: ChildProcess, command: string, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    let size = 0;
    let words = "";
    child.stdout?.on("data", (data: Buffer) => {
      size += data.length;
      if (size > MAX_OUTPUT) child.kill("SIGKILL");
      else out.push(data);
    });
    child.stderr?.on("data", (data: Buffer) => {
      if (words.length < MAX_ERROR) words += data.toString();
    });
    // A program that fails at once does not read: its own words and exit code say why.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    child.on("error", (error) => reject(new PodwireError("CommandFailed", `${command}: ${error.message}`)));
    child.on("close", (exitCode, signal) => {
      if (exitCode === 0) return resolve(Buffer.concat(out).toString());
      const why = words.trim() || (signal ? `ended by ${signal}` : `ended with ${exitCode}`);
      reject(new PodwireError("CommandFailed", `${command}: ${why}`, { exitCode }));
    });
  });
}
