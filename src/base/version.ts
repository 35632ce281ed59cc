/** The version of all programs, that of package.json. */
export const version = "0.1.0";
