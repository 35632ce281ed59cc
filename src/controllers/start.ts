import type { KubeObject, Resource } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { addressRepairController, serviceCidrController } from "./addresses/controller.ts";
import { ControllerContext, type ControllerDeps, type ControllerHealth, type ControllerOptions } from "./context.ts";
import { cronJobController } from "./cronjob/controller.ts";
import { withoutCustom } from "./custom/follow.ts";
import { daemonSetController } from "./daemonset/controller.ts";
import { deploymentController } from "./deployment/controller.ts";
import { disruptionController } from "./disruption/controller.ts";
import { endpointsController } from "./endpoints/controller.ts";
import { mirrorController } from "./endpoints/mirror.ts";
import { garbageController } from "./garbage/controller.ts";
import { jobController } from "./job/controller.ts";
import { accountsController } from "./namespaces/accounts.ts";
import { namespaceController } from "./namespaces/controller.ts";
import { deletableResources } from "./namespaces/discovery.ts";
import { tokensController } from "./namespaces/tokens.ts";
import { lifecycleController, subnetController } from "./nodes/controller.ts";
import { taintEvictionController } from "./nodes/evictionController.ts";
import { podGcController } from "./nodes/podgcController.ts";
import { replicaSetController, replicationController } from "./replicaset/controller.ts";
import { schedulerController } from "./scheduler/controller.ts";
import { statefulSetController } from "./statefulset/controller.ts";
import { storageProtectionControllers } from "./storage/controller.ts";
import { systemController } from "./system.ts";
import { unattendedController } from "./unattended/controller.ts";

/** The running controllers of a cluster. */
export interface Controllers {
  /** Ends all work and waits for what is under way. */
  stop(): Promise<void>;
  health(): ControllerHealth;
  /** What the controllers or the scheduler count, in Prometheus' text format. */
  metrics(of: "controllers" | "scheduler"): string;
  /** Resolves when no controller has anything to do; for tests. */
  idle(): Promise<void>;
}

/** What startControllers takes. */
export interface StartControllers extends ControllerDeps {
  readonly options: ControllerOptions;
}

/**
 * Starts the scheduler and all controllers; resolves when they know the cluster's state and have begun to work.
 * Controllers of kinds that the API server does not serve are left out.
 */
export async function startControllers({ options, ...deps }: StartControllers): Promise<Controllers> {
  const stopping = new AbortController();
  const context = new ControllerContext(options, { ...deps, signal: stopping.signal });
  const stop = async () => {
    stopping.abort(new Error("the controllers were stopped"));
    await context.ended();
  };
  try {
    const served = await deletableResources(deps.client);
    startAll(context, served);
    await context.start();
    // The garbage collector watches every kind: it begins when the first work is under way.
    const { builtIn, definitions } = await withoutCustom(deps.client, served);
    garbageController(context, builtIn, definitions);
    unattendedController(context, builtIn);
    context.start().catch((error: unknown) => {
      if (!stopping.signal.aborted) deps.log.error("Garbage collection did not start", { error: errorMessage(error) });
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    stop,
    health: () => context.health(),
    metrics: (of) => context.metricsText(of),
    idle: () => context.idle(),
  };
}

function startAll(context: ControllerContext, served: readonly Resource<KubeObject>[]): void {
  const has = (...plurals: string[]) => plurals.every((name) => served.some(({ plural }) => plural === name));
  systemController(context);
  accountsController(context);
  tokensController(context);
  subnetController(context);
  schedulerController(context, (plural) => has(plural));
  if (has("replicasets")) replicaSetController(context);
  if (has("replicationcontrollers")) replicationController(context);
  if (has("deployments", "replicasets")) deploymentController(context);
  if (has("ipaddresses", "servicecidrs")) {
    addressRepairController(context);
    serviceCidrController(context);
  }
  endpointsController(context);
  mirrorController(context);
  if (has("leases")) lifecycleController(context);
  taintEvictionController(context);
  podGcController(context);
  namespaceController(context);
  if (has("statefulsets", "controllerrevisions", "persistentvolumeclaims")) statefulSetController(context);
  if (has("poddisruptionbudgets", "deployments", "replicasets", "statefulsets", "replicationcontrollers")) {
    disruptionController(context);
  }
  if (has("persistentvolumeclaims", "persistentvolumes", "volumeattributesclasses"))
    storageProtectionControllers(context);
  if (has("daemonsets", "controllerrevisions")) daemonSetController(context);
  if (has("jobs")) jobController(context);
  if (has("jobs", "cronjobs")) cronJobController(context);
}
