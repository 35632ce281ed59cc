import { once } from "node:events";
import { existsSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { containerLogPath, fileGrowth, type LogFolders, readLog } from "../logs/index.ts";
import { klogDecoder, type ModuleSpec } from "../modules/index.ts";
import type { PodManager } from "../pods/index.ts";
import { type ContainerPath, parseLogOptions, RequestError } from "./requests.ts";

/** What upstream's kubelet says of a container without a log, where that is not the reason itself. */
const WAITING: Readonly<Record<string, string>> = {
  ErrImagePull: "image can't be pulled",
  ImagePullBackOff: "trying and failing to pull image",
};

/** `/containerLogs/…`: a container's log as plain text, followed until its run ends or the client goes. */
export async function serveLogs(
  pods: PodManager,
  folders: LogFolders,
  path: ContainerPath,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const options = parseLogOptions(query, Date.now());
  const worker = pods.find(path.namespace, path.pod);
  if (!worker) throw new RequestError(404, `pod "${path.pod}" does not exist`);
  const unit = worker.unit(path.container);
  if (!unit) throw new RequestError(400, `container ${path.container} is not valid for pod ${path.pod}`);
  const { record } = unit;
  const name = unit.container.name;
  const run = (record?.restartCount ?? 0) - (options.previous ? 1 : 0);
  if (options.previous && run < 0) {
    throw new RequestError(400, `previous terminated container "${name}" in pod "${path.pod}" not found`);
  }
  if (!record) {
    const untouched = worker.pod.spec.initContainers?.length ? "PodInitializing" : "ContainerCreating";
    const reason = unit.view()?.state.waiting?.reason ?? untouched;
    const why = WAITING[reason] ?? reason;
    throw new RequestError(400, `container "${name}" in pod "${path.pod}" is waiting to start: ${why}`);
  }
  const file = containerLogPath(folders, worker.pod, name, run);
  if (!existsSync(file)) throw new RequestError(404, `the log of container "${name}" is not there`);
  await send(response, (signal) => readLog(file, options, signal, options.previous ? undefined : unit.running?.log));
}

/** The log of a module of this node, as that of the container in its mirror pod. */
export async function serveModuleLogs(
  module: ModuleSpec,
  path: ContainerPath,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const now = Date.now();
  const options = parseLogOptions(query, now);
  const { name } = module.container;
  if (path.container !== undefined && path.container !== name)
    throw new RequestError(400, `container ${path.container} is not valid for pod ${path.pod}`);
  // Runs follow one another in one file.
  if (options.previous)
    throw new RequestError(400, `previous terminated container "${name}" in pod "${path.pod}" not found`);
  if (!existsSync(module.log)) throw new RequestError(404, `${module.log} is not there`);
  await send(response, (signal) => readLog(module.log, options, signal, fileGrowth(module.log), klogDecoder(now)));
}

async function send(response: ServerResponse, chunks: (signal: AbortSignal) => AsyncIterable<Buffer>): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  // The head goes out at once: a client that follows a silent container must not wait for it.
  response.writeHead(200, { "content-type": "text/plain", "transfer-encoding": "chunked" });
  response.flushHeaders();
  for await (const chunk of chunks(gone.signal)) {
    if (!response.write(chunk)) await once(response, "drain", { signal: gone.signal }).catch(() => {});
  }
  response.end();
}
