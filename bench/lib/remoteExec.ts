import { WebSocket } from "ws";
import type { KubeconfigContext } from "#api/index.ts";

/**
 * Runs a command in a pod as kubectl does, over a connection of its own, without kubectl's own start.
 * @returns milliseconds from the first packet to the command's status
 * @throws Error when the command failed
 */
export function execMs(
  { server, ca, cert, key }: KubeconfigContext,
  pod: { readonly namespace: string; readonly name: string },
  command: readonly string[],
): Promise<number> {
  const query = new URLSearchParams({ stdout: "true", stderr: "true" });
  for (const word of command) query.append("command", word);
  const url = `${server.replace(/^https/, "wss")}/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/exec?${query}`;
  const began = performance.now();
  const socket = new WebSocket(url, ["v5.channel.k8s.io"], { ca, cert, key });
  let status = "";
  socket.on("message", (message: Buffer) => {
    if (message[0] === 3) status += message.subarray(1).toString();
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => {
      const took = performance.now() - began;
      if (status.includes('"Success"')) resolve(took);
      else reject(new Error(`${command.join(" ")} in ${pod.name}: ${status || "no status"}`));
    });
  });
}
