/**
 * Where a bench leaves its page.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { ROOT } from "../helpers/stack.ts";

/**
 * Write a page of this folder, formatted as all others are.
 *
 * @param name Its file, such as `MIRROR.md`.
 */
export async function writePage(name: string, text: string): Promise<void> {
  const path = `${ROOT}tests/bench/${name}`;
  await Deno.writeTextFile(path, text);
  await run([Deno.execPath(), "fmt", "--quiet", path], { cwd: ROOT });
}
