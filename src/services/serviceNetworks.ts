import { type Client, type KubeObject, resource } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { type Cidr, parseCidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";

/** networking.k8s.io/v1 ServiceCIDR: networks that Services get addresses from. */
interface ServiceCidr extends KubeObject {
  readonly spec?: { readonly cidrs?: readonly string[] };
}

const serviceCidrs = resource<ServiceCidr>("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", false);

/**
 * Networks in which every address is a Service's, or nobody's. None where the API does not say: it has no ServiceCIDRs
 * (before Kubernetes 1.33), or lets this client see none.
 */
export async function serviceNetworks(
  client: Client,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<readonly Cidr[]> {
  try {
    const { items } = await client.list(serviceCidrs, { signal });
    return items.flatMap(({ spec }) => (spec?.cidrs ?? []).map((text) => parseCidr(text)));
  } catch (error) {
    log.debug("ServiceCIDRs are not known", { error: errorMessage(error) });
    return [];
  }
}
