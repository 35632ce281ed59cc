import { closeSync, constants, openSync } from "node:fs";
import {
  assemble,
  attachedPrograms,
  attachProgram,
  type BpfCall,
  type BpfMap,
  type BpfProgram,
  createMap,
  describeProgram,
  detachProgram,
  HOOK,
  type Hook,
  loadProgram,
  type MapInfo,
  type MapSpec,
  openMap,
  openProgram,
} from "#kernel/bpf/index.ts";
import { programFor } from "./programs.ts";
import { type MapName, mapNames, mapSpecs, SOCKET_KEY } from "./records.ts";
import { type MapChanges, type MapContent, stepsOf } from "./translations.ts";

/** In the order in which they are attached: who translates comes after who translates back. */
const hooks = (Object.keys(HOOK) as Hook[]).reverse();

/** Name of a hook's program in the kernel, by which it is found again. */
function programName(hook: Hook): string {
  return `pw_${hook}`;
}

type Maps = Readonly<Record<MapName, BpfMap>>;
interface Loaded {
  readonly program: BpfProgram;
  readonly id: number;
}

/**
 * The programs and their maps in the kernel, attached to a node's group. They stay when this process ends, as rules do:
 * whatever is attached holds its maps, and a new process finds both by the group. Nothing is in a file system, and when
 * the group goes, so does all of it.
 */
export class SocketPrograms {
  readonly #call: BpfCall;
  readonly #group: () => string;
  #maps: Maps | undefined;
  #programs: Map<Hook, Loaded> | undefined;
  /** Ids of our programs at each hook, as last seen. */
  #attached = new Map<Hook, readonly number[]>();

  /** @param group the folder; asked for when it is needed */
  constructor(call: BpfCall, group: () => string) {
    this.#call = call;
    this.#group = group;
  }

  /** What is there, by a former process or by this one. Changes nothing. @throws SysError */
  read(): MapContent {
    this.#attached = new Map(this.#inGroup((group) => hooks.map((hook) => [hook, this.#oursAt(group, hook)] as const)));
    this.#maps ??= this.#mapsOf([...this.#attached.values()].flat());
    const content = (name: MapName) =>
      (this.#maps?.[name].entries() ?? []).map(([key, value]) => [latin1(key), latin1(value)] as const);
    return { services: content("services"), endpoints: content("endpoints"), members: content("members") };
  }

  /**
   * Brings changes into the maps, in an order in which at every instant each address has endpoints; and the programs to
   * their hooks.
   * @throws SysError; PodwireError `BpfRejected`
   */
  apply(changes: MapChanges): void {
    this.#maps ??= this.#createMaps();
    this.#programs ??= this.#load(this.#maps);
    for (const { map, set, remove } of stepsOf(changes)) {
      this.#maps[map].set(set.map(([key, value]) => [bytes(key), bytes(value)] as const));
      this.#maps[map].delete(remove.map(bytes));
    }
    this.#attach(this.#programs);
  }

  /** The record of the address that a UDP socket sent to, by the endpoint's that it reached. @throws SysError */
  sentTo(cookie: Buffer, endpoint: string): string | undefined {
    const key = Buffer.alloc(SOCKET_KEY.length);
    cookie.copy(key, SOCKET_KEY.cookie);
    bytes(endpoint).copy(key, SOCKET_KEY.address);
    const address = this.#maps?.replies.get(key);
    return address && latin1(address);
  }

  /** Whether programs of ours are attached. @throws SysError */
  isAttached(): boolean {
    return this.#inGroup((group) => hooks.some((hook) => this.#oursAt(group, hook).length > 0));
  }

  /** Takes all programs of ours off, whoever attached them: those first that translate. @throws SysError */
  detach(): void {
    this.#inGroup((group) => {
      for (const hook of hooks.toReversed())
        for (const id of this.#oursAt(group, hook))
          this.#with(id, (program) => detachProgram(this.#call, group, hook, program));
    });
    this.#attached = new Map();
  }

