import { createHash, timingSafeEqual } from "node:crypto";
import type { User } from "../kinds/definition.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** The static tokens of --token-auth-file: lines of `token,user,uid,"group1,group2"`. */
export class TokenFile {
  readonly #users: { readonly digest: Buffer; readonly user: User }[] = [];

  /** Reads the file's text. @throws Error with the number of a line that is wrong */
  constructor(text: string, file: string) {
    text.split("\n").forEach((line, index) => {
      if (line.trim() === "" || line.startsWith("#")) return;
      const fields = csvFields(line.replace(/\r$/, ""));
      const [token = "", name = "", uid = "", groups = ""] = fields;
      if (fields.length < 3)
        throw new Error(
          `token file '${file}' must have at least 3 columns (token, user name, user uid), found ${fields.length} in line ${index + 1}`,
        );
      if (token === "") throw new Error(`token file '${file}' has an empty token in line ${index + 1}`);
      const names = groups.split(",").map((g) => g.trim());
      const user = { name, ...(uid ? { uid } : {}), groups: names.filter(Boolean) };
      this.#users.push({ digest: digest(token), user });
    });
  }

  /** The user of a token, compared in constant time; upstream's later lines win. */
  user(token: string): User | undefined {
    const asked = digest(token);
    let found: User | undefined;
    for (const known of this.#users) if (timingSafeEqual(known.digest, asked)) found = known.user;
    return found;
  }
}

/** The fields of a line of comma-separated values (RFC 4180). */
function csvFields(line: string): string[] {
  const fields: string[] = [];
  const field = /\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(,|$)/y;
  for (;;) {
    const match = field.exec(line);
    if (!match) throw new Error(`bare quote in a line of the token file`);
    fields.push(match[1] === undefined ? (match[2] as string).trim() : match[1].replaceAll('""', '"'));
    if (match[3] === "") return fields;
  }
}
