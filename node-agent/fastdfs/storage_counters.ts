/**
 * Counts what a storage side does, since it was opened: the numbers that
 * FastDFS's storages report to their trackers.
 *
 * @module
 */

import type { FastdfsStats, FastdfsTally } from "@kedge/schema/fastdfs-stats";
import { COMMAND } from "@kedge/schema/wire/fastdfs";
import type { Clock } from "../ports.ts";
import type { Served } from "./served.ts";

/** Changes that are stored here: only whether they grow counts. */
export interface ChangeMarks {
  /** Ours. */
  readonly own: number;
  /** Those of other members. */
  readonly others: number;
}

/** What each command counts as; others are not counted, as in FastDFS. */
const TALLY_OF: ReadonlyMap<number, FastdfsTally> = new Map([
  [COMMAND.upload, "upload"],
  [COMMAND.uploadAppender, "upload"],
  [COMMAND.uploadSlave, "upload"],
  [COMMAND.append, "append"],
  [COMMAND.modify, "modify"],
  [COMMAND.truncate, "truncate"],
  [COMMAND.setMeta, "setMeta"],
  [COMMAND.delete, "delete"],
  [COMMAND.download, "download"],
  [COMMAND.getMeta, "getMeta"],
  [COMMAND.createLink, "createLink"],
]);
const TALLIES = [...new Set(TALLY_OF.values())];
const BYTE_TALLIES = ["upload", "append", "modify", "download"] as const;

/** Requests of one kind, and their content. */
class Tally {
  total = 0;
  success = 0;
  totalBytes = 0;
  successBytes = 0;

  get counts() {
    return { total: this.total, success: this.success };
  }

  get bytes() {
    return { total: this.totalBytes, success: this.successBytes };
  }
}

/** See the module comment. */
export class StorageCounters {
  readonly #clock: Clock;
  readonly #changes: () => ChangeMarks;
  readonly #startedS: number;
  readonly #tallies = new Map(TALLIES.map((name) => [name, new Tally()]));
  #seen: ChangeMarks;
  #sourceUpdateS = 0;
  #syncUpdateS = 0;

  /** Everything is 0 now. */
  constructor(clock: Clock, changes: () => ChangeMarks) {
    this.#clock = clock;
    this.#changes = changes;
    this.#startedS = this.#nowS();
    this.#seen = changes();
  }

  /** Count a request that came to its end. */
  count({ command, status, contentBytes }: Served): void {
    const name = TALLY_OF.get(command);
    const tally = name && this.#tallies.get(name);
    if (tally === undefined) return;
    tally.total += 1;
    tally.totalBytes += contentBytes;
    if (status !== 0) return;
    tally.success += 1;
    tally.successBytes += contentBytes;
  }

  /** The numbers now. Times of changes are when they were first seen here. */
  stats(connections: FastdfsStats["connections"]): FastdfsStats {
    const changes = this.#changes();
    if (changes.own > this.#seen.own) this.#sourceUpdateS = this.#nowS();
    if (changes.others > this.#seen.others) this.#syncUpdateS = this.#nowS();
    this.#seen = changes;
    const tally = (name: FastdfsTally) =>
      this.#tallies.get(name) ?? new Tally();
    const counts = (name: FastdfsTally) => tally(name).counts;
    const bytes = (name: (typeof BYTE_TALLIES)[number]) => tally(name).bytes;
    return {
      startedS: this.#startedS,
      connections,
      upload: counts("upload"),
      append: counts("append"),
      modify: counts("modify"),
      truncate: counts("truncate"),
      setMeta: counts("setMeta"),
      delete: counts("delete"),
      download: counts("download"),
      getMeta: counts("getMeta"),
      createLink: counts("createLink"),
      uploadBytes: bytes("upload"),
      appendBytes: bytes("append"),
      modifyBytes: bytes("modify"),
      downloadBytes: bytes("download"),
      sourceUpdateS: this.#sourceUpdateS,
      syncUpdateS: this.#syncUpdateS,
    };
  }

  #nowS(): number {
    return Math.max(0, Math.floor(this.#clock.wallMs() / 1000));
  }
}
