import { randomBytes } from "node:crypto";
import { SOCKET_NAME } from "#images/index.ts";
import { randomMac } from "#kernel/netlink/index.ts";
import { Spawner, showCommandLine } from "#kernel/process/index.ts";
import { type ContainerImage, nodeImages } from "#kubelet/images/index.ts";
import { ContainerStartError, ProcessRuntime, type RunningContainer } from "#kubelet/runtime/index.ts";
import { IMAGE_ROOT } from "#lab/machine/index.ts";
import {
  explainStep,
  type Listener,
  makeNetwork,
  newNetwork,
  publish,
  type RunRecord,
  Runs,
  type RunWish,
  removeNetwork,
} from "#run/index.ts";
import { attach } from "./attach.ts";
import { commandOf, containerSpec } from "./container.ts";
import { endContainer, RUNS_FOLDER } from "./leftovers.ts";
import { Signals } from "./signals.ts";
import type { Voice } from "./voice.ts";

const SIGTERM = 15;
/** Nobody reads the log: it is where the runtime puts what it passes on. */
const LOGS = { maxBytes: 1 << 20, maxFiles: 2 };

/** Gets the image, saying what Docker says. @throws ImageError */
async function imageOf({ image }: RunWish, voice: Voice): Promise<ContainerImage> {
  const source = nodeImages(
    { socket: `${IMAGE_ROOT}/socket/${SOCKET_NAME}`, layers: `${IMAGE_ROOT}/layers` },
    () => undefined,
  );
  const pulled = await source.pull({
    reference: image,
    policy: "IfNotPresent",
    keyring: async () => ({ entries: [] }),
    onPulling: () => voice.say(`Unable to find image '${image}' locally, asking its registry\n`),
  });
  if (pulled.notice && !image.startsWith("podwire/")) voice.say(`${pulled.notice.message}\n`);
  return pulled;
}

function newRun(wish: RunWish, image: ContainerImage, runs: Runs): RunRecord {
  const id = randomBytes(32).toString("hex");
  const name = wish.name ?? `run-${id.slice(0, 7)}`;
  runs.check(name, wish.ports);
  return {
    id,
    name,
    image: wish.image,
    command: commandOf(wish, image),
    created: Date.now(),
    network: newNetwork(wish.network, wish.ports, () => runs.freeAddress()),
    stopSignal: image.stopSignal ?? SIGTERM,
  };
}

/** A container that has a network, or is about to have one. */
interface Made {
  readonly run: RunRecord;
  readonly listener: Listener;
}

/** Sweeps, writes the container down, makes its network. What was made is taken away when a step fails. */
async function make(wish: RunWish, image: ContainerImage, runs: Runs, voice: Voice): Promise<Made> {
  const unlock = await runs.lock();
  try {
    await runs.sweep(endContainer, removeNetwork);
    const run = newRun(wish, image, runs);
    runs.claim(run);
    let listener: Listener = { close: () => undefined };
    try {
      const { attachment, ports } = run.network;
      if (attachment) listener = await publish(attachment.address, ports);
      await makeNetwork(run.network, randomMac(), (step) => {
        if (wish.explain) voice.say(explainStep(step));
      });
      return { run, listener };
    } catch (error) {
      listener.close();
      await undo(run, runs);
      throw error;
    }
  } finally {
    unlock();
  }
}

/** The first failure is what the caller wants to hear of; what stays is written down, for the next sweep. */
async function undo(run: RunRecord, runs: Runs): Promise<void> {
  try {
    await removeNetwork(run.network);
    runs.forget(run.id);
  } catch {
    // As above.
  }
}

async function unmake({ run, listener }: Made, runs: Runs): Promise<void> {
  listener.close();
  const unlock = await runs.lock();
  try {
    await removeNetwork(run.network);
    runs.forget(run.id);
  } finally {
    unlock();
  }
}

/** By which `netstat -p` and `ps` show who listens. */
function showProxy({ network: { attachment, ports } }: RunRecord): void {
  if (!attachment || ports.length === 0) return;
  const words = ports.flatMap(({ ip = "0.0.0.0", host, container, protocol }) => [
    ...["-proto", protocol, "-host-ip", ip, "-host-port", String(host)],
    ...["-container-ip", attachment.address, "-container-port", String(container)],
  ]);
  showCommandLine(["/usr/bin/docker-proxy", ...words]);
}

/** Starts the container in its network. @throws ContainerStartError */
async function start(wish: RunWish, image: ContainerImage, run: RunRecord, folder: string): Promise<RunningContainer> {
  const spawner = await Spawner.start({ thread: "inline" });
  const runtime = new ProcessRuntime({ folder, logs: LOGS }, spawner);
  try {
    return await runtime.start(containerSpec(wish, image, run, folder));
  } catch (error) {
    throw new ContainerStartError(error);
  }
}

const DISCARDED: Readonly<Partial<Record<RunWish["network"], string>>> = {
  host: "WARNING: Published ports are discarded when using host network mode\n",
  none: "WARNING: Published ports are discarded when there is no network\n",
};

/**
 * Runs a container and keeps it until it ends: its output, its published ports, its network.
 * @returns its exit code
 * @throws Error when it could not be started, Interrupted when a signal came before; nothing of it is left then
 */
export async function keep(wish: RunWish, voice: Voice): Promise<number> {
  const image = await imageOf(wish, voice);
  const runs = new Runs(RUNS_FOLDER);
  const signals = new Signals(wish.detach ? image.stopSignal : undefined);
  if (wish.ports.length > 0) voice.say(DISCARDED[wish.network] ?? "");
  const made = await make(wish, image, runs, voice);
  let giveBack = () => {};
  try {
    signals.throwIfEarly();
    showProxy(made.run);
    const container = await start(wish, image, made.run, runs.folderOf(made.run.id));
    if (!wish.detach) giveBack = attach(container, wish);
    signals.to(container);
    runs.update({ ...made.run, started: Date.now() });
    voice.started(made.run.id);
    return (await container.exit).exitCode;
  } finally {
    giveBack();
    await unmake(made, runs);
  }
}
