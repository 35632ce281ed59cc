/**
 * Two programs for toolbox pods, as `node -e` scripts: a TCP server that sends everything back, and a client that
 * keeps streams open, sends a number on each every 10 ms and checks what returns.
 */

const NODE = "/opt/podwire/bin/node";
/** Port of the server. */
export const STREAM_PORT = 9000;

/** What the client knows of one stream. Times in milliseconds. */
export interface StreamReport {
  readonly sent: number;
  readonly received: number;
  /** Numbers that came back out of order, twice or damaged. */
  readonly wrong: number;
  /** Errors and ends of the connection. */
  readonly breaks: readonly string[];
  /** The longest time without any byte from the other side. */
  readonly longestGapMs: number;
}

/** Command of the server pod. */
export const streamServer: readonly string[] = [
  NODE,
  "-e",
  `require("net").createServer((s) => { s.setNoDelay(true); s.on("error", () => s.destroy()); s.pipe(s); }).listen(${STREAM_PORT}, "0.0.0.0", () => console.log("serving"))`,
];

const CLIENT = `
const net = require("net");
const report = {};
for (const target of process.argv.slice(1)) {
  const r = report[target] = { sent: 0, received: 0, wrong: 0, breaks: [], longestGapMs: 0 };
  const socket = net.connect(${STREAM_PORT}, target);
  socket.setNoDelay(true);
  let rest = Buffer.alloc(0), last = performance.now();
  socket.on("data", (data) => {
    const now = performance.now();
    r.longestGapMs = Math.max(r.longestGapMs, Math.round(now - last));
    last = now;
    rest = Buffer.concat([rest, data]);
    for (; rest.length >= 8; rest = rest.subarray(8)) if (Number(rest.readBigUInt64BE()) !== r.received++) r.wrong++;
  });
  for (const event of ["error", "end", "close"]) socket.on(event, (e) => r.breaks.push(event + " " + (e?.message ?? "")));
  setInterval(() => {
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(r.sent++));
    socket.write(number);
  }, 10);
}
// Read through a port of its own, on loopback.
require("http").createServer((q, a) => a.end(JSON.stringify(report))).listen(9001, "127.0.0.1");
`;

/** Command of the client pod. @param targets addresses of the server */
export function streamClient(targets: readonly string[]): readonly string[] {
  return [NODE, "-e", CLIENT, ...targets];
}

/** Shell command in the client pod that prints a {@link StreamReport} by target, as JSON. */
export const STREAM_REPORT = "curl -s -m 5 http://127.0.0.1:9001/";
