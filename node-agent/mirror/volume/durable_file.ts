/**
 * Small files that are replaced as a whole: a reader sees the old bytes or the
 * new ones, also after a loss of power.
 *
 * @module
 */

/**
 * Write a file, durably; its folder is made where it is missing.
 *
 * @throws {Error} When it cannot be written; the one before is untouched.
 */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const draft = `${path}.${crypto.randomUUID()}`;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    using file = Deno.openSync(draft, {
      write: true,
      createNew: true,
      mode: 0o600,
    });
    for (let done = 0; done < bytes.length;) {
      done += file.writeSync(bytes.subarray(done));
    }
    file.syncSync();
    Deno.renameSync(draft, path);
    syncFolder(folder);
  } catch (error) {
    removeIfThere(draft);
    throw error;
  }
}

/** Make the names in a folder stable. */
export function syncFolder(folder: string): void {
  using open = Deno.openSync(folder);
  open.syncSync();
}

/** Remove a file that may not be there. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was never there.
  }
}

/** A name as a part of a file name: other characters than these are coded. */
export function plainName(name: string): string {
  return name.replaceAll(
    /[^A-Za-z0-9_-]/g,
    (character) => `%${character.codePointAt(0)?.toString(16)}`,
  );
}
