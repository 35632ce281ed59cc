import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { errorMessage, hasCode } from "#base/errors.ts";
import { isSubdomain, lowerName, Rcode, tryParseName } from "#wire/dns/index.ts";
import {
  type Handler,
  longestZone,
  makeReply,
  noFallthrough,
  type Plugin,
  type Reply,
  type Request,
  type Setup,
  type SetupContext,
} from "../../core/index.ts";
import {
  args,
  CorefileError,
  type Directive,
  duration,
  oneArg,
  readProperties,
  regexp,
  zonesOrDefault,
} from "../../corefile/index.ts";
import { asksForTransfer, fileVersion, readZone, statsOf, type Zone, zoneReply } from "../../zone/index.ts";

interface AutoOptions {
  /** Zones that are served, those of files in other ones are not. */
  readonly origins: readonly string[];
  readonly directory: string;
  readonly pattern: RegExp;
  /** Zone's name, with `{1}` for the pattern's groups. */
  readonly template: string;
  readonly reloadMs: number;
}

/** Most files looked at in a directory and those below it. */
const maxFiles = 100_000;

/** `auto [ZONES...] { directory DIR [REGEXP TEMPLATE]; reload DURATION }`: serves all master files of a directory. */
export const setup: Setup = (directive, context) => new AutoPlugin(readOptions(directive, context), context);

function readOptions(directive: Directive, { zones, directory, log }: SetupContext): AutoOptions {
  let where: string | undefined;
  let pattern = /db\.(.*)/;
  let template = "{1}";
  let reloadMs = 60_000;
  readProperties(directive, {
    directory: (property) => {
      const [name, fileNames, origin] = args(property, "directory DIR [REGEXP TEMPLATE]", 1, 3) as [
        string,
        string?,
        string?,
      ];
      where = resolve(directory, name);
      checkDirectory(where, property, log);
      if (fileNames === undefined) return;
      if (origin === undefined) throw new CorefileError(property.at, "directory with a regexp and no template");
      if (!/\((?!\?(?!P?<))/.test(fileNames)) throw new CorefileError(property.at, "Need at least one sub expression");
      pattern = regexp(fileNames, property.at);
      template = origin;
    },
    reload: (property) => {
      reloadMs = duration(oneArg(property, "reload DURATION"), property.at, "reload");
    },
    upstream: ({ at }) => log.warn(`${at.file}:${at.line}: upstream of auto is deprecated and has no effect`),
  });
  if (where === undefined) throw new CorefileError(directive.at, "auto without a directory; expected: directory DIR");
  return { origins: zonesOrDefault(directive.args, zones), directory: where, pattern, template, reloadMs };
}

function checkDirectory(path: string, property: Directive, log: SetupContext["log"]): void {
  try {
    statSync(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) {
      throw new CorefileError(property.at, `Unable to access root path '${path}': ${errorMessage(error)}`);
    }
    log.warn(`Directory does not exist: ${path}`);
  }
}

class AutoPlugin implements Plugin {
  readonly name = "auto";
  readonly #options: AutoOptions;
  readonly #context: SetupContext;
  readonly #zones = new Map<string, { readonly zone: Zone; readonly file: string; readonly version: string }>();
  /** Versions of files that were found to be wrong, so that each is told once. */
  readonly #refused = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AutoOptions, context: SetupContext) {
    this.#options = options;
    this.#context = context;
  }

  async start(): Promise<void> {
    this.#walk();
    const { reloadMs } = this.#options;
    if (reloadMs > 0) this.#timer = setInterval(() => this.#walk(), reloadMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const origin = longestZone([...this.#zones.keys()], request.name);
    const zone = origin === undefined ? undefined : this.#zones.get(origin)?.zone;
    if (!zone) return next(request);
    if (asksForTransfer(request)) return makeReply(this.name, { rcode: Rcode.REFUSED });
    return zoneReply(this.name, zone, request, next, { instance: this.#context.instance, fallthrough: noFallthrough });
  }

  /** Reads files that are new or changed, and forgets zones whose file is gone. */
  #walk(): void {
    const { log } = this.#context;
    const seen = new Set<string>();
    for (const file of filesOf(this.#options.directory)) {
      const origin = this.#originOf(basename(file));
      if (origin === undefined || seen.has(origin)) continue;
      seen.add(origin);
      const version = fileVersion(file);
      const known = this.#zones.get(origin);
      if ((known?.file === file && known.version === version) || this.#refused.get(file) === version) continue;
      try {
        const zone = readZone(file, origin, log);
        this.#zones.set(origin, { zone, file, version });
        this.#refused.delete(file);
        log.info(`Inserting zone '${origin}' from: ${file}`);
      } catch (error) {
        this.#refused.set(file, version);
        log.warn(`Parsing zone '${origin}': ${errorMessage(error)}`);
      }
    }
    for (const origin of this.#zones.keys()) {
      if (seen.has(origin)) continue;
      this.#zones.delete(origin);
      log.info(`Deleting zone '${origin}'`);
    }
  }

  /** The zone that a file name stands for; undefined when it is none, or none of ours. */
  #originOf(name: string): string | undefined {
    const match = this.#options.pattern.exec(name);
    if (!match) return undefined;
    const text = this.#options.template.replaceAll(
      /\$?\{(\d+)\}/g,
      (_all, index: string) => match[Number(index)] ?? "",
    );
    const origin = lowerName(tryParseName(text) ?? "");
    return this.#options.origins.some((zone) => origin !== "" && isSubdomain(origin, zone)) ? origin : undefined;
  }
}

/** Files below a directory, in the order of their names; links are followed to files only. */
function filesOf(directory: string): string[] {
  const found: string[] = [];
  const queue = [directory];
  for (let next = queue.shift(); next !== undefined && found.length < maxFiles; next = queue.shift()) {
    let entries: string[];
    try {
      entries = readdirSync(next).sort();
    } catch {
      continue; // not there yet, or gone again
    }
    for (const entry of entries) {
      const path = join(next, entry);
      const stats = statsOf(path);
      if (stats?.isFile()) found.push(path);
      // A ConfigMap volume's `..data` holds what its links beside it show.
      else if (stats?.isDirectory() && !entry.startsWith("..")) queue.push(path);
    }
  }
  return found;
}
