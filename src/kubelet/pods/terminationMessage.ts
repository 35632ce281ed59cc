import { chmodSync, closeSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Container, Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { readLog } from "../logs/index.ts";
import type { VolumeMountPoint } from "../runtime/index.ts";
import type { PodDeps } from "./deps.ts";

/** The path at which a container finds the file when it names none (core/v1 TerminationMessagePathDefault). */
const DEFAULT_PATH = "/dev/termination-log";
/** Upstream's limits: bytes of the file, bytes and lines of a log that stands in for it. */
const MAX_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

/** The file on the node in which one run of a container may say why it ended. */
function messageFile(deps: Pick<PodDeps, "podsFolder">, pod: Pod, container: Container, run: number): string {
  return `${deps.podsFolder}/${pod.metadata.uid}/containers/${container.name}/${run}`;
}

/** Makes the file, empty and writable for every user. It is a mount, so it is there in a read-only root too. */
export function makeMessageFile(
  deps: Pick<PodDeps, "podsFolder">,
  pod: Pod,
  container: Container,
  run: number,
): VolumeMountPoint {
  const source = messageFile(deps, pod, container, run);
  mkdirSync(dirname(source), { recursive: true });
  writeFileSync(source, "");
  chmodSync(source, 0o666);
  return { source, target: container.terminationMessagePath || DEFAULT_PATH, readonly: false };
}

/** Deletes it. */
export function removeMessageFile(
  deps: Pick<PodDeps, "podsFolder">,
  pod: Pod,
  container: Container,
  run: number,
): void {
  rmSync(messageFile(deps, pod, container, run), { force: true });
}

/**
 * What a container that has ended says about it: its file, or with the policy FallbackToLogsOnError, when that is
 * empty and it failed, the end of its log. Undefined when it says nothing. Never rejects.
 */
export async function terminationMessage(
  deps: Pick<PodDeps, "podsFolder">,
  pod: Pod,
  container: Container,
  run: { readonly restartCount: number; readonly logPath: string },
  exitCode: number,
): Promise<string | undefined> {
  const written = head(messageFile(deps, pod, container, run.restartCount));
  if (written !== "") return written;
  if (container.terminationMessagePolicy !== "FallbackToLogsOnError" || exitCode === 0) return undefined;
  return logEnd(run.logPath);
}

async function logEnd(path: string): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  const signal = new AbortController().signal;
  try {
    for await (const chunk of readLog(path, { tailLines: MAX_LOG_LINES }, signal)) chunks.push(chunk);
  } catch (error) {
    return `Error on reading termination message from logs: ${errorMessage(error)}`;
  }
  return Buffer.concat(chunks).subarray(-MAX_LOG_BYTES).toString() || undefined;
}

function head(path: string): string {
  try {
    const file = openSync(path, "r");
    try {
      const buffer = Buffer.alloc(MAX_BYTES);
      return buffer.toString("utf8", 0, readSync(file, buffer));
    } finally {
      closeSync(file);
    }
  } catch {
    // A pod of an agent that made no such file.
    return "";
  }
}
