import { ApiError, Backoff, type Client, delay, type KubeObject, resource } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { type Cidr, parseCidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";

/** networking.k8s.io/v1 ServiceCIDR: networks that Services get addresses from. */
interface ServiceCidr extends KubeObject {
  readonly spec?: { readonly cidrs?: readonly string[] };
}

const serviceCidrs = resource<ServiceCidr>("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", false);

/** So often they are asked for at most: then an API that answers about all else does not answer about them. */
const MOST_ATTEMPTS = 5;

/** How they are asked for. */
export interface ServiceNetworksOptions {
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** How long an answer may take, in ms. Default 10 s. */
  readonly deadlineMs?: number;
  /** Waiting after the first failed attempt, in ms; doubled after each further one. Default 1 s. */
  readonly retryMs?: number;
}

/**
 * Networks in which every address is a Service's, or nobody's. None where the API does not say: it has no ServiceCIDRs
 * (before Kubernetes 1.33), lets this client see none, or fails again and again, which is logged. Never rejects.
 */
export async function serviceNetworks(
  client: Client,
  { log, signal, deadlineMs = 10_000, retryMs = 1000 }: ServiceNetworksOptions,
): Promise<readonly Cidr[]> {
  const retries = new Backoff({ initialMs: retryMs, maxMs: 10 * retryMs, resetMs: Number.POSITIVE_INFINITY });
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
      const { items } = await client.list(serviceCidrs, { signal: ends });
      return items.flatMap(({ spec }) => (spec?.cidrs ?? []).map((text) => parseCidr(text)));
    } catch (error) {
      if (signal.aborted) break;
      const isAnswer = error instanceof ApiError && (error.code === 404 || error.code === 403);
      if (isAnswer) log.debug("ServiceCIDRs are not known", { error: errorMessage(error) });
      else if (attempt === MOST_ATTEMPTS)
        log.info("ServiceCIDRs are not known: UDP connections to Services that went before stay", {
          error: errorMessage(error),
        });
      if (isAnswer || attempt === MOST_ATTEMPTS) break;
    }
    await delay(retries.failed(performance.now()), signal);
  }
  return [];
}
