import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { TestCluster } from "./cluster.ts";
import { Kubectl } from "./kubectl.ts";
import { makeStaging, type Staging } from "./staging.ts";

/** One cluster for all tests of a suite. Its parts are there once the suite's hooks have run. */
export interface ClusterSuite {
  readonly cluster: TestCluster;
  readonly kubectl: Kubectl;
}

/** Brings a cluster up before the suite's tests and takes it down after them. */
export function clusterSuite(flags: readonly string[]): ClusterSuite {
  const parts: { staging?: Staging; cluster?: TestCluster; kubectl?: Kubectl } = {};
  beforeAll(async () => {
    parts.staging = makeStaging();
    parts.cluster = new TestCluster({ staging: parts.staging, flags });
    await parts.cluster.ready();
    await parts.cluster.podsReady();
    parts.kubectl = new Kubectl(await parts.cluster.kubeconfig(), join(parts.cluster.directory, "home"));
  }, 120_000);
  afterAll(async () => {
    await parts.cluster?.stop();
    parts.staging?.remove();
  });
  const known = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error("the cluster of this suite is not up");
    return part;
  };
  return {
    get cluster() {
      return known(parts.cluster);
    },
    get kubectl() {
      return known(parts.kubectl);
    },
  };
}
