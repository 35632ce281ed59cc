import {
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  keyOf,
  type Resource,
  referenceTo,
  resources,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { addressResources, clusterIpsOf, type IpAddress, networksOf } from "./model.ts";
import { checkAddress, checkService, type Finding, type Lookup, planServiceCidr } from "./plan.ts";

const { ipAddresses, serviceCidrs } = addressResources;
const component = "ipallocator-repair-controller";
const addressTurn = "address ";

/** Reads what Services and addresses are checked against. */
function lookupIn(context: ControllerContext) {
  const services = context.informer(resources.services);
  const addresses = context.informer(ipAddresses);
  const cidrs = context.informer(serviceCidrs);
  const { client } = context;
  /** Caches of different kinds may be behind each other: what looks missing is asked for. */
  const fresh = async <T extends KubeObject>(
    of: Resource<T>,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> =>
    await client.get<T>(of, name, namespace).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
  return async (keys: readonly string[], ips: readonly string[]): Promise<Lookup> => {
    const found = await Promise.all(
      ips.map(async (ip) => [ip, addresses.get(ip) ?? (await fresh(ipAddresses, ip))] as const),
    );
    const owners = [...keys, ...found.flatMap(([, address]) => parentKey(address))];
    const known = await Promise.all(
      owners.map(async (key) => {
        const [namespace, name = ""] = key.split("/");
        return [key, services.get(key) ?? (await fresh(resources.services, name, namespace))] as const;
      }),
    );
    const [byIp, byKey] = [new Map(found), new Map(known)];
    return {
      networks: cidrs.list().flatMap(networksOf),
      address: (ip) => byIp.get(ip),
      service: (key) => byKey.get(key),
    };
  };
}

/**
 * Puts IPAddresses right that do not fit the Services: missing ones after a crash or a deletion by hand, leaked ones,
 * those that name another parent.
 */
export function addressRepairController(context: ControllerContext): void {
  const services = context.informer(resources.services);
  const addresses = context.informer(ipAddresses);
  const cidrs = context.informer(serviceCidrs);
  const lookup = lookupIn(context);
  const queue = context.control({
    name: "address-repair",
    needs: [services, addresses, cidrs],
    handle: async (key) => {
      if (key.startsWith(addressTurn)) {
        const address = addresses.get(key.slice(addressTurn.length));
        const finding = address && checkAddress(address, await lookup(parentKey(address), []));
        if (finding) await repair(context, ipAddresses, address, finding);
        return;
      }
      const service = services.get(key);
      if (!service || service.metadata.deletionTimestamp !== undefined) return;
      const findings = checkService(service, await lookup([], clusterIpsOf(service)));
      for (const finding of findings) await repair(context, resources.services, service, finding);
    },
  });
  services.onChange(({ type, object }) => type !== "DELETED" && queue.add(keyOf(object)));
  addresses.onChange(({ type, object }) => {
    if (type !== "DELETED") queue.add(`${addressTurn}${object.metadata.name}`);
    else for (const key of parentKey(object)) queue.add(key);
  });
}

function parentKey(address: IpAddress | undefined): string[] {
  const { group = "", resource, namespace, name } = address?.spec?.parentRef ?? {};
  return group === "" && resource === "services" ? [`${namespace}/${name}`] : [];
}

async function repair<T extends KubeObject>(
  context: ControllerContext,
  of: Resource<T>,
  about: T,
  { reason, message, create, remove }: Finding,
): Promise<void> {
  const { client } = context;
  context.recorder(component).event(referenceTo(of, about), "Warning", reason, message);
  try {
    if (remove) {
      const { name, uid } = remove.metadata;
      await client.delete(ipAddresses, name, undefined, { preconditions: { uid } });
    }
    if (create) await client.create(ipAddresses, create);
  } catch (error) {
    if (!isNotFound(error) && !isAlreadyExists(error)) throw error;
  }
}

/** Protects ServiceCIDRs that addresses need, says how they are, and makes the first one again when it goes. */
export function serviceCidrController(context: ControllerContext): void {
  const cidrs = context.informer(serviceCidrs);
  const addresses = context.informer(ipAddresses);
  const { client, options } = context;
  const first = "kubernetes";
  const queue = context.control({
    name: "service-cidrs",
    needs: [cidrs, addresses],
    handle: async (name) => {
      const cidr = cidrs.get(name);
      if (!cidr) {
        if (name === first)
          await client.create(serviceCidrs, { metadata: { name }, spec: { cidrs: [...options.serviceCidrs] } });
        return;
      }
      const { uid, resourceVersion } = cidr.metadata;
      const plan = planServiceCidr(cidr, cidrs.list(), addresses.list(), context.now());
      try {
        if (plan.conditions) {
          const patch = { metadata: { uid, resourceVersion }, status: { conditions: plan.conditions } };
          const status = { type: "merge", subresource: "status" } as const;
          cidrs.assume(await client.patch(serviceCidrs, name, undefined, patch, status));
        }
        if (plan.finalizers) {
          const newest = cidrs.get(name)?.metadata.resourceVersion;
          const patch = { metadata: { uid, resourceVersion: newest, finalizers: plan.finalizers } };
          await client.patch(serviceCidrs, name, undefined, patch, { type: "merge" });
        }
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
  const leaving = () => {
    for (const { metadata } of cidrs.list()) if (metadata.deletionTimestamp !== undefined) queue.add(metadata.name);
  };
  cidrs.onChange(({ type, object }) => {
    queue.add(object.metadata.name);
    // A new one may hold the addresses of one that is to go.
    if (type === "ADDED") leaving();
  });
  addresses.onChange(({ type }) => type !== "MODIFIED" && leaving());
}
