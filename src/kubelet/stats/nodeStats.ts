import type { PodManager, PodWorker } from "../pods/index.ts";
import { readProcesses } from "./processes.ts";
import { type SamplerDeps, UsageSampler } from "./sampler.ts";
import { type RunningContainerOf, resourceMetrics, type StatsNode, statsSummary } from "./summary.ts";

/** What a node and its containers use, for who asks the agent's server. */
export class NodeStats {
  readonly #node: StatsNode;
  readonly #pods: Pick<PodManager, "all">;
  readonly #sampler: UsageSampler;

  /** @param measured what the kernel has counted of a container, by the pid of its first process; else its processes are */
  constructor(node: StatsNode, pods: Pick<PodManager, "all">, measured?: SamplerDeps["measured"]) {
    this.#node = node;
    this.#pods = pods;
    this.#sampler = new UsageSampler({
      processes: () => readProcesses(),
      running: () => this.#running(),
      ...(measured ? { measured } : {}),
    });
  }

  /** `/stats/summary`; the first answer takes a second. */
  async summary(): Promise<object> {
    const span = await this.#sampler.span();
    return statsSummary(this.#node, this.#running(), span);
  }

  /** `/metrics/resource`: counters until now. */
  resourceMetrics(): string {
    return resourceMetrics(this.#running(), this.#sampler.current());
  }

  #running(): RunningContainerOf[] {
    return this.#pods.all().flatMap(runningContainers);
  }
}

function runningContainers(worker: PodWorker): RunningContainerOf[] {
  const { containers, initContainers = [], ephemeralContainers = [] } = worker.pod.spec;
  return [...containers, ...initContainers, ...ephemeralContainers].flatMap(({ name }) => {
    const unit = worker.unit(name);
    if (!unit?.running || !unit.record) return [];
    const { pid } = unit.running.handle;
    const pod = { ...worker.pod, status: worker.status };
    return [{ pod, podUid: worker.uid, container: name, pid, startedAt: unit.record.startedAt }];
  });
}
