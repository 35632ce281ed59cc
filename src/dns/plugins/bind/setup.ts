import { isIP } from "node:net";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import type { Setup } from "../../core/index.ts";
import { CorefileError, type Directive, readProperties } from "../../corefile/index.ts";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** `bind ADDRESS|IFACE... { except ADDRESS|IFACE... }`: serves at these addresses, not at all of this machine. */
export const setup: Setup = (directive) => {
  const interfaces = networkInterfaces();
  if (directive.args.length === 0) {
    throw new CorefileError(directive.at, "at least one address or interface name is expected");
  }
  const except = new Set<string>();
  readProperties(directive, {
    except: (property) => {
      if (property.args.length === 0) {
        throw new CorefileError(property.at, "at least one address or interface must be given to except subdirective");
      }
      for (const address of addressesOf(property, interfaces)) except.add(address);
    },
  });
  return {
    name: "bind",
    addresses: [...new Set(addressesOf(directive, interfaces))].filter((address) => !except.has(address)),
  };
};

function addressesOf(directive: Directive, interfaces: Interfaces): string[] {
  return directive.args.flatMap((token) => {
    const entries = Object.hasOwn(interfaces, token.text) ? interfaces[token.text] : undefined;
    if (entries) return entries.map(({ address }) => address).filter((address) => !/^(fe80|ff)/i.test(address));
    if (isIP(token.text.split("%")[0] as string) === 0) {
      throw new CorefileError(token, `not a valid IP address or interface name: ${JSON.stringify(token.text)}`);
    }
    return [token.text];
  });
}
