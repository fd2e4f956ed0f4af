/** Whether a program is installed, for tests that need one. */

/** Try to run `NAME version`. */
export async function hasCommand(name: string): Promise<boolean> {
  try {
    await new Deno.Command(name, {
      args: ["version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return true;
  } catch {
    return false;
  }
}
