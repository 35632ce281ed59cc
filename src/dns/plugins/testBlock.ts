import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import {
  decodeMessage,
  type EdnsOption,
  encodeMessage,
  formatRecord,
  type Message,
  query,
  rcodeName,
  typeNumber,
} from "#wire/dns/index.ts";
import { configure } from "../configuration.ts";
import { Answerer, type Instance, type Plugin } from "../core/index.ts";
import { parseCorefile } from "../corefile/index.ts";

/** How a test asks. */
export interface Asking {
  readonly recordClass?: number;
  /** Address of the client. */
  readonly from?: string;
  readonly edns?: Message["edns"];
  readonly protocol?: "udp" | "tcp";
  /** As if so many queries waited that this one must not. */
  readonly busy?: boolean;
}

/** A Corefile of port 53 without sockets and without start: for plugins that need neither. */
export interface TestBlock {
  /** Asks `NAME TYPE`, the name absolute; undefined when nothing is sent back. */
  ask(question: string, asking?: Asking): Promise<Message | undefined>;
  /** Log lines so far. */
  readonly lines: string[];
  readonly metrics: Metrics;
  readonly plugins: readonly Plugin[];
}

/** Sets a Corefile's text up. @throws CorefileError */
export async function testBlock(text: string, connectApi?: Instance["connectApi"]): Promise<TestBlock> {
  const lines: string[] = [];
  const metrics = new Metrics();
  const log = createLogger("dns", { write: (line) => void lines.push(line) });
  let answerer: Answerer | undefined;
  const instance = {
    metrics,
    resolve: (request) => answerer?.resolve(request),
    ...(connectApi && { connectApi }),
  } as Instance;
  const sites = await configure(parseCorefile("Corefile", text), {
    log,
    defaultPort: 53,
    directory: "/",
    environment: {},
    instance,
    now: () => 0,
  });
  answerer = new Answerer("dns://:53", sites, () => 0);
  const ask = async (question: string, asking: Asking = {}): Promise<Message | undefined> => {
    const { recordClass = 1, from = "192.0.2.9", edns, protocol = "udp", busy = false } = asking;
    const [name, type] = question.split(" ") as [string, string];
    const packet = encodeMessage(query(7, { name, type: typeNumber(type) ?? 0, class: recordClass }, edns));
    const bytes = await answerer?.answer(packet, { address: from, port: 4000, protocol, busy });
    return bytes && decodeMessage(bytes);
  };
  return { ask, lines, metrics, plugins: sites.flatMap(({ plugins }): readonly Plugin[] => plugins) };
}

/** rcode, answers, and authority records behind `ns`. */
export function shown(message: Message | undefined): string[] | undefined {
  return (
    message && [
      rcodeName(message.rcode),
      ...message.answers.map(formatRecord),
      ...message.authorities.map((record) => `ns ${formatRecord(record)}`),
    ]
  );
}

/** The message that a Corefile is refused with. */
export async function refusal(text: string): Promise<string> {
  try {
    await testBlock(text);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

/** EDNS of a query. */
export function edns(udpSize: number, ...options: EdnsOption[]): NonNullable<Message["edns"]> {
  return { udpSize, version: 0, dnssecOk: false, options };
}
