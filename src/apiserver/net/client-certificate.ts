import type { TLSSocket } from "node:tls";
import type { User } from "../kinds/definition.ts";

/** What a connection's client certificate says; undefined user: none was shown, or one without a name. */
export interface ShownCertificate {
  /** False for a certificate of another authority, out of its time or for another use. */
  readonly user: User | undefined | false;
  /** Milliseconds since 1970 after which it does not count: a connection may live longer than its certificate. */
  readonly until: number;
}

/** Looks at a connection's certificate. The TLS library has checked signature, times and the use for clients. */
export function shownCertificate(socket: TLSSocket): ShownCertificate {
  const { subject, fingerprint256, valid_to } = socket.getPeerCertificate();
  if (subject === undefined) return { user: undefined, until: Number.POSITIVE_INFINITY };
  if (!socket.authorized) return { user: false, until: Number.POSITIVE_INFINITY };
  const all = (value: unknown) => [value].flat().filter((text) => typeof text === "string");
  const name = all(subject.CN)[0];
  const until = Date.parse(valid_to);
  if (!name) return { user: undefined, until };
  const id = `X509SHA256=${fingerprint256.replaceAll(":", "").toLowerCase()}`;
  return {
    user: { name, groups: all(subject.O), extra: { "authentication.kubernetes.io/credential-id": [id] } },
    until,
  };
}

/** The user of a certificate at a moment. */
export function userAt({ user, until }: ShownCertificate, now: number): User | undefined | false {
  return user && now > until ? false : user;
}
