import { parentPort } from "node:worker_threads";
import { readDocument, type YamlDocument, YamlError } from "./yaml-document.ts";

/** The thread that reads YAML: it says `ready`; then a text comes, its answer goes, one after the other. */

/** Answer to a text. */
export type YamlAnswer = YamlDocument | { readonly error: string };

function answer(text: string): YamlAnswer {
  try {
    return readDocument(text);
  } catch (error) {
    if (error instanceof YamlError) return { error: error.message };
    throw error;
  }
}

function serve(): void {
  const port = parentPort;
  if (!port) throw new Error("YAML is read in a worker thread");
  port.on("message", (text: string) => port.postMessage(answer(text)));
  port.postMessage("ready");
}

serve();
