import { resolve } from "node:path";
import { errorMessage, hasCode } from "#base/errors.ts";
import { Rcode } from "#wire/dns/index.ts";
import {
  type Fallthrough,
  type Handler,
  longestZone,
  makeReply,
  noFallthrough,
  type Plugin,
  type Reply,
  type Request,
  readFallthrough,
  type Setup,
  type SetupContext,
} from "../../core/index.ts";
import { args, CorefileError, duration, readProperties, zonesOrDefault } from "../../corefile/index.ts";
import { asksForTransfer, fileVersion, readZone, type Zone, zoneReply } from "../../zone/index.ts";

/** One zone and the file that it is read from. */
interface Source {
  readonly origin: string;
  readonly file: string;
  readonly reloadMs: number;
  readonly byTime: boolean;
  readonly fallthrough: Fallthrough;
  /** Undefined while the file could not be read. */
  zone: Zone | undefined;
  version: string;
}

/** CoreDNS' own. */
const defaultReloadMs = 60_000;

/** `file DBFILE [ZONES...] { reload DURATION; reload_by_mtime; fallthrough [ZONES...] }`: serves master files. */
export const setup: Setup = (directive, context) => {
  const before = context.siblings().find((plugin) => plugin instanceof FilePlugin);
  const plugin = before ?? new FilePlugin(context);
  const [name, ...zoneTokens] = directive.args;
  if (!name) throw new CorefileError(directive.at, "file without a name; expected: file DBFILE [ZONES...]");
  let reloadMs = defaultReloadMs;
  let byTime = false;
  let fallthrough = noFallthrough;
  readProperties(directive, {
    fallthrough: (property) => {
      fallthrough = readFallthrough(property);
    },
    reload: (property) => {
      const [text] = args(property, "reload DURATION", 1);
      reloadMs = duration(text as string, property.at, "reload");
    },
    reload_by_mtime: (property) => {
      args(property, "reload_by_mtime", 0);
      byTime = true;
    },
    upstream: ({ at }) => context.log.warn(`${at.file}:${at.line}: upstream of file is deprecated and has no effect`),
  });
  const file = resolve(context.directory, name.text);
  for (const origin of zonesOrDefault(zoneTokens, context.zones)) {
    const source: Source = { origin, file, reloadMs, byTime, fallthrough, zone: undefined, version: "" };
    try {
      source.version = fileVersion(file);
      source.zone = readZone(file, origin, context.log);
    } catch (error) {
      // A file that is not there yet is looked for again; one with mistakes stops the start.
      if (!hasCode(error, "ENOENT") || reloadMs === 0) throw new CorefileError(name, errorMessage(error));
      context.log.warn(`Failed to open ${JSON.stringify(file)}: trying again in ${reloadMs / 1000}s`);
    }
    plugin.add(source);
  }
  return before ? { name: "file" } : plugin;
};

class FilePlugin implements Plugin {
  readonly name = "file";
  readonly #context: SetupContext;
  readonly #sources = new Map<string, Source>();
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(context: SetupContext) {
    this.#context = context;
  }

  add(source: Source): void {
    this.#sources.set(source.origin, source);
  }

  async start(): Promise<void> {
    for (const source of this.#sources.values()) {
      if (source.reloadMs > 0) this.#timers.push(setInterval(() => this.#reload(source), source.reloadMs).unref());
    }
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const origin = longestZone([...this.#sources.keys()], request.name);
    const source = origin === undefined ? undefined : this.#sources.get(origin);
    if (!source) return next(request);
    if (asksForTransfer(request)) return makeReply(this.name, { rcode: Rcode.REFUSED });
    if (!source.zone) return makeReply(this.name, { rcode: Rcode.SERVFAIL });
    const { instance } = this.#context;
    return zoneReply(this.name, source.zone, request, next, { instance, fallthrough: source.fallthrough });
  }

  /** Takes the file's new content when its serial is another one; one with mistakes is told, and the old one stays. */
  #reload(source: Source): void {
    const { log } = this.#context;
    const version = fileVersion(source.file);
    if (version === source.version || version === "") return;
    source.version = version;
    try {
      const zone = readZone(source.file, source.origin, log);
      if (source.zone && !source.byTime && zone.serial === source.zone.serial) {
        log.warn(
          `No SOA serial change for ${JSON.stringify(source.origin)} in ${source.file}; its new content is not used`,
        );
        return;
      }
      source.zone = zone;
      log.info(
        `Successfully reloaded zone ${JSON.stringify(source.origin)} in ${JSON.stringify(source.file)} with ${zone.serial} SOA serial`,
      );
    } catch (error) {
      log.error(
        `Failed to load zone ${JSON.stringify(source.origin)} in ${JSON.stringify(source.file)}: ${errorMessage(error)}`,
      );
    }
  }
}
