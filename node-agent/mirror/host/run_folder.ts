/**
 * One daemon per run folder: a lock that the system takes back when its process
 * ends, however it ends.
 *
 * @module
 */

/** The lock; the file stays. */
const LOCK_FILE = "daemon.lock";
/** How long a daemon that answers no more may take to end, in ms. */
const ENDING_MS = 10_000;
/** Pause between two looks, in ms. */
const LOOK_MS = 50;

/**
 * Take the folder for this process.
 *
 * @param socket Where the daemon of the folder answers, if there is one.
 * @returns Dispose of it when nothing in the folder is ours any more.
 * @throws {Deno.errors.AddrInUse} Another daemon has it.
 */
export async function takeRunFolder(
  runDir: string,
  socket: string,
): Promise<Disposable> {
  const lock = await Deno.open(`${runDir}/${LOCK_FILE}`, {
    create: true,
    write: true,
    mode: 0o600,
  });
  const endMs = performance.now() + ENDING_MS;
  while (!lock.tryLockSync(true)) {
    if (await isAnswering(socket) || performance.now() > endMs) {
      lock.close();
      throw inUse(socket);
    }
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  return lock;
}

/** Why a second daemon cannot have its socket there. */
export function inUse(socket: string): Error {
  return new Deno.errors.AddrInUse(
    `Another mirror daemon listens on ${socket}: use it, or stop it with ` +
      '"kedge mirror stop"',
  );
}

/** Whether somebody takes connections on a socket. */
export async function isAnswering(path: string): Promise<boolean> {
  try {
    const conn = await Deno.connect({ path, transport: "unix" });
    conn.close();
    return true;
  } catch {
    return false;
  }
}
