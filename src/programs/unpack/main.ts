import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { hexOf, ImageFault, type UnpackMessage, type UnpackResult, unpackLayer } from "#images/index.ts";
import { syncFilesystem } from "#kernel/mounts/index.ts";
import { LAB_ROOT } from "#lab/stage/index.ts";

/** The part of an image store that belongs to the ids of clusters (images/store/layout.ts). */
const ROOT = `${LAB_ROOT}/state`;

const draftName = () => `${ROOT}/drafts/${randomBytes(12).toString("hex")}`;

async function unpack({ blob, packing, diffId }: Extract<UnpackMessage, { op: "unpack" }>): Promise<void> {
  const target = `${ROOT}/layers/${hexOf(diffId)}`;
  if (existsSync(target)) return;
  const draft = draftName();
  await unpackLayer({ file: `${ROOT}/in/${blob}`, packing, diffId, folder: draft });
  try {
    // Or after a power cut a folder under its name could have files without content.
    syncFilesystem(draft);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another process was faster.
    if (!existsSync(target)) throw error;
  }
}

/** A layer under its name is whole, so it loses its name first. */
function remove(layers: readonly string[]): void {
  for (const layer of layers)
    if (existsSync(`${ROOT}/layers/${layer}`)) renameSync(`${ROOT}/layers/${layer}`, draftName());
  for (const folder of ["drafts", "in"])
    for (const name of readdirSync(`${ROOT}/${folder}`))
      rmSync(`${ROOT}/${folder}/${name}`, { recursive: true, force: true });
}

async function answer(message: UnpackMessage): Promise<UnpackResult> {
  try {
    if (message.op === "unpack") await unpack(message);
    else remove(message.layers);
    return { id: message.id };
  } catch (error) {
    const code = error instanceof ImageFault ? error.code : "Failed";
    return { id: message.id, fault: { code, message: (error as Error).message } };
  }
}

/**
 * Unpacks layers, in the namespaces and with the ids that a cluster's containers have: what comes from a registry is
 * looked at by nobody with more rights. `podwire` starts it and talks to it over Node's own channel.
 */
function main(): void {
  const send = process.send?.bind(process);
  if (!send) {
    process.stderr.write("unpack: is started by podwire\n");
    process.exit(2);
  }
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: UnpackMessage) => void answer(message).then((result) => send(result)));
  send({ ready: true });
}

main();
