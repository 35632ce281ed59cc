/** Archives of tar(5). */
export { type TarEntry, TarError, type TarHandler, type TarLimits, TarReader, type TarType } from "./reader.ts";
