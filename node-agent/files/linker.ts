/**
 * Gives files of the same file system a second name in the store, so that an
 * import copies nothing.
 *
 * @module
 */

import { createHash, randomUUID } from "node:crypto";
import { MIB, Problem } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";
import type { LinkingStore } from "../operation_ports.ts";
import type { Staged } from "../ports.ts";
import { BlockChecksums } from "./crc32.ts";
import { LINK_TOKEN_PREFIX } from "./file_actions.ts";
import type { Layout } from "./layout.ts";
import type { PathOpened, PathOpener } from "./path_opener.ts";
import type { StoreParts } from "./local_files.ts";
import type { Stager } from "./stager.ts";
import type { StorePaths } from "./store_paths.ts";

/** See {@linkcode LinkingStore}. */
export class Linker implements LinkingStore {
  readonly #layout: Layout;
  readonly #stager: Stager;
  readonly #opener: PathOpener;
  readonly #paths: StorePaths;

  /** Link into these paths. */
  constructor(
    { layout, stager, paths }: Pick<StoreParts, "layout" | "stager" | "paths">,
    opener: PathOpener,
  ) {
    this.#layout = layout;
    this.#stager = stager;
    this.#paths = paths;
    this.#opener = opener;
  }

  /** @inheritdoc */
  async takeOver(pathIndex: number): Promise<PathOpened> {
    return await this.#opener.takeOver(pathIndex);
  }

  /** @inheritdoc */
  async allTaken(pathIndex: number): Promise<void> {
    await this.#opener.allTaken(pathIndex);
  }

  /** @inheritdoc */
  async link(path: string, pathIndex: number): Promise<Staged> {
    if (!this.#paths.isWritable(pathIndex)) {
      const name = `M${hexByte(pathIndex)}`;
      throw new Problem("read-only", `Store path ${name} cannot be written`);
    }
    const token = LINK_TOKEN_PREFIX + randomUUID();
    const staged = this.#layout.staged(pathIndex, token);
    await Deno.link(path, staged);
    try {
      // A symbolic link that took its place would lead anywhere.
      if (!(await Deno.lstat(staged)).isFile) {
        throw new Problem("invalid-request", `${path} is no regular file`);
      }
      const file = await Deno.open(staged);
      try {
        return await this.#read(file, { token, pathIndex });
      } catch (error) {
        file.close();
        throw error;
      }
    } catch (error) {
      await this.#stager.remove(pathIndex, token);
      throw error;
    }
  }

  async #read(
    file: Deno.FsFile,
    where: { readonly token: string; readonly pathIndex: number },
  ): Promise<Staged> {
    const sums = new BlockChecksums();
    const hash = createHash("sha256");
    const buffer = new Uint8Array(MIB);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) break;
      const bytes = buffer.subarray(0, count);
      sums.update(bytes);
      hash.update(bytes);
    }
    const { token, pathIndex } = where;
    const blockCrcs = sums.packed();
    // Whoever used the file before may never have flushed it.
    void this.#stager.adopt(token, file, { pathIndex, blockCrcs });
    return {
      ...where,
      sizeBytes: sums.sizeBytes,
      crc32: sums.crc32,
      sha256: hash.digest("hex"),
      inline: undefined,
    };
  }
}
