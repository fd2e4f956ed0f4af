/**
 * Report files of imports and exports.
 *
 * ```text
 * DATA/migration/KIND-2026-11-22T093000.123Z.jsonl    one problem per line
 * ```
 *
 * @module
 */

/** Reports that stay, of all kinds together. */
export const REPORTS_KEPT = 20;

const NAME = /^(?:import|export)-(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)\.jsonl$/;

/**
 * Make the file of a new report, and remove the oldest ones.
 *
 * @param dir Folder of the reports; made when it is missing.
 * @param wallMs Milliseconds since the Unix epoch.
 * @returns Its path.
 */
export async function newReport(
  dir: string,
  kind: "import" | "export",
  wallMs: number,
): Promise<string> {
  await Deno.mkdir(dir, { recursive: true });
  const stamp = new Date(wallMs).toISOString().replaceAll(":", "");
  const name = `${kind}-${stamp}.jsonl`;
  await Deno.writeTextFile(`${dir}/${name}`, "");
  for (const old of await oldReports(dir, name)) {
    await Deno.remove(`${dir}/${old}`);
  }
  return `${dir}/${name}`;
}

/** All but the newest; the clock may have been set back before `kept`. */
async function oldReports(dir: string, kept: string): Promise<string[]> {
  const found: { name: string; stamp: string }[] = [];
  for await (const { name, isFile } of Deno.readDir(dir)) {
    const stamp = NAME.exec(name)?.[1];
    if (isFile && stamp !== undefined && name !== kept) {
      found.push({ name, stamp });
    }
  }
  return found.sort((a, b) => a.stamp < b.stamp ? 1 : -1)
    .slice(REPORTS_KEPT - 1).map(({ name }) => name);
}
