/**
 * Preloaded into every program that `kedge start` runs: ends the program when
 * its supervisor is gone, even when the supervisor was killed with SIGKILL.
 *
 * The system gives an orphan another parent, so a changed parent means that the
 * supervisor is gone. The program gets SIGTERM, so that it can stop cleanly, and
 * SIGKILL 10 s later.
 *
 * Looked at by a timer and not told by the end of a pipe: a preloaded module
 * that waits for anything keeps the program itself from starting.
 *
 * @module
 */

const LOOK_MS = 1000;
const STOP_TIMEOUT_MS = 10_000;

const supervisor = Number(Deno.env.get("KEDGE_SUPERVISOR_PID"));
if (Number.isInteger(supervisor) && supervisor > 0) {
  const timer = setInterval(() => {
    if (Deno.ppid === supervisor) return;
    clearInterval(timer);
    setTimeout(() => Deno.kill(Deno.pid, "SIGKILL"), STOP_TIMEOUT_MS);
    Deno.kill(Deno.pid, "SIGTERM");
  }, LOOK_MS);
  Deno.unrefTimer(timer);
}
