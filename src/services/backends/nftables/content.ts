import type { Verdict } from "#kernel/nft/index.ts";
import type { SetName } from "./layout.ts";
import type { FrontendPlan } from "./plan.ts";
import { type StickyIds, stickyIds } from "./slots.ts";

/** What the table holds under one address, or should hold: its entry in @services and its endpoints. */
export interface Content {
  readonly verdict?: Verdict;
  readonly label?: string;
  /** What @endpoints holds by number. */
  readonly list: string;
  /** What @affinity-ids holds by number, 0 where it holds nothing, and @affinity-endpoints by id. */
  readonly sticky?: StickyIds;
}

/** The content that a plan asks for. */
export function contentOf({ verdict, label, list, isSticky }: FrontendPlan, width: number): Content {
  return isSticky ? { verdict, label, list: "", sticky: stickyIds(list, width) } : { verdict, label, list };
}

/** The endpoint list of a content, by number. */
export function listOf({ list, sticky }: Content, width: number): string {
  if (!sticky) return list;
  return sticky.ids.map((id) => sticky.slots.get(id) ?? "\0".repeat(width)).join("");
}

/** Maps whose keys begin with an address. */
export const mapNames = ["endpoints", "affinity-ids", "affinity-endpoints"] as const satisfies SetName[];
export type MapName = (typeof mapNames)[number];
