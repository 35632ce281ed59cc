/** Package → the programs wanted from it. */
export const wanted: Readonly<Record<string, readonly string[]>>;
/** The folder of the tools of this user on this machine, there or not. */
export function toolsDirectory(): string;
/** Notes the folder's name where the `podwire` script looks. */
export function noteName(): void;
/** Program names that neither the host nor the tools folder has. */
export function missingPrograms(folder?: string): string[];
/** Fills the tools folder when it is missing or stale. */
export function ensureTools(options?: { readonly install?: boolean }): Promise<string>;
