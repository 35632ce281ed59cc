import type { ServerResponse } from "node:http";
import type { CommandEnd } from "#wire/websocket/index.ts";
import type { ProcessRuntime } from "../runtime/index.ts";
import { runExec } from "./exec.ts";
import { findContainer, type PodFinder } from "./find.ts";
import { type ContainerPath, RequestError } from "./requests.ts";

/** Of what a command prints, so many bytes are kept (containerd's limit of ExecSync); the rest is read and dropped. */
const MAX_OUTPUT = 16 << 20;

/**
 * `/run/…?cmd=`: runs a command and answers with what it printed at its end, as upstream's kubelet does. A command that
 * fails is an error 500 with its output in front.
 */
export async function serveRun(
  deps: PodFinder & { readonly runtime: ProcessRuntime },
  path: ContainerPath,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const { unit, running } = findContainer(deps, path);
  const command = (query.get("cmd") ?? "").split(" ").filter((word) => word !== "");
  if (command.length === 0) throw new RequestError(400, "a command is needed: ?cmd=");
  const output: Buffer[] = [];
  let room = MAX_OUTPUT;
  let end: CommandEnd | undefined;
  await runExec(
    deps.runtime,
    unit,
    running,
    { command, stdin: false, stdout: true, stderr: true, tty: false },
    {
      listen: () => {},
      send: (_stream, data) => {
        if (room > 0) output.push(data.subarray(0, room));
        room -= data.length;
        return true;
      },
      end: (how) => {
        end = how;
      },
    },
  );
  const text = Buffer.concat(output);
  if (end && "exitCode" in end && end.exitCode === 0) {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(text);
    return;
  }
  const fault = end && "error" in end ? end.error : `command exited with ${end?.exitCode}`;
  throw new RequestError(500, `${text.toString()}${fault}`);
}
