/**
 * Change a file of the configuration: whole or not at all, and nobody's change
 * is lost, neither that of another command nor that of an editor.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { CliError } from "../errors.ts";

/** How long another command may take to change its file, in ms. */
const LOCK_MS = 5_000;
/** Pause between looks, in ms. */
const LOOK_MS = 50;

/** What became of a file. */
export interface EditedFile {
  readonly before: string;
  readonly after: string;
}

/**
 * Replace the text of a file; its rights and its symbolic link stay.
 *
 * @param edit The new text of a text; the same: nothing is written.
 * @throws {CliError} Nothing was changed.
 */
export async function editFile(
  path: string,
  edit: (text: string) => string,
): Promise<EditedFile> {
  const real = await Deno.realPath(path);
  // Of the folder: another file stands in place of this one afterwards.
  using folder = await Deno.open(dirname(real));
  await lock(folder, dirname(real));
  const before = await textOf(real);
  const after = edit(before);
  if (after !== before) await replaceFile(real, { before, after });
  return { before, after };
}

/**
 * Make a file of the configuration, whole or not at all: half of one would be a
 * parse error for every resource.
 *
 * @throws {Deno.errors.AlreadyExists} Nothing was changed.
 */
export async function createFile(
  path: string,
  text: string,
  mode: number,
): Promise<void> {
  const folder = dirname(path);
  const prefix = `.${basename(path)}.`;
  const fresh = await Deno.makeTempFile({ dir: folder, prefix });
  try {
    await Deno.writeTextFile(fresh, text);
    await Deno.chmod(fresh, mode);
    await sync(fresh);
    await Deno.link(fresh, path);
  } finally {
    await Deno.remove(fresh).catch(() => {});
  }
  await sync(join(folder, "."), false);
}

async function lock(folder: Deno.FsFile, path: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < LOCK_MS; waitedMs += LOOK_MS) {
    if (await folder.tryLock(true)) return;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  throw new CliError(
    `another command is changing ${path}, so nothing was changed`,
    "say it again when that has ended",
  );
}

/** Text that can be written back as it was: a comment may have other letters. */
async function textOf(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return decoder.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CliError(
      `${path} is not UTF-8, so nothing was changed`,
      `make it so ("iconv -t UTF-8"), or change it by hand, then ` +
        '"kedge volume adjust"',
    );
  }
}

async function replaceFile(
  path: string,
  { before, after }: EditedFile,
): Promise<void> {
  const { mode, uid, gid } = await Deno.stat(path);
  const folder = dirname(path);
  // Made for us, with nobody else's rights.
  const fresh = await Deno.makeTempFile({
    dir: folder,
    prefix: `.${basename(path)}.`,
  });
  try {
    await Deno.writeTextFile(fresh, after);
    if (uid !== null && gid !== null) await Deno.chown(fresh, uid, gid);
    if (mode !== null) await Deno.chmod(fresh, mode & 0o7777);
    await sync(fresh);
    if (await textOf(path) !== before) {
      throw new CliError(
        `${path} was changed meanwhile by somebody else, and not by this command`,
        "say it again",
      );
    }
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }
  await sync(join(folder, "."), false);
}

async function sync(path: string, write = true): Promise<void> {
  using file = await Deno.open(path, { read: !write, write });
  await file.sync();
}
