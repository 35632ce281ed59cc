export function unpackedPackages(names: readonly string[]): Promise<string>;
