import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type PageFolder, type PageServer, pageFolder } from "./folder.ts";
import { type Page, readPage, type Section } from "./page.ts";
import { Session } from "./session.ts";

/** A page and its name below test/transcripts, such as "server/get". */
export interface NamedPage extends Page {
  readonly name: string;
}

/** The pages of a folder below test/transcripts. */
export function pagesOf(folder: string): NamedPage[] {
  const path = join(import.meta.dirname, "../../transcripts", folder);
  return readdirSync(path)
    .filter((name) => name.endsWith(".md"))
    .toSorted()
    .map((name) => ({
      name: `${folder}/${name.slice(0, -3)}`,
      ...readPage(readFileSync(join(path, name), "utf8")),
    }));
}

/** Where a page's commands go. */
export interface Stage extends PageServer {
  /** kubectl's path. */
  readonly kubectl: string;
  /** Additional variables of the page's shell. */
  readonly env?: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * A test for each section of a page, in the page's order, in one shell.
 * @param start makes what the commands talk to
 */
export function playPage(page: Page, start: () => Promise<Stage>): void {
  const parts: { stage?: Stage; folder?: PageFolder; session?: Session } = {};
  beforeAll(async () => {
    parts.stage = await start();
    parts.folder = await pageFolder(parts.stage.kubectl, parts.stage);
    parts.session = new Session(parts.folder.path, { ...parts.folder.env, ...parts.stage.env });
  }, 120_000);
  afterAll(async () => {
    await parts.session?.stop();
    await parts.stage?.stop();
    parts.folder?.remove();
  });
  for (const section of page.sections) {
    const name = section.missing === undefined ? section.title : `${section.title} [not there yet: ${section.missing}]`;
    it(name, { timeout: 180_000 }, async () => {
      if (!parts.session) throw new Error("the page has no shell");
      await playSection(parts.session, section);
    });
  }
}

async function playSection(session: Session, section: Section): Promise<void> {
  const { expected, actual } = await session.play(section);
  if (section.missing === undefined) expect(actual).toBe(expected);
  else if (actual === expected)
    throw new Error(`It has arrived: take the line "Not there yet" away (${section.missing})`);
}
