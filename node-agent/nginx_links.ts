/**
 * Leave for nginx to serve this node's files from the disk.
 *
 * nginx cannot ask whether a file was deleted or found damaged, or whether this
 * node is cut off. So it reaches the files only through a link that bears the
 * name of the present second; it is made for as long as this node itself may
 * serve reads (`lease_core.ts`). When the node is cut off, stopped, hung or
 * killed, the links run out, and nginx asks an agent.
 *
 * ```text
 * DIR/1795331645 ─▶ paths      leave for this second (nginx's $msec)
 * DIR/paths/M00  ─▶ STORE/data only while the disk takes changes: deletes, too
 * DIR/damaged/NAME             a copy that is known to be bad
 * ```
 *
 * @module
 */

import { resolve } from "node:path";
import { hexByte } from "@kedge/schema/file-id";
import { leaveSeconds } from "./nginx_links_core.ts";
import type { Log, Replicator } from "./ports.ts";

/** Pause between two looks, in ms. */
const LOOK_MS = 250;
/** Looks between two looks at the list of damaged files. */
const DAMAGED_LOOKS = 4;
/** With more of them nginx gets no leave: a disk is being filled again. */
export const DAMAGED_MAX = 1000;

/** What the links are made from. */
export interface NginxLinkParts {
  /** Folder of the links; it is emptied. */
  readonly dir: string;
  /** Folders with the files of `M00`, `M01`, …, absolute. */
  readonly folders: readonly string[];
  /** Whether a disk takes changes. */
  readonly takesChanges: (pathIndex: number) => boolean;
  /** IDs of damaged files, at most so many. */
  readonly damaged: (limit: number) => readonly { readonly id: string }[];
  readonly mayRead: Replicator["mayRead"];
  /** The clock of this machine, in ms since the Unix epoch. */
  readonly wallMs: () => number;
  readonly log: Log;
}

/** What of a store nginx's links depend on. */
export interface FilesToShow {
  readonly folders: readonly string[];
  takesChanges(pathIndex: number): boolean;
  damaged(limit: number): readonly { readonly id: string }[];
  onChange(act: () => void): void;
}

/**
 * Let nginx serve files of a running node.
 *
 * @param dir Folder of the links; nothing is done without one.
 * @returns To be stopped before the node is.
 */
export function openToNginx(
  dir: string | undefined,
  { shared, replicator, log }: {
    readonly shared: FilesToShow;
    readonly replicator: Pick<Replicator, "mayRead">;
    readonly log: Log;
  },
): NginxLinks | undefined {
  if (dir === undefined) return undefined;
  const links = new NginxLinks({
    dir,
    folders: shared.folders.map((folder) => resolve(folder)),
    takesChanges: (pathIndex) => shared.takesChanges(pathIndex),
    damaged: (limit) => shared.damaged(limit),
    mayRead: () => replicator.mayRead(),
    wallMs: () => Date.now(),
    log,
  });
  links.start();
  shared.onChange(() => links.lookAtPaths());
  return links;
}

/** Keeps the links true. */
export class NginxLinks {
  readonly #parts: NginxLinkParts;
  readonly #seconds = new Set<number>();
  readonly #open = new Set<number>();
  readonly #damaged = new Set<string>();
  #hasTooManyDamaged = true;
  #looks = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #failure: string | undefined;

  /** Nothing is shown yet. */
  constructor(parts: NginxLinkParts) {
    this.#parts = parts;
  }

  /**
   * Begin.
   *
   * @throws When the folder cannot be made.
   */
  start(): void {
    this.#empty();
    Deno.mkdirSync(`${this.#parts.dir}/paths`, { recursive: true });
    Deno.mkdirSync(`${this.#parts.dir}/damaged`, { recursive: true });
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** End: from now on nginx asks. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const second of [...this.#seconds]) this.#withdraw(second);
  }

  /** Look once; what cannot be written gives no leave. */
  look(): void {
    try {
      // First what closes, then what opens.
      this.lookAtPaths();
      if (this.#looks++ % DAMAGED_LOOKS === 0) this.#lookAtDamaged();
      this.#giveLeave();
      this.#failure = undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (this.#failure !== why) {
        this.#parts.log.warn("nginx has to ask for every file", { why });
      }
      this.#failure = why;
    }
  }

  /** A disk may have failed: before anything else is acknowledged. */
  lookAtPaths(): void {
    const { dir, folders, takesChanges } = this.#parts;
    folders.forEach((folder, index) => {
      const name = `${dir}/paths/M${hexByte(index)}`;
      if (takesChanges(index) === this.#open.has(index)) return;
      if (this.#open.delete(index)) return remove(name);
      Deno.symlinkSync(folder, name);
      this.#open.add(index);
    });
  }

  #lookAtDamaged(): void {
    const { dir, damaged } = this.#parts;
    const found = damaged(DAMAGED_MAX + 1);
    this.#hasTooManyDamaged = found.length > DAMAGED_MAX;
    if (this.#hasTooManyDamaged) return;
    const names = new Set(found.map(({ id }) => nameOf(id)));
    for (const name of names) {
      if (this.#damaged.has(name)) continue;
      Deno.writeFileSync(`${dir}/damaged/${name}`, new Uint8Array(0));
      this.#damaged.add(name);
    }
    for (const name of this.#damaged) {
      if (names.has(name)) continue;
      remove(`${dir}/damaged/${name}`);
      this.#damaged.delete(name);
    }
  }

  #giveLeave(): void {
    const { dir, mayRead, wallMs } = this.#parts;
    const wanted = new Set(leaveSeconds(wallMs(), this.#forMs(mayRead())));
    for (const second of this.#seconds) {
      if (!wanted.has(second)) this.#withdraw(second);
    }
    for (const second of wanted) {
      if (this.#seconds.has(second)) continue;
      Deno.symlinkSync("paths", `${dir}/${second}`);
      this.#seconds.add(second);
    }
  }

  #forMs(may: ReturnType<Replicator["mayRead"]>): number {
    if (!may.ok || may.confirm === true || this.#hasTooManyDamaged) return 0;
    return may.forMs ?? 0;
  }

  #withdraw(second: number): void {
    remove(`${this.#parts.dir}/${second}`);
    this.#seconds.delete(second);
  }

  /** What an earlier run left; nothing that is not ours. */
  #empty(): void {
    const { dir } = this.#parts;
    for (const folder of [dir, `${dir}/paths`, `${dir}/damaged`]) {
      for (const { name, isDirectory } of entriesOf(folder)) {
        if (!isDirectory && OURS.test(name)) remove(`${folder}/${name}`);
      }
    }
  }
}

const OURS = /^(?:\d{1,12}|M[0-9A-F]{2}|[A-Za-z0-9._-]{34,73})$/;

function nameOf(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1);
}

function entriesOf(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
