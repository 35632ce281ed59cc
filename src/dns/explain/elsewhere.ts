import { isIP } from "node:net";
import { isSubdomain } from "#wire/dns/index.ts";
import type { Plugin } from "../core/index.ts";
import { type Directive, type Token, zonesOf } from "../corefile/index.ts";
import type { ServerAnswer } from "./lookup.ts";

/** A plugin was met whose answer is not here to be had. */
export class AskedElsewhere extends Error {
  readonly directive: Directive;
  /** The file that is not known, if that is why. */
  readonly file: string | undefined;

  constructor(directive: Directive, file?: string) {
    super(`asked ${directive.name}`);
    this.directive = directive;
    this.file = file;
  }
}

/** Stands in for a plugin that asks elsewhere. @param file the one that is not known, if that is why */
export function askedElsewhere(name: string, directive: Directive, file?: string): Plugin {
  return {
    name,
    handle: (request, next) => {
      if (!takes(directive, request.name, request.zone)) return next(request);
      throw new AskedElsewhere(directive, file);
    },
  };
}

/** A hosts plugin whose file lies in the server's pod: what its own entries do not answer is up to that file. */
export function withUnreadFile(plugin: Plugin, directive: Directive): Plugin {
  const unknown = (): never => {
    throw new AskedElsewhere(directive);
  };
  return {
    name: plugin.name,
    handle: async (request, next) => {
      if (!takes(directive, request.name, request.zone)) return await next(request);
      const reply = await plugin.handle?.(request, unknown);
      return reply?.answers.length ? reply : unknown();
    },
  };
}

/** Whether a plugin that asks elsewhere is for a name (lower case). */
function takes({ name, args, block }: Directive, asked: string, siteZone: string): boolean {
  const words = zoneWords(name, args);
  const zones = words.length ? words.flatMap((token) => zonesOf(token.text, token)) : [siteZone];
  const except = (block ?? [])
    .filter((property) => property.name === "except")
    .flatMap((property) => property.args.flatMap((token) => zonesOf(token.text, token)));
  const isIn = (zone: string) => isSubdomain(asked, zone);
  return zones.includes(asked) || (zones.some(isIn) && !except.some(isIn));
}

/** The words of a directive that are zones. */
function zoneWords(name: string, args: readonly Token[]): readonly Token[] {
  if (name === "file" || name === "hosts") return args.slice(1);
  if (name === "autopath") return args.slice(0, -1);
  return name === "auto" || name === "acl" ? args : args.slice(0, 1);
}

/** What can be said of a question that is asked elsewhere. */
export function elsewhere({ directive, file }: AskedElsewhere): ServerAnswer {
  const targets = directive.args.slice(1).map(({ text }) => text);
  const isFile = ["file", "auto", "hosts", "acl", "autopath"].includes(directive.name);
  const because = isFile
    ? `a file of the server's decides: ${file ?? directive.args[0]?.text ?? "auto"}`
    : `it is asked of ${targets.map((text) => (isIP(text) ? text : `the servers of ${text}`)).join(", ")}`;
  return { outcome: "unknown", records: [], plugin: directive.name, at: directive.at, because };
}