  /** Gives back descriptors. What is attached stays. */
  close(): void {
    for (const map of Object.values(this.#maps ?? {})) map.close();
    for (const { program } of this.#programs?.values() ?? []) program.close();
    this.#maps = undefined;
    this.#programs = undefined;
  }

  #inGroup<T>(work: (group: number) => T): T {
    const fd = openSync(this.#group(), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  }

  #with<T>(id: number, work: (program: BpfProgram) => T): T {
    const program = openProgram(this.#call, id);
    try {
      return work(program);
    } finally {
      program.close();
    }
  }

  #oursAt(group: number, hook: Hook): number[] {
    const ids = attachedPrograms(this.#call, group, hook);
    return ids.filter((id) =>
      this.#with(id, (program) => describeProgram(this.#call, program).name === programName(hook)),
    );
  }

  /** The maps of a former process' programs; undefined when there are none, or of another layout. */
  #mapsOf(programs: readonly number[]): Maps | undefined {
    const ids = new Set(
      programs.flatMap((id) => this.#with(id, (program) => [...describeProgram(this.#call, program).maps])),
    );
    const found = new Map<MapName, BpfMap>();
    let isComplete = false;
    try {
      for (const id of ids) {
        const { map, info } = openMap(this.#call, id);
        const name = mapNames.find((one) => isSpec(mapSpecs[one], info));
        if (name === undefined || found.has(name)) map.close();
        else found.set(name, map);
      }
      isComplete = mapNames.every((name) => found.has(name));
    } finally {
      if (!isComplete) for (const map of found.values()) map.close();
    }
    return isComplete ? (Object.fromEntries(found) as Record<MapName, BpfMap>) : undefined;
  }

  #createMaps(): Maps {
    const made: [MapName, BpfMap][] = [];
    try {
      for (const name of mapNames) made.push([name, createMap(this.#call, mapSpecs[name])]);
      return Object.fromEntries(made) as Record<MapName, BpfMap>;
    } catch (error) {
      for (const [, map] of made) map.close();
      throw error;
    }
  }

  #load(maps: Maps): Map<Hook, Loaded> {
    const fds = Object.fromEntries(mapNames.map((name) => [name, maps[name].fd]));
    const loaded = new Map<Hook, Loaded>();
    try {
      for (const hook of hooks) {
        const code = assemble(programFor(hook), fds);
        const program = loadProgram(this.#call, { name: programName(hook), hook, code });
        loaded.set(hook, { program, id: 0 });
        loaded.set(hook, { program, id: describeProgram(this.#call, program).id });
      }
      return loaded;
    } catch (error) {
      for (const { program } of loaded.values()) program.close();
      throw error;
    }
  }

  /** Each hook has our program and no other of ours: it takes the place of a former process' at once. */
  #attach(programs: ReadonlyMap<Hook, Loaded>): void {
    const isDone = hooks.every((hook) => {
      const ids = this.#attached.get(hook);
      return ids?.length === 1 && ids[0] === programs.get(hook)?.id;
    });
    if (isDone) return;
    this.#inGroup((group) => {
      for (const hook of hooks) {
        const { program, id } = programs.get(hook) as Loaded;
        const there = this.#attached.get(hook) ?? [];
        const [former, ...more] = there.filter((one) => one !== id);
        if (there.includes(id)) {
          if (former !== undefined) more.push(former);
        } else if (former === undefined) attachProgram(this.#call, group, hook, program);
        else this.#with(former, (old) => attachProgram(this.#call, group, hook, program, old));
        for (const extra of more) this.#with(extra, (old) => detachProgram(this.#call, group, hook, old));
        this.#attached.set(hook, [id]);
      }
    });
  }
}

function isSpec(spec: MapSpec, info: MapInfo): boolean {
  return (Object.keys(spec) as (keyof MapSpec)[]).every((field) => info[field] === spec[field]);
}

function latin1(buffer: Buffer): string {
  return buffer.toString("latin1");
}

function bytes(record: string): Buffer {
  return Buffer.from(record, "latin1");
}
