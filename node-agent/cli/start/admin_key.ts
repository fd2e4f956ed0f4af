/** The operator's key of a local cluster: made once, kept in a private file. */

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { writeWhole } from "./layout.ts";

/** A key, and whether it was made just now. */
export interface AdminKey {
  /** 43 characters, 256 random bits. */
  readonly key: string;
  /** Whether this run made it. */
  readonly isNew: boolean;
}

/** Read the key, or make it. */
export async function adminKey(path: string): Promise<AdminKey> {
  try {
    const key = (await Deno.readTextFile(path)).trim();
    if (key !== "") return { key, isNew: false };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const key = Buffer.from(randomBytes(32)).toString("base64url");
  await writeWhole(path, key + "\n", 0o600);
  return { key, isNew: true };
}
