import type { AdmissionPlugin } from "../admission/names.ts";
import { forbidden, type StatusError } from "../errors.ts";
import type { Kind, User } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";

/** A write that is about to happen. */
export interface Admitted {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly kind: Kind;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** What is to be stored, for CREATE and UPDATE. */
  readonly object?: StoredObject;
  /** What is stored, for UPDATE and DELETE. */
  readonly old?: StoredObject;
  readonly user: User;
  /** Adds a Warning header to the answer. */
  warn?(text: string): void;
}

/** Looks at a write once it is complete; throws StatusError to refuse it. */
export type AdmissionCheck = (write: Admitted) => void;

/** A check and the plugin that it is; without one it is always made. */
export interface PluginCheck {
  readonly plugin?: AdmissionPlugin;
  readonly check: AdmissionCheck;
}

/** The 403 of an admission plugin. */
export function refuseWrite({ kind, name }: Admitted, why: string): StatusError {
  return forbidden(kind, name, why);
}
