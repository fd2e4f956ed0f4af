/**
 * Who a mirroring host is, in `FOLDER/mirror-identity.json`: number and secret
 * that the tracker gave it once. Durable before anything relies on it, readable
 * by the owner only.
 *
 * @module
 */

import { z } from "zod";
import { NodeId } from "@kedge/schema";

const IdentityFile = z.strictObject({
  /** Fixed before the join, so that a join that is repeated is the same. */
  host: z.uuid(),
  /** Missing until the join has succeeded. */
  identity: z.strictObject({
    node: NodeId,
    credential: z.string().min(32),
  }).optional(),
});
/** What stands in the file before and after the join. */
export type MirrorIdentity = z.infer<typeof IdentityFile>;

/**
 * Read the file, or begin one.
 *
 * @throws {Error} When the file is there but damaged; it is never replaced.
 */
export async function openMirrorIdentity(
  folder: string,
): Promise<MirrorIdentity> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  let text: string;
  try {
    text = await Deno.readTextFile(pathOf(folder));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const begun = { host: crypto.randomUUID() };
    await saveMirrorIdentity(folder, begun);
    return begun;
  }
  try {
    return IdentityFile.parse(JSON.parse(text));
  } catch {
    throw new Error(
      `Cannot read who this host is: "${pathOf(folder)}" is damaged. Restore ` +
        "it from a copy; or move it away, join with a new token, and force the " +
        "register of each volume whose good copy is here",
    );
  }
}

/** Write the file; durable when it resolves. */
export async function saveMirrorIdentity(
  folder: string,
  content: MirrorIdentity,
): Promise<void> {
  const temporary = `${pathOf(folder)}.new`;
  await Deno.writeTextFile(temporary, JSON.stringify(content, null, 2), {
    mode: 0o600,
  });
  await flush(temporary);
  await Deno.rename(temporary, pathOf(folder));
  await flush(folder);
}

function pathOf(folder: string): string {
  return `${folder}/mirror-identity.json`;
}

async function flush(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
