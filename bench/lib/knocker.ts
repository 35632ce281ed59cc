import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { podwire, root } from "./cluster.ts";

/**
 * A program for a machine of the cluster: lines `name address port` come in; each is asked over HTTP until it answers,
 * every 2 ms, and `name time` goes out, the time being that of the first byte, in ms of the wall clock.
 */
const SCRIPT = `
const net = require("net");
const knock = (name, host, port) => {
  const socket = net.connect({ host, port: Number(port) });
  let answered = false;
  socket.once("connect", () => socket.write("GET / HTTP/1.0\\r\\n\\r\\n"));
  socket.once("data", () => {
    answered = true;
    console.log(name + " " + (performance.timeOrigin + performance.now()));
    socket.destroy();
  });
  socket.on("error", () => {});
  socket.once("close", () => answered || setTimeout(knock, 2, name, host, port));
};
require("readline").createInterface({ input: process.stdin })
  .on("line", (line) => knock(...line.split(" ")))
  .on("close", () => process.exit(0));
console.log("ready");
`;
const NODE = "/opt/podwire/bin/node";

/** Sends each pod a first packet from a machine of the cluster, and tells when it was answered. */
export class Knocker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (time: number) => void>();

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts the program on a machine. @throws Error when it ends */
  static async on(cluster: string, machine: string): Promise<Knocker> {
    const child = spawn(podwire, ["exec", "--name", cluster, machine, "--", NODE, "-e", SCRIPT], {
      cwd: root,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const knocker = new Knocker(child);
    if (!child.stdout) throw new Error("no standard output");
    const lines = createInterface({ input: child.stdout });
    await Promise.race([
      once(lines, "line"),
      once(child, "exit").then(([code]) => Promise.reject(new Error(`nothing knocks: it ended with ${code}`))),
    ]);
    lines.on("line", (line) => knocker.#take(line));
    return knocker;
  }

  /** When the pod's first answer came, in ms of the wall clock. */
  answered(name: string, address: string, port: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.set(name, resolve);
      this.#child.stdin?.write(`${name} ${address} ${port}\n`);
    });
  }

  #take(line: string): void {
    const [name = "", time = ""] = line.split(" ");
    this.#waiting.get(name)?.(Number(time));
    this.#waiting.delete(name);
  }

  /** Ends the program. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
  }
}
