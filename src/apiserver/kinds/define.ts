import type { StoredObject } from "../object.ts";
import { allVerbs, type Column, type Kind, type KindRules } from "./definition.ts";
import { dnsSubdomain } from "./names.ts";
import { age } from "./print.ts";

/**
 * Columns by name; a leading `+` shows only with -o wide, a trailing `#` marks integers.
 * `Name` gets the format `name`, by which kubectl makes `-o name`.
 */
export function columns(...names: string[]): Column[] {
  return names.map((text) => {
    const name = text.replace(/^\+/, "").replace(/#$/, "");
    return {
      name,
      type: text.endsWith("#") ? "integer" : "string",
      format: name === "Name" ? "name" : "",
      description: name,
      priority: text.startsWith("+") ? 1 : 0,
    };
  });
}

/** Completes a kind's rules with what is ordinary. */
export function defineKind<T extends StoredObject>(rules: KindRules<T>): Kind {
  const nothing = () => {};
  const ordinary = {
    version: "v1",
    singular: rules.kind.toLowerCase(),
    listKind: `${rules.kind}List`,
    shortNames: [],
    categories: [],
    namespaced: true,
    storage: rules.group ? `${rules.plural}.${rules.group}` : rules.plural,
    verbs: allVerbs,
    status: false,
    keepsStatusOnCreate: false,
    generation: rules.status ?? false,
    createOnUpdate: false,
    unconditionalUpdate: true,
    scale: undefined,
    deletion: {},
    subresources: {},
    columns: columns("Name", "Age"),
    row: (object: StoredObject, now: number) => [object.metadata.name, age(object.metadata.creationTimestamp, now)],
    selectable: () => ({}),
    selectableFields: [],
    decode: undefined,
    custom: undefined,
    defaults: nothing,
    prepareCreate: nothing,
    prepareUpdate: nothing,
    nameRule: dnsSubdomain,
    validate: nothing,
    validateUpdate: nothing,
    warnings: () => [],
    comparesInvalid: false,
    prepareStatus: nothing,
    validateStatus: nothing,
    warning: undefined,
    fromStored: (object: StoredObject) => object,
    toStored: (object: StoredObject) => object,
  };
  // A kind's functions take its own type; objects of the kind are all they are ever called with.
  return { ...ordinary, ...rules } as unknown as Kind;
}
