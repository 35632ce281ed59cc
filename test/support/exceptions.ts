import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { aloneFiles } from "./alone.ts";

/** A set of test files and why they do not run in a project that runs those of others once more. */
interface Exception {
  readonly why: string;
  readonly files: readonly string[];
}

/**
 * What of test/e2e does not run with `images: strict`: all of it. What is left has its pods from images that the tests
 * make (images/strict.ts), and from Podwire's own parts (podwire/toolbox, podwire/echo, CoreDNS, the ingress
 * controller), which are asked for at no registry and are templates by nature.
 */
const NOT_STRICT: readonly Exception[] = [
  {
    why: "images: strict: the file has pods with and without it by itself",
    files: ["images"],
  },
  {
    why: "images: strict: the file types a document as it stands, which has a cluster of its own",
    files: ["documents", "imagesDocument", "runDocument", "kubeApiserver", "dataDir", "dnsCommand"],
  },
  {
    why: "images: strict: no pod of a cluster is in the file",
    files: ["lab"],
  },
  {
    why: "images: strict: the file has pods of Podwire's own parts alone",
    files: [...aloneFiles, "controlPlaneRestart", "firstLight", "otherKernel", "safety", "surroundings"],
  },
];

/** Whether a program is in a folder of PATH. */
function onPath(program: string, path: string): boolean {
  return path.split(":").some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Why a test file cannot run with what the environment asks for; undefined when it can.
 * @param file its name without folders
 * @param env PODWIRE_TEST_RUNTIME and PODWIRE_TEST_IMAGES as vitest.config.ts sets them; PATH
 */
export function exceptionFor(file: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env["PODWIRE_TEST_RUNTIME"] === "crun" && !onPath("crun", env["PATH"] ?? ""))
    return "no crun on this machine: pods on crun";
  if (env["PODWIRE_TEST_IMAGES"] !== "strict") return undefined;
  return NOT_STRICT.find(({ files }) => files.some((name) => file === `${name}.test.ts`))?.why;
}
