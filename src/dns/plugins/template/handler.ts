import type { Metrics } from "#base/metrics.ts";
import {
  className,
  type EdnsOption,
  Rcode,
  RecordClass,
  RecordType,
  type ResourceRecord,
  typeName,
} from "#wire/dns/index.ts";
import { parseRecord } from "#wire/zone/index.ts";
import {
  type Fallthrough,
  fallsThrough,
  type Handler,
  type Instance,
  longestZone,
  makeReply,
  type Plugin,
  type Reply,
  type Request,
  withQuestion,
  withTarget,
} from "../../core/index.ts";
import { type GoTemplate, Struct, type Value } from "./goTemplate.ts";

/** What a template directive says. */
export interface TemplateOptions {
  readonly zones: readonly string[];
  /** Query class and type; 255 fits all. */
  readonly class: number;
  readonly type: number;
  readonly patterns: readonly RegExp[];
  readonly answer: readonly GoTemplate[];
  readonly additional: readonly GoTemplate[];
  readonly authority: readonly GoTemplate[];
  readonly rcode: number;
  readonly error?: EdnsOption;
  readonly fallthrough: Fallthrough;
}

const sections = ["answer", "additional", "authority"] as const;

/** Longest chain of CNAME records that templates make for each other. */
const maxAliases = 8;

/** Answers queries with records that templates make from them. */
export class TemplatePlugin implements Plugin {
  readonly name = "template";
  readonly #options: TemplateOptions;
  readonly #instance: Instance;
  readonly #count: ReturnType<typeof counters>;

  constructor(options: TemplateOptions, instance: Instance) {
    this.#options = options;
    this.#instance = instance;
    this.#count = counters(instance.metrics);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { zones, class: ownClass, type, patterns, fallthrough, rcode } = this.#options;
    const { question, name } = request;
    const zone = longestZone(zones, name);
    if (zone === undefined) return next(request);
    const fits = (own: number, asked: number) => own === asked || own === RecordType.ANY || asked === RecordType.ANY;
    if (!fits(ownClass, question.class) || !fits(type, question.type)) return next(request);
    const match = firstMatch(patterns, name);
    if (!match)
      return fallsThrough(fallthrough, name) ? next(request) : makeReply(this.name, { rcode: Rcode.SERVFAIL });
    const labels = {
      server: request.server,
      zone,
      view: "",
      class: className(question.class),
      type: typeName(question.type),
    };
    this.#count.matches(labels);
    if (rcode === Rcode.SERVFAIL) return makeReply(this.name, { rcode, ...this.#error() });
    return this.#reply(request, dataOf(request, zone, match), labels);
  }

  #reply(request: Request, data: Value, labels: Labels): Reply | Promise<Reply> {
    const [answers, additionals, authorities] = sections.map((section) =>
      this.#options[section].map((template) => this.#record(template, section, data, labels)),
    ) as [ResourceRecord[], ResourceRecord[], ResourceRecord[]];
    const reply = makeReply(this.name, {
      rcode: this.#options.rcode,
      authoritative: true,
      recursionAvailable: true,
      answers,
      additionals,
      authorities,
      ...this.#error(),
    });
    const alias = answers.find((record) => record.type === RecordType.CNAME);
    return alias ? this.#follow(request, reply, alias) : reply;
  }

  #record(template: GoTemplate, section: string, data: Value, labels: Labels): ResourceRecord {
    const place = { ...labels, section, template: template.source };
    let text: string;
    try {
      text = template.execute(data);
    } catch (error) {
      this.#count.templateFailures(place);
      throw error;
    }
    try {
      return parseRecord(text, "template");
    } catch (error) {
      this.#count.recordFailures(place);
      throw error;
    }
  }

  /** Adds what the target of a CNAME record leads to, as this server itself resolves it. */
  async #follow(request: Request, reply: Reply, { data }: ResourceRecord): Promise<Reply> {
    const { type } = request.question;
    if (data.kind !== "name" || type === RecordType.CNAME || (request.depth ?? 0) >= maxAliases) return reply;
    const found = await this.#instance.resolve(withQuestion(request, data.target, type));
    return withTarget(reply, found);
  }

  #error(): Pick<Reply, "options"> {
    return this.#options.error ? { options: [this.#options.error] } : {};
  }
}

type Labels = Readonly<Record<string, string>>;

function counters(metrics: Metrics) {
  const counter = (name: string, help: string) => {
    const metric = metrics.counter(`coredns_template_${name}`, help);
    return (labels: Labels) => metric.inc(labels);
  };
  return {
    matches: counter("matches_total", "Counter of template regex matches."),
    templateFailures: counter("template_failures_total", "Counter of go template failures."),
    recordFailures: counter("rr_failures_total", "Counter of mis-templated RRs."),
  };
}

function firstMatch(patterns: readonly RegExp[], name: string): RegExpExecArray | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(name);
    if (match) return match;
  }
  return undefined;
}

/** The data of CoreDNS' templates. */
function dataOf(request: Request, zone: string, match: RegExpExecArray): Value {
  const { name, question, message, peer, metadata } = request;
  const groups = [...match].map((text) => text ?? "");
  return new Struct([
    ["Zone", zone],
    ["Name", name],
    ["Class", question.class === RecordClass.ANY ? "ANY" : className(question.class)],
    ["Type", typeName(question.type)],
    ["Match", groups],
    [
      "Group",
      new Map([...groups.map((text, i): [string, Value] => [String(i), text]), ...Object.entries(match.groups ?? {})]),
    ],
    ["Remote", peer.address],
    ["Meta", (label) => metadata?.get(String(label))?.() ?? ""],
    [
      "Question",
      new Struct([
        ["Name", question.name],
        ["Qtype", question.type],
        ["Qclass", question.class],
      ]),
    ],
    [
      "Message",
      new Struct([
        ["Id", message.id],
        ["RecursionDesired", message.recursionDesired],
        ["Opcode", message.opcode],
      ]),
    ],
  ]);
}
