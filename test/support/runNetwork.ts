// A keeper of `podwire run` without its container, for tests in a namespace of their own:
//
//   make MODE PORTS…   makes a container's network, prints the steps, and ends as if it were killed
//   die STEP           as make bridge 8080:80, but is killed before this step (9: after the last one)
//   hold PORTS…        makes a network, listens on the published ports until its input ends, takes all away again
//   sweep              what the next run does first
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  explainStep,
  makeNetwork,
  type NetworkMode,
  newNetwork,
  parsePublish,
  publish,
  type RunRecord,
  Runs,
  removeNetwork,
  type Step,
} from "#run/index.ts";

const runs = new Runs("/run/podwire-run");
const [, , action = "", ...words] = process.argv;

async function locked<T>(work: () => Promise<T>): Promise<T> {
  const unlock = await runs.lock();
  try {
    return await work();
  } finally {
    unlock();
  }
}

const sweep = () => runs.sweep(async () => {}, removeNetwork);

/** Writes a container down and makes its network. */
function make(mode: NetworkMode, ports: readonly string[], onStep: (step: Step) => void): Promise<RunRecord> {
  return locked(async () => {
    const id = randomBytes(32).toString("hex");
    const network = newNetwork(mode, ports.map(parsePublish), () => runs.freeAddress());
    const run = { id, name: id, image: "test", command: ["test"], created: Date.now(), stopSignal: 15, network };
    runs.claim(run);
    await makeNetwork(network, "02:42:71:01:5b:e4", onStep);
    return run;
  });
}

const die = () => process.kill(process.pid, "SIGKILL");

switch (action) {
  case "make":
    await make(words[0] as NetworkMode, words.slice(1), (step) => void process.stdout.write(explainStep(step)));
    break;
  case "die":
    await make("bridge", ["8080:80"], (step) => void (step.number === Number(words[0]) && die()));
    die();
    break;
  case "hold": {
    const run = await make("bridge", words, () => {});
    const { attachment, ports, netns } = run.network;
    const listener = await publish(attachment?.address ?? "", ports);
    process.stdout.write(`${netns} ${attachment?.address}\n`);
    process.stdin.resume();
    await once(process.stdin, "end");
    listener.close();
    await locked(async () => {
      await removeNetwork(run.network);
      runs.forget(run.id);
    });
    break;
  }
  case "sweep":
    await locked(sweep);
    break;
  default:
    throw new Error(`what is ${action}?`);
}
